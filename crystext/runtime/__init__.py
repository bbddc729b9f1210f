"""Infrastructure for all other rooms: processes, files, provenance, downloads, progress."""
