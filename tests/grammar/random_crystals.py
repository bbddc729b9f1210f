"""Crystals written by choosing at random among what an automaton allows."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.fields import END, FieldKind
from crystext.structures.crystal import Crystal, Ints


def seeded(seed: int) -> Random:
    """Return a source of random choices."""
    return Random(seed)  # noqa: S311


def choose_value(allowed: NDArray[np.bool_], kind: FieldKind, random: Random) -> int:
    """Return an allowed value: at times any, at times from the ends, where things break first."""
    values = np.nonzero(allowed)[0]
    assert len(values), f"no {kind.value} is left"
    if kind is FieldKind.ELEMENT and values[0] == END and len(values) > 1 and random.random() < 0.8:
        values = values[1:]
    if kind is FieldKind.LENGTH and random.random() < 0.8:
        values = values[: max(1, len(values) // 15)]
    where = random.randrange(4) if kind in (FieldKind.LENGTH, FieldKind.ANGLE) else 0
    if where in (1, 2):
        return int(values[0 if where == 1 else -1])
    return int(values[random.randrange(len(values))])


def random_crystals(automaton: CoordinateAutomaton, random: Random) -> list[Crystal]:
    """Take a batch to its end; crystals come in the order in which they end."""
    done: list[Crystal] = []
    while len(automaton):
        values = next_values(automaton, random)
        if automaton.field.kind is FieldKind.ELEMENT:
            ends = values == END
            done += [automaton.crystal(row) for row in np.nonzero(ends)[0].tolist()]
            automaton.keep(~ends)
            values = values[~ends]
        if len(automaton):
            automaton.push(values)
    return done


def next_values(automaton: CoordinateAutomaton, random: Random) -> Ints:
    """Choose a value for each row."""
    kind = automaton.field.kind
    return np.array(
        [choose_value(row, kind, random) for row in automaton.allowed()], dtype=np.int64
    )
