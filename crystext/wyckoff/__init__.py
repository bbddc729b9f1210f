"""Crystals by their symmetry: a space group, orbits of atoms, and what symmetry leaves free.

`positions` holds the Wyckoff positions of all space groups, `derivation` works them out from the
groups' operations, `cells` says which cell parameters are free, `orbits` takes a crystal apart into
orbits and puts it together again, and `text` writes and reads them.
"""
