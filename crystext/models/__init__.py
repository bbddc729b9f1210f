"""Models: their folders on disk, loading and saving them, adapters, and the Hub."""
