"""Completing a crystal of which something is not known, or is to be another.

`similar_elements` says which elements could stand for another. `specify` turns what a user asks of
a structure into a partial crystal, `symmetry` keeps its space group and has equivalent sites share
an element. `complete` has a model complete it, `result` is a completion and what is new in it, and
`ranking` says which comes first.
"""
