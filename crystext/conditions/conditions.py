"""The conditions on a crystal: whether they are consistent, and whether a crystal satisfies them.

Names mean what they mean in the Materials Project's API. This module knows which conditions have a
line in a prompt, and which the grammar can enforce; `measure` says how each is measured in a
finished crystal. It does not sample.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Sized
from dataclasses import dataclass, fields, replace
from typing import Any

from crystext.chemistry.charge_balance import allowed_states
from crystext.chemistry.formulas import format_formula, parse_formula, sort_by_electronegativity
from crystext.conditions.consistency import check_elements, check_least_atoms, check_neutral
from crystext.conditions.element_counts import (
    ElementCounts,
    format_element_counts,
    sizes_with_counts,
)
from crystext.conditions.lists import format_range
from crystext.conditions.measure import measure_conditions
from crystext.conditions.outcome import ConditionMode, ConditionResult
from crystext.conditions.oxidation import (
    Oxidation,
    can_count,
    check_formula,
    check_oxidation,
    format_oxidation,
)
from crystext.conditions.parse import parse_condition, to_plain_value
from crystext.conditions.sampling_constraints import MAX_ATOMS, Constraints, max_atoms_hint
from crystext.conditions.units import required_elements
from crystext.errors import SettingError, did_you_mean
from crystext.structures.crystal import Crystal
from crystext.structures.properties import crystal_system
from crystext.structures.property_schema import PROPERTIES


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
    atoms_of: ElementCounts = ()
    """Fewest and most atoms of some elements in the cell."""
    oxidation: Oxidation = ()
    """Elements, and the only oxidation states that they may have where charges balance; see
    `chemistry.charge_balance`."""
    unit: tuple[str, ...] = ()
    """Atoms with exactly these nearest neighbours, such as PO4; see `units`."""

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
            SettingError: a name is unknown, or a value is invalid; a line for each fault.
        """
        values: dict[str, Any] = {}
        faults: list[str] = []
        for name, value in keywords.items():
            if name not in CONDITION_NAMES:
                faults.append(
                    f"no condition is called {name!r}; there are {', '.join(CONDITION_NAMES)}."
                    + did_you_mean(name, CONDITION_NAMES)
                )
                continue
            value = to_plain_value(value)
            if not (value is None or (isinstance(value, Sized) and len(value) == 0)):
                try:
                    values[name] = parse_condition(name, value)
                except SettingError as error:
                    faults.append(str(error))
        if faults:
            raise SettingError("\n".join(faults))
        return cls(**values)

    def __post_init__(self) -> None:
        """Refuse conditions that no crystal can satisfy."""
        check_elements(self.composition, self.chemical_system, self.required_elements, self.only)
        if self.space_group is not None and self.crystal_system is not None:
            own = crystal_system(self.space_group)
            if own != self.crystal_system:
                raise SettingError(
                    f"space group {self.space_group} is {own}, not {self.crystal_system}; "
                    f"ask for one of the two, or for the crystal system {own}"
                )
        if self.neutral and self.composition is not None:
            check_neutral(self.composition)
        if self.oxidation and self.composition is not None:
            check_formula(self.oxidation, self.formula)
        if self.n_atoms is not None and self.composition is None:
            check_least_atoms(self.required_elements, self.atoms_of, self.n_atoms)
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
        counted = {symbol for symbol, fewest, _ in self.atoms_of if fewest > 0}
        return tuple(sort_by_electronegativity(named | counted | {*required_elements(self.unit)}))

    @property
    def filters(self) -> tuple[str, ...]:
        """The requested conditions that leave out crystals: neither steered nor always enforced."""
        enforced = () if self.composition is None else ("oxidation",)
        return tuple(name for name in _FILTERS if getattr(self, name) and name not in enforced)

    def within(self, elements: Sequence[str]) -> Conditions:
        """Return the conditions for a chemical system of some of these elements.

        Oxidation states of elements that are not in it are left out.
        """
        states = tuple(pair for pair in self.oxidation if pair[0] in elements)
        return replace(self, chemical_system=tuple(elements), oxidation=states)

    def requested(self) -> dict[str, str | int | float | bool]:
        """Return the requested values by name, as plain values that `from_keywords` accepts."""
        return {name: _plain_value(name, value) for name, value in self._given().items()}

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

        Neutrality is not among them: it is checked before and after sampling; nor are filters.
        """
        said = {*self._in_prompt(), "neutral", *_FILTERS}
        return tuple(name for name in self.requested() if name not in said)

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
        low, high = fewest, min(most, max_atoms)
        if self.formula and self.atoms_of:
            low, high = sizes_with_counts(self.atoms_of, self.formula, (low, high))
        if self.oxidation and not self.formula:
            check_oxidation(self.oxidation, self._element_ranges(high), (low, high))
        constraints = Constraints(
            max_atoms=high,
            min_atoms=low,
            min_distance_ratio=min_distance_ratio,
            exclude=self.exclude,
            require=() if self.composition is not None else self.required_elements,
            only=self.chemical_system or self.only or None,
            formula=tuple(self.formula.items()),
            crystal_system=system,
            space_group=self.space_group,
            counts=() if self.formula else self.atoms_of,
            charges=self._enforced_charges(high),
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
        found = {} if crystal is None else measure_conditions(self._given(), crystal)
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

    def _given(self) -> dict[str, Any]:
        """Return the values that are requested, by name, as the fields hold them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value
            for name, value in values.items()
            if value not in (None, (), False) or isinstance(value, float)
        }

    def _is_enforced(self, name: str, enforced_by_format: Collection[str]) -> bool:
        if name in ("neutral", "oxidation") and self.composition is not None:
            # The formula is checked before sampling, and enforced.
            return True
        return name in _ENFORCED or name in enforced_by_format

    def _enforced_charges(self, max_atoms: int) -> Oxidation:
        """Return the states of all elements if the grammar can enforce that charges balance."""
        system = self.chemical_system
        if not self.oxidation or self.formula or not can_count(len(system), max_atoms):
            return ()
        return tuple(allowed_states(system, dict(self.oxidation)).items())

    def _element_ranges(self, max_atoms: int) -> dict[str, tuple[int, int]] | None:
        """Return the fewest and most atoms of each element that may occur; None if any may."""
        allowed = self.chemical_system or self.only
        if not allowed:
            return None
        counts = {symbol: (fewest, most) for symbol, fewest, most in self.atoms_of}
        required = self.required_elements
        return {
            symbol: (max(low, int(symbol in required)), high)
            for symbol in allowed
            for low, high in [counts.get(symbol, (0, max_atoms))]
            if symbol not in self.exclude
        }


CONDITION_NAMES = tuple(field.name for field in fields(Conditions))
"""Names of the conditions, the same in Python, on the command line and in tables."""

_ENFORCED = ("composition", "chemical_system", "elements", "only", "exclude", "n_atoms", "atoms_of")
_FILTERS = ("oxidation", "unit")
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
        return format_range(value)
    if name == "atoms_of":
        return format_element_counts(value)
    if name == "oxidation":
        return format_oxidation(value)
    if isinstance(value, tuple):
        return " ".join(value)
    plain: str | int | float | bool = value
    return plain
