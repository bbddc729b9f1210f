"""Completes crystals with unknown or replaced parts.

`similar_elements` lists elements that could replace another. `specify` turns a structure and a
user's specification into a partial crystal, `symmetry` keeps its space group and makes equivalent
sites share an element. `complete` completes it with a model, `result` is a completion with its
changes, and `ranking` orders completions.

In a space group, missing atoms are found orbit by orbit: `group_settings` finds the group's
operations in a cell, `orbit_parts` and `orbit_task` say which orbits lack and put those found into
the structure, and `wyckoff_task` collects this for each number of atoms that may be missing.
`complete_with_symmetry` samples with `orbit_texts` and ranks the results, `element_search` chooses
among unknown elements, and `clusters` takes those together that differ little. `relaxed` relaxes
completions and ranks them by energy.
"""
