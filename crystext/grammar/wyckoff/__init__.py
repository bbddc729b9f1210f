"""The Wyckoff text while it is written: what may come next, for each crystal by itself.

`site_table` numbers the Wyckoff positions of a space group. `count_lookahead` and
`formula_lookahead` look ahead so that the numbers of atoms come out, `lookahead` joins them, and
`infeasible` says why a request cannot be met. `overlap` keeps orbits apart from special positions
and from each other, `contact_pairs` and `cell_bounds` bound the cell so that atoms keep their
distances, and `automaton` holds one crystal's state. `token_reader` reads it in the crystal
vocabulary, `single_value_fields` as fields for `any_tokenizer`.
"""
