"""Models: what lies on disk, what is in memory, and how one comes to the other."""
