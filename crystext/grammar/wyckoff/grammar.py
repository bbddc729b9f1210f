"""The grammar of the Wyckoff format."""

from __future__ import annotations

from typing import ClassVar

from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.base import Grammar
from crystext.grammar.field_automaton import ELEMENT_LETTERS
from crystext.grammar.fields import FieldKind, kind_after_wyckoff
from crystext.grammar.wyckoff.automaton import WyckoffAutomaton
from crystext.grammar.wyckoff.field_adapter import SingleValueFields
from crystext.grammar.wyckoff.infeasible import raise_if_infeasible
from crystext.grammar.wyckoff.lookahead import lookahead_for
from crystext.structures.crystal import Crystal
from crystext.structures.distances import has_min_distances
from crystext.structures.space_groups import find_space_group
from crystext.tokenization.crystal_vocabulary import position_names


class WyckoffGrammar(Grammar):
    """Orbits of the positions that a space group has, in a cell where atoms keep their distance."""

    letters: ClassVar[frozenset[str]] = ELEMENT_LETTERS.union(name[-1] for name in position_names())
    looks_back: ClassVar[bool] = True

    def automaton(self, constraints: Constraints) -> SingleValueFields:
        """Return the automaton of one text; raise `SettingError` if no text can be written."""
        # Whether orbits leave no room is known only when the text is read: see `must_be_redrawn`.
        self.check(constraints)
        ahead = lookahead_for(constraints)
        return SingleValueFields(WyckoffAutomaton(self.format, ahead, always_finish=True))

    def kind_after(self, text: str) -> FieldKind:
        """Return the kind of the unfinished field at the end of a partial text."""
        return kind_after_wyckoff(text, self.format)

    def check(self, constraints: Constraints) -> None:
        """Check that some space group can hold the atoms; raise `SettingError` otherwise."""
        raise_if_infeasible(constraints)

    def must_be_redrawn(self, text: str, crystal: Crystal, constraints: Constraints) -> bool:
        """Return whether atoms are too close, or the crystal has another space group.

        The coordinates may leave no cell in which atoms keep their distances. Or the crystal has a
        higher symmetry within the tolerance at which space groups are determined: its own text
        would declare that group.
        """
        ratio = constraints.min_distance_ratio
        if not has_min_distances(crystal.lattice, crystal.positions, crystal.numbers, ratio):
            return True
        return str(find_space_group(crystal)) != text.partition("\n")[0]
