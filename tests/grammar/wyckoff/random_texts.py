"""Random texts by symmetry, written under the automaton."""

from __future__ import annotations

import numpy as np

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.fields import END, FieldKind, value_texts
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.automaton import WyckoffAutomaton
from crystext.grammar.wyckoff.lookahead import lookahead_for
from crystext.text import WYCKOFF


def random_text(
    constraints: Constraints, rng: np.random.Generator, *, tightly: bool = False
) -> tuple[str, bool]:
    """Return a text of random allowed values, and whether it turned out crowded.

    Cells are written as samplers write them, whole parts first. Tightly written, cell parameters
    are among the least that are allowed.
    """
    automaton = WyckoffAutomaton(WYCKOFF, lookahead_for(constraints), always_finish=True)
    text, few = "", 3 if tightly else None
    while not automaton.finished:
        field = automaton.field
        if field.kind in (FieldKind.LENGTH, FieldKind.ANGLE):
            whole = int(rng.choice(np.flatnonzero(automaton.allowed_wholes())[:few]))
            decimals = np.flatnonzero(automaton.allowed_decimals(whole))
            value = whole * DECIMALS + int(rng.choice(decimals[:few]))
        else:
            value = int(rng.choice(np.flatnonzero(automaton.allowed())))
            if field.kind is FieldKind.ELEMENT and automaton.allowed()[END] and rng.random() < 0.3:
                value = END
        if field.kind is not FieldKind.ELEMENT or value != END:
            text += field.separator + value_texts(field.kind, WYCKOFF)[value]
        automaton.push(value)
    return text, automaton.atoms_too_close
