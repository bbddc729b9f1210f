"""The conditions on a crystal: whether they are consistent, and whether a crystal satisfies them.

Names mean what they mean in the Materials Project's API. This module knows which conditions have a
line in a prompt, which the grammar can enforce, and how each is measured in a finished crystal. It
does not sample.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sized
from dataclasses import dataclass, fields
from typing import Any

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.chemistry.formulas import format_formula, parse_formula, sort_by_electronegativity
from crystext.chemistry.oxidation import can_be_neutral, nearest_neutral_formula
from crystext.conditions.outcome import ConditionMode, ConditionResult
from crystext.conditions.parse import parse_condition, to_plain_value
from crystext.conditions.sampling_constraints import MAX_ATOMS, Constraints, max_atoms_hint
from crystext.errors import SettingError, did_you_mean
from crystext.structures.crystal import Crystal
from crystext.structures.properties import crystal_system, density, reduced_formula
from crystext.structures.property_schema import PROPERTIES
from crystext.structures.space_groups import find_space_group

DENSITY_RELATIVE_TOLERANCE = 0.05
"""Largest relative deviation from the requested density that still satisfies the condition."""


@dataclass(frozen=True)
class Conditions:
    """The requested conditions in canonical spelling; `from_keywords` accepts other spellings.

    Raises:
        SettingError: the conditions contradict each other, or no crystal can satisfy them.
    """

    composition: str | None = None
    """Reduced formula, elements by electronegativity; the number of formula units is open."""
    chemical_system: tuple[str, ...] = ()
    """Exactly these elements, each at least once."""
    elements: tuple[str, ...] = ()
    """Each of these must occur."""
    only: tuple[str, ...] = ()
    """Only these elements may occur; empty allows all."""
    exclude: tuple[str, ...] = ()
    """None of these may occur."""
    n_atoms: tuple[int, int] | None = None
    """Minimum and maximum number of atoms in the cell."""
    space_group: int | None = None
    crystal_system: str | None = None
    density: float | None = None
    """g/cm^3."""
    formation_energy: float | None = None
    """eV/atom."""
    band_gap: float | None = None
    """eV."""
    e_above_hull: float | None = None
    """eV/atom."""
    neutral: bool = False
    """Whether oxidation states must balance, by the rules of `metrics/composition_validity` with
    SMACT's table of 2014, which accept elements and alloys of metals whatever their states. A
    formula whose states cannot balance is refused."""

    @classmethod
    def from_keywords(cls, **keywords: Any) -> Conditions:
        """Return conditions given by name, in any of their usual spellings.

        Args:
            keywords: None, an empty text and an empty list or set request nothing. A composition
                may be a formula, or elements and their counts as a dict or pymatgen's Composition.
                Elements may be a text ("Li-Fe-O", "Li Fe O") or a list; the number of atoms 8, "8",
                "8-20" or (8, 20); a space group 225, "Fm-3m" or "F m -3 m"; numbers may be texts.
                NumPy's numbers and arrays are accepted like Python's.

        Raises:
            SettingError: a name is unknown, or a value is invalid.
        """
        values: dict[str, Any] = {}
        for name, value in keywords.items():
            if name not in CONDITION_NAMES:
                raise SettingError(
                    f"no condition is called {name!r}; there are {', '.join(CONDITION_NAMES)}."
                    + did_you_mean(name, CONDITION_NAMES)
                )
            value = to_plain_value(value)
            if not (value is None or (isinstance(value, Sized) and len(value) == 0)):
                values[name] = parse_condition(name, value)
        return cls(**values)

    def __post_init__(self) -> None:
        """Refuse conditions that no crystal can satisfy."""
        self._check_elements()
        if self.space_group is not None and self.crystal_system is not None:
            own = crystal_system(self.space_group)
            if own != self.crystal_system:
                raise SettingError(
                    f"space group {self.space_group} is {own}, not {self.crystal_system}; "
                    f"ask for one of the two, or for the crystal system {own}"
                )
        if self.neutral and self.composition is not None:
            self._check_charges(self.composition)
        # Contradictions that do not depend on the size of a crystal.
        self.constraints(max_atoms=MAX_ATOMS)

    def __bool__(self) -> bool:
        return bool(self.requested())

    @property
    def formula(self) -> dict[str, int]:
        """Count of each element in a formula unit; empty without a requested composition."""
        return {} if self.composition is None else parse_formula(self.composition)

    @property
    def _atoms_per_formula_unit(self) -> int:
        return sum(self.formula.values())

    @property
    def _single_n_atoms(self) -> int | None:
        """The number of atoms if a single one is requested, else None."""
        if self.n_atoms is None or self.n_atoms[0] != self.n_atoms[1]:
            return None
        return self.n_atoms[0]

    @property
    def _cell_formula(self) -> dict[str, int]:
        """Count of each element as prompts state it: in the whole cell if its size is given."""
        units = (
            1
            if self._single_n_atoms is None or not self.formula
            else self._single_n_atoms // self._atoms_per_formula_unit
        )
        return {symbol: units * count for symbol, count in self.formula.items()}

    @property
    def required_elements(self) -> tuple[str, ...]:
        """The elements that must occur, by electronegativity."""
        named = {*self.formula, *self.chemical_system, *self.elements}
        return tuple(sort_by_electronegativity(named))

    def requested(self) -> dict[str, str | int | float | bool]:
        """Return the requested values by name, as plain values that `from_keywords` accepts."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: _plain_value(name, value)
            for name, value in given.items()
            if value not in (None, (), False) or isinstance(value, float)
        }

    def prompt_properties(self) -> dict[str, str]:
        """Return the lines of the prompt: property names and values as prompts write them.

        `elements`, `only`, `exclude`, a range of numbers of atoms and neutrality have no line: a
        prompt can only request the complete set of elements. A crystal system has no line if there
        is a space group, which implies it. If the number of atoms is given, the formula is written
        for the whole cell, Na4Cl4, which implies that number.
        """
        lines: dict[str, str] = {}
        if self.composition is not None:
            lines["formula"] = format_formula(self._cell_formula)
        elif self.chemical_system:
            lines["chemical_system"] = "-".join(sorted(self.chemical_system))
        if self.space_group is not None:
            lines["space_group"] = PROPERTIES["space_group"].format(self.space_group)
        elif self.crystal_system is not None:
            lines["crystal_system"] = self.crystal_system
        if self._single_n_atoms is not None and sum(self._cell_formula.values()) in (
            0,
            self._atoms_per_formula_unit,
        ):
            lines["n_atoms"] = str(self._single_n_atoms)
        for name in ("density", *_NOT_CHECKABLE):
            if (value := getattr(self, name)) is not None:
                lines[name] = PROPERTIES[name].format(value)
        return lines

    def not_in_prompt(self) -> tuple[str, ...]:
        """Return the conditions that no line of a prompt states: only constraints enforce them.

        Neutrality is not among them: it is checked before and after sampling.
        """
        said = self._in_prompt()
        return tuple(name for name in self.requested() if name not in said and name != "neutral")

    @property
    def can_be_checked(self) -> bool:
        """Whether any requested condition can be measured in a finished crystal."""
        return any(name not in _NOT_CHECKABLE for name in self.requested())

    def _in_prompt(self) -> set[str]:
        lines = self.prompt_properties()
        said = {*lines, *(name for name, line in _IMPLIED_BY.items() if line in lines)}
        return said | ({"n_atoms"} if self._single_n_atoms is not None else set())

    def constraints(self, *, max_atoms: int = 20, min_distance_ratio: float = 0.65) -> Constraints:
        """Return the constraints to enforce while a crystal is sampled.

        Args:
            max_atoms: largest number of atoms in a crystal.
            min_distance_ratio: see `Constraints`.

        Raises:
            SettingError: the conditions allow more atoms than that, or no whole number of formula
                units has the requested number of atoms; the message names the nearest that has.
        """
        fewest, most = self.n_atoms or (1, max_atoms)
        if self.n_atoms is not None and fewest > max_atoms >= 1:
            raise SettingError(
                f"{fewest} atoms are requested, and crystals may have {max_atoms}; request "
                f"{max_atoms} or fewer, or set {max_atoms_hint(fewest)}. Models work best at sizes "
                "they were trained on: the shipped one, up to 20 atoms"
            )
        system = self.crystal_system
        if self.space_group is not None:
            system = crystal_system(self.space_group)
        constraints = Constraints(
            max_atoms=min(most, max_atoms),
            min_atoms=fewest,
            min_distance_ratio=min_distance_ratio,
            exclude=self.exclude,
            require=() if self.composition is not None else self.required_elements,
            only=self.chemical_system or self.only or None,
            formula=tuple(self.formula.items()),
            crystal_system=system,
            space_group=self.space_group,
        )
        if most > max_atoms:
            raise SettingError(
                f"up to {most} atoms are requested, and crystals may have {max_atoms}; request "
                f"{fewest}-{max_atoms}, or set {max_atoms_hint(most)}. Models work best at sizes "
                "they were trained on: the shipped one, up to 20 atoms"
            )
        return constraints

    def check(
        self,
        crystal: Crystal | None,
        *,
        constrained: bool = True,
        enforced_by_format: Collection[str] = (),
    ) -> tuple[ConditionResult, ...]:
        """Return for each condition whether a crystal satisfies it.

        The space group, and with it the crystal system, is what spglib finds at 0.1 Å; a density
        is satisfied within 5%. Energies and band gaps cannot be measured from a crystal alone.

        Args:
            crystal: the crystal; None for a text without one, which satisfies no condition.
            constrained: whether it was sampled under `constraints`.
            enforced_by_format: conditions that the grammar of its text format enforces besides
                those on composition and atoms (`text.Format.enforces`). A Wyckoff text declares a
                space group, but spglib may find a higher one in the crystal.
        """
        steered = self._in_prompt()
        found = {} if crystal is None else self._measure(crystal)
        records = []
        for name, requested in self.requested().items():
            how: ConditionMode = "steered" if name in steered else "checked"
            if constrained and self._is_enforced(name, enforced_by_format):
                how = "enforced"
            if name in _NOT_CHECKABLE:
                records.append(ConditionResult(name, requested, how, None, None))
                continue
            value, kept = found.get(name, (None, False))
            records.append(ConditionResult(name, requested, how, value, kept))
        return tuple(records)

    def _is_enforced(self, name: str, enforced_by_format: Collection[str]) -> bool:
        if name == "neutral":
            # The formula is checked before sampling, and enforced.
            return self.composition is not None
        return name in _ENFORCED or name in enforced_by_format

    def _measure(self, crystal: Crystal) -> dict[str, tuple[str | int | float | bool, bool]]:
        """Return the measured value of each condition, and whether it satisfies the condition."""
        formula = reduced_formula(crystal.numbers)
        symbols = set(crystal.symbols)
        shown = " ".join(sort_by_electronegativity(symbols))
        found: dict[str, tuple[Any, bool]] = {
            "composition": (formula, formula == self.composition),
            "chemical_system": (
                "-".join(sorted(symbols)),
                symbols == set(self.chemical_system),
            ),
            "elements": (shown, symbols >= set(self.elements)),
            "only": (shown, symbols <= set(self.only)),
            "exclude": (shown, not symbols & set(self.exclude)),
        }
        if self.n_atoms is not None:
            fewest, most = self.n_atoms
            found["n_atoms"] = (len(crystal), fewest <= len(crystal) <= most)
        if self.space_group is not None or self.crystal_system is not None:
            number = find_space_group(crystal)
            system = None if number is None else crystal_system(number)
            found["space_group"] = (number, number == self.space_group)
            found["crystal_system"] = (system, system == self.crystal_system)
        if self.density is not None:
            value = density(crystal)
            near = math.isclose(value, self.density, rel_tol=0, abs_tol=self._density_tolerance)
            found["density"] = (round(value, 2), near)
        if self.neutral:
            counts = parse_formula(formula)
            numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
            balanced = can_be_neutral(numbers, tuple(counts.values()))
            found["neutral"] = (balanced, balanced)
        return found

    @property
    def _density_tolerance(self) -> float:
        return DENSITY_RELATIVE_TOLERANCE * (self.density or 0.0)

    def _check_elements(self) -> None:
        """Refuse a formula, a chemical system and elements that contradict each other."""
        formula, system = set(self.formula), set(self.chemical_system)
        if formula and system and formula != system:
            raise SettingError(
                f"the formula {self.composition} is not in the chemical system "
                f"{'-'.join(self.chemical_system)}; leave the system out, or ask for "
                f"{'-'.join(sort_by_electronegativity(formula))}"
            )
        if self.only and (more := system - set(self.only)):
            raise SettingError(
                f"the chemical system has {', '.join(sort_by_electronegativity(more))}, which is "
                f"not among the elements that may occur ({', '.join(self.only)}); leave only out"
            )
        whole = formula or system
        if whole and (more := set(self.elements) - whole):
            named = self.composition or "-".join(self.chemical_system)
            raise SettingError(
                f"{', '.join(sort_by_electronegativity(more))} cannot occur in {named}; leave it "
                "out of elements, or ask for the chemical system "
                f"{'-'.join(sort_by_electronegativity(whole | more))}"
            )

    def _check_charges(self, formula: str) -> None:
        counts = self.formula
        numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
        if can_be_neutral(numbers, tuple(counts.values())):
            return
        near = nearest_neutral_formula(counts, max_atoms=max(20, sum(counts.values())))
        advice = "" if near is None else f"the nearest that can is {format_formula(near)}; or "
        raise SettingError(
            f"the oxidation states of {formula} cannot balance by SMACT's table of 2014; {advice}"
            "ask without neutral"
        )


CONDITION_NAMES = tuple(field.name for field in fields(Conditions))
"""Names of the conditions, the same in Python, on the command line and in tables."""

_ENFORCED = ("composition", "chemical_system", "elements", "only", "exclude", "n_atoms")
_IMPLIED_BY = {
    "composition": "formula",
    "chemical_system": "formula",
    "crystal_system": "space_group",
}
"""Conditions that another line of the prompt implies."""

_NOT_CHECKABLE = ("formation_energy", "band_gap", "e_above_hull")
"""Conditions that cannot be measured from a crystal alone, in the order of prompts."""


def _plain_value(name: str, value: Any) -> str | int | float | bool:
    if name == "chemical_system":
        return "-".join(sorted(value))
    if name == "n_atoms":
        return _range_text(value)
    if isinstance(value, tuple):
        return " ".join(value)
    plain: str | int | float | bool = value
    return plain


def _range_text(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"
