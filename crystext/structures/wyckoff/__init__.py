"""Crystals by their symmetry: a space group, orbits of atoms, and what symmetry leaves free.

`positions` holds the Wyckoff positions of all space groups, `derivation` works them out from the
groups' operations, `cell_parameters` says which cell parameters are free, and `orbits` takes a
crystal apart into orbits and puts it together again. `text.wyckoff` writes and reads them.
"""
