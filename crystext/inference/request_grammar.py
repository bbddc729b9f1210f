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
"""How often a text is drawn from its start, at the most, where its grammar could not foresee that
it has to be drawn again: in the Wyckoff format, where orbits have no room, or make a crystal of
another space group than the text declares."""


def grammar_for(request: Request, fmt: Format) -> Grammar | None:
    """Return the grammar of the text of a request; None where the format has none."""
    if request.partial is not None:
        return CompletionGrammar(fmt, request.partial)
    return grammar_of(fmt)


def field_automaton_for(request: Request, fmt: Format) -> FieldAutomaton | None:
    """Return the automaton of one text, to be read character by character, if there is one."""
    grammar = grammar_for(request, fmt)
    return None if grammar is None else grammar.automaton(request.constraints)


def must_be_redrawn(request: Request, text: str, fmt: Format) -> bool:
    """Return whether a text is to be drawn again, from its start; see `Grammar.must_be_redrawn`."""
    grammar = grammar_for(request, fmt)
    if grammar is None or not grammar.looks_back:
        return False
    crystal = decode_completion(request, text, fmt).crystal
    return crystal is not None and grammar.must_be_redrawn(text, crystal, request.constraints)


def automaton_for(
    request: Request, fmt: Format, batch: int
) -> CoordinateAutomaton | InfillingAutomaton:
    """Return the automaton of so many coordinate texts, at their first field."""
    if request.partial is None:
        return CoordinateAutomaton(fmt, batch, request.constraints)
    return InfillingAutomaton(fmt, batch, request.partial, request.constraints)


def decode_completion(request: Request, text: str, fmt: Format) -> Decoded:
    """Read what was written: a crystal, completed where it was given in part, or a failure."""
    if request.partial is None:
        return fmt.decode(text)
    return request.partial.decode_completion(text, fmt)


def max_characters(request: Request, fmt: Format) -> int:
    """Return a number of characters that no text exceeds."""
    grammar = grammar_for(request, fmt)
    if grammar is None:
        return fmt.max_characters(request.constraints.max_atoms)
    return grammar.max_characters(request.constraints)


def next_field_kind(request: Request, text: str, fmt: Format) -> FieldKind | None:
    """Return the kind of field that goes on behind the beginning of a text, or comes next.

    None where the format has no grammar, which alone knows fields.
    """
    grammar = grammar_for(request, fmt)
    return None if grammar is None else grammar.kind_after(text)
