"""Fingerprints as matminer defines them, without matminer."""
