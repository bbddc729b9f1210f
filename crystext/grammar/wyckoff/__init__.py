"""The grammar of the Wyckoff format: what may come next, for each crystal separately.

`site_table` numbers the Wyckoff positions of a space group. `atom_count_lookahead` and
`formula_lookahead` look ahead so that the numbers of atoms can be reached, `lookahead` joins them,
and `infeasible` explains why a request cannot be met. `overlap` keeps orbits off special positions
and from each other, `contact_pairs` and `cell_bounds` bound the cell so that atoms keep their
distances, and `automaton` holds one crystal's state. `token_reader` reads it in the crystal
vocabulary, `field_adapter` as fields for `any_tokenizer`.
"""
