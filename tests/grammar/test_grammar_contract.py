"""What holds for the grammar of every format that has one."""

from __future__ import annotations

import random

import pytest

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import UserCodeError
from crystext.grammar.any_tokenizer import TextReader
from crystext.grammar.base import Grammar, grammar_of
from crystext.grammar.fields import FieldKind
from crystext.text import FORMATS, PLAIN, Format
from crystext.text.coordinates import CoordinateFormat

GRAMMARS = {name: grammar for name, fmt in FORMATS.items() if (grammar := grammar_of(fmt))}
each_grammar = pytest.mark.parametrize("grammar", GRAMMARS.values(), ids=GRAMMARS)


def random_text(grammar: Grammar, constraints: Constraints, seed: int) -> str:
    """Return a text of characters drawn one by one, each among those that can follow."""
    choose = random.Random(seed)  # noqa: S311
    alphabet = "0123456789. \n" + "".join(sorted(grammar.letters))
    reader, text = TextReader.at_start(grammar.automaton(constraints)), ""
    while True:
        following = [c for c in alphabet if reader.step(c) is not None]
        if reader.may_end and (not following or choose.random() < 0.5):
            return text
        character = choose.choice(following)
        after = reader.step(character)
        assert after is not None
        reader, text = after, text + character
        assert len(text) <= grammar.max_characters(constraints)


@each_grammar
@pytest.mark.parametrize("seed", range(4))
def test_whatever_follows_the_grammar_is_read_in_its_format(grammar: Grammar, seed: int) -> None:
    constraints = Constraints(max_atoms=3, min_distance_ratio=0.5, only=("Na", "Cl", "O"))
    text = random_text(grammar, constraints, seed)
    crystal = grammar.format.decode(text).crystal
    assert crystal is not None, text
    assert len(crystal) <= 3
    assert set(crystal.symbols) <= {"Na", "Cl", "O"}
    for end in range(len(text)):
        assert isinstance(grammar.kind_after(text[:end]), FieldKind)


@each_grammar
def test_what_can_be_kept_is_not_refused(grammar: Grammar) -> None:
    grammar.check(Constraints(max_atoms=4))


class Unknown(CoordinateFormat):
    """A format whose grammar is not there."""

    grammar = "crystext.grammar.nowhere:Nothing"


class NoGrammar(CoordinateFormat):
    """A format whose grammar is something else."""

    grammar = "crystext.grammar.any_tokenizer:TokenTrie"


@pytest.mark.parametrize("kind", [Unknown, NoGrammar])
def test_a_grammar_that_cannot_be_had_is_named(kind: type[CoordinateFormat]) -> None:
    fmt: Format = kind("odd", 2, 2, 3, title=PLAIN.title)
    with pytest.raises(UserCodeError, match="the grammar of the format odd"):
        grammar_of(fmt)
