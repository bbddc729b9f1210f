"""Which texts are crystals, and which of those are possible ones: three automata, four readers.

`fields` says which values follow each other in the text of a format. An automaton adds what the
values before allow the next one to be: a cell that closes, atoms that keep their distance, at most
so many of them. `automaton` is that of plain texts, `infilling` that of completions, `symmetric`
that of texts by symmetry; what is asked for is in `constraints`. `cells`, `lattices`, `geometry`,
`room` and `composition` work out what is allowed.

In the small vocabulary, for many crystals at once, `slots` reads the first automaton,
`completion_slots` the second and `symmetric.tokens` the third. `characters` reads any of them in
any other vocabulary, character by character.
"""
