"""Crystals and everything computed from them alone: symmetry, distances, matching."""
