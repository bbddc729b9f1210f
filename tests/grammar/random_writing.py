"""Crystals written by choosing at random among what an automaton allows."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from crystext.grammar.automaton import Automaton
from crystext.grammar.fields import END, Kind
from crystext.structures.crystal import Crystal, Ints


def seeded(seed: int) -> Random:
    """Return a source of random choices."""
    return Random(seed)  # noqa: S311


def choose(allowed: NDArray[np.bool_], kind: Kind, random: Random) -> int:
    """Return an allowed value: at times any, at times from the ends, where things break first."""
    values = np.nonzero(allowed)[0]
    assert len(values), f"no {kind.value} is left"
    if kind is Kind.ELEMENT and values[0] == END and len(values) > 1 and random.random() < 0.8:
        values = values[1:]
    if kind is Kind.LENGTH and random.random() < 0.8:
        values = values[: max(1, len(values) // 15)]
    where = random.randrange(4) if kind in (Kind.LENGTH, Kind.ANGLE) else 0
    if where in (1, 2):
        return int(values[0 if where == 1 else -1])
    return int(values[random.randrange(len(values))])


def write(automaton: Automaton, random: Random) -> list[Crystal]:
    """Take a batch to its end; crystals come in the order in which they end."""
    done: list[Crystal] = []
    while len(automaton):
        values = next_values(automaton, random)
        if automaton.field.kind is Kind.ELEMENT:
            ends = values == END
            done += [automaton.crystal(row) for row in np.nonzero(ends)[0].tolist()]
            automaton.keep(~ends)
            values = values[~ends]
        if len(automaton):
            automaton.push(values)
    return done


def next_values(automaton: Automaton, random: Random) -> Ints:
    """Choose a value for each row."""
    kind = automaton.field.kind
    return np.array([choose(row, kind, random) for row in automaton.allowed()], dtype=np.int64)
