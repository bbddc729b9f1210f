"""Completing a crystal of which something is not known, or is to be another.

`similar` says which elements could stand for another. `blank` turns what a user asks of a structure
into a partial crystal, `symmetry` keeps its space group and has equivalent sites share an element.
`propose` has a model complete it, `proposal` is a completion and what is new in it, and `order`
says which comes first.
"""
