"""The grammar of a request: of a whole crystal, or of the completion of a partial one."""

from __future__ import annotations

from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.base import Grammar, grammar_of
from crystext.grammar.completions import CompletionGrammar
from crystext.grammar.field_automaton import FieldAutomaton
from crystext.grammar.fields import FieldKind
from crystext.grammar.infilling import InfillingAutomaton
from crystext.inference.types import Request
from crystext.text import Decoded, Format

MAX_RESTARTS = 20
"""How often a text is sampled, at most, if it breaks a constraint that its grammar cannot enforce
in advance: in the Wyckoff format, orbits without room, or a crystal of another space group than the
text declares."""


def grammar_for(request: Request, fmt: Format) -> Grammar | None:
    """Return the grammar of the text of a request; None if the format has none."""
    if request.partial is not None:
        return CompletionGrammar(fmt, request.partial)
    return grammar_of(fmt)


def field_automaton_for(request: Request, fmt: Format) -> FieldAutomaton | None:
    """Return the automaton of one text for character-by-character use; None without a grammar."""
    grammar = grammar_for(request, fmt)
    return None if grammar is None else grammar.automaton(request.constraints)


def must_be_redrawn(request: Request, text: str, fmt: Format) -> bool:
    """Return whether a text has to be sampled again; see `Grammar.must_be_redrawn`."""
    grammar = grammar_for(request, fmt)
    if grammar is None or not grammar.looks_back:
        return False
    crystal = decode_completion(request, text, fmt).crystal
    return crystal is not None and grammar.must_be_redrawn(text, crystal, request.constraints)


def automaton_for(
    request: Request, fmt: Format, batch: int
) -> CoordinateAutomaton | InfillingAutomaton:
    """Return the automaton of a batch of coordinate texts, at their first field."""
    if request.partial is None:
        return CoordinateAutomaton(fmt, batch, request.constraints)
    return InfillingAutomaton(fmt, batch, request.partial, request.constraints)


def decode_completion(request: Request, text: str, fmt: Format) -> Decoded:
    """Decode a text: a crystal, completed if it was partial, or a failure."""
    if request.partial is None:
        return fmt.decode(text)
    return request.partial.decode_completion(text, fmt)


def max_characters(request: Request, fmt: Format) -> int:
    """Return an upper bound of the number of characters of a text."""
    grammar = grammar_for(request, fmt)
    if grammar is None:
        return fmt.max_characters(request.constraints.max_atoms)
    return grammar.max_characters(request.constraints)


def next_field_kind(request: Request, text: str, fmt: Format) -> FieldKind | None:
    """Return the kind of the unfinished field at the end of a partial text, or of the next one.

    None if the format has no grammar, and therefore no fields.
    """
    grammar = grammar_for(request, fmt)
    return None if grammar is None else grammar.kind_after(text)
