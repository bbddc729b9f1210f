"""Which texts are crystals, and which of those are possible ones: one automaton, two readers.

`fields` says which values follow each other in the text of a format. `automaton` adds what the
values before allow the next one to be: a cell that closes, atoms that keep their distance, at most
so many of them. `slots` reads it in the small vocabulary, for many crystals at once; `characters`
reads it in any other vocabulary, character by character.
"""
