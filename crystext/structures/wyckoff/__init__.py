"""Crystals as space group and Wyckoff orbits, with the parameters that symmetry leaves free.

`positions` holds the Wyckoff positions of all space groups, `derivation` derives them from the
groups' operations, `cell_parameters` lists the free cell parameters, and `orbits` converts a
crystal to orbits and back. `text.wyckoff` writes and reads them.
"""
