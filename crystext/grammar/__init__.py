"""Grammars for constrained sampling: which texts are crystals that satisfy the constraints.

`base` defines the interface of a grammar and looks up the grammar of a format: `coordinates`,
`wyckoff.grammar`, or `completions` for a partial crystal. A grammar makes automata.

`fields` defines the sequence of values in the text of a format. An automaton restricts the next
value given those before it: the cell closes, atoms keep their distances, and their number is
bounded. `automaton` handles coordinate texts, `infilling` completions, and `wyckoff` Wyckoff texts;
the requested constraints are in `conditions.sampling_constraints`. `cells`, `lattices`,
`free_volume`, `composition` and `structures.distances` compute which values are allowed.

For batches in the crystal vocabulary, `token_reader` maps the first automaton to token ids,
`completion_token_reader` the second and `wyckoff.token_reader` the third. `any_tokenizer` runs any
of them in any other vocabulary, character by character.
"""
