"""What every other room runs on: processes, files, provenance, downloads, progress."""
