"""The text by symmetry while it is written: what may come next, for each crystal by itself.

`places` lays the Wyckoff positions out by number, `counts` and `formulas` look ahead so that the
numbers of atoms come out, `look_ahead` joins them and `refusal` says why there is no way, `overlap`
keeps orbits apart from special positions and from each other, `cell_room` gives them room, and
`automaton` holds one crystal's state. `tokens` reads it in the small vocabulary, `merged` as fields
for the reader of characters.
"""
