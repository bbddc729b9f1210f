"""Crystals and what is computed from a crystal alone: symmetry, distances, matching."""
