"""Completes crystals with unknown or replaced parts.

`similar_elements` lists elements that could replace another. `specify` turns a structure and a
user's specification into a partial crystal, `symmetry` keeps its space group and makes equivalent
sites share an element. `complete` completes it with a model, `result` is a completion with its
changes, and `ranking` orders completions.
"""
