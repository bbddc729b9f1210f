"""Which texts are crystals, and which are possible ones: a grammar for each family of formats.

`base` has the interface of a grammar and looks up that of a format: `coordinates`,
`wyckoff.grammar`, or `completions` where a part of a crystal is known. A grammar makes automata.

`fields` says which values follow each other in the text of a format. An automaton adds what the
values before allow the next one to be: a cell that closes, atoms that keep their distance, at most
so many of them. `automaton` is that of coordinate texts, `infilling` that of completions, `wyckoff`
that of Wyckoff texts; what is requested is in `conditions.constraints`. `cells`, `lattices`,
`free_volume`, `composition` and `structures.distances` work out what is allowed.

In the crystal vocabulary, for many crystals at once, `token_reader` reads the first automaton,
`completion_token_reader` the second and `wyckoff.token_reader` the third. `any_tokenizer` reads any
of them in any other vocabulary, character by character.
"""
