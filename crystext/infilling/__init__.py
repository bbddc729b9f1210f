"""Completing a crystal of which something is not known, or is to be another.

`similar` says which elements could stand for another. `blank` turns what a user asks of a structure
into a partial crystal. `propose` has a model complete it, and puts the completions in order.
"""
