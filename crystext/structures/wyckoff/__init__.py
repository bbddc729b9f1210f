"""Crystals by their symmetry: a space group, orbits of atoms, and what symmetry leaves free.

`positions` holds the Wyckoff positions of all space groups, `derivation` works them out from the
groups' operations, `cells` says which cell parameters are free, and `orbits` takes a crystal apart
into orbits and puts it together again. `codec.symmetric` writes and reads them.
"""
