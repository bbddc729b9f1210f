"""What a user asks of a crystal: said in the prompt, seen to while drawing, checked afterwards.

Names mean what they mean in the Materials Project's API. This module knows which conditions have a
line in a prompt, which the automaton can see to, and how each is found in a finished crystal. It
draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

from crystext.conditions.parse import parse_condition
from crystext.crystal import Crystal
from crystext.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.errors import SettingError, did_you_mean
from crystext.formulas import by_electronegativity, formula_text, parse_formula
from crystext.grammar.constraints import Constraints
from crystext.oxidation import can_be_neutral, nearest_neutral
from crystext.properties import crystal_system, density, reduced_formula
from crystext.space_groups import find_space_group

DENSITY_TOLERANCE = 0.05
"""Share of the density asked for by which that of a crystal may differ and still be it."""

_DECIMALS = {"density": 2, "formation_energy": 2, "band_gap": 2, "e_above_hull": 3}
"""As `properties.written_properties` prints them."""

How = Literal["enforced", "steered", "checked"]
"""Seen to while drawing; asked for in the prompt; or only looked for afterwards."""


@dataclass(frozen=True)
class Kept:
    """One condition, and whether a crystal keeps it."""

    name: str
    asked: str | int | float | bool
    how: How
    found: str | int | float | bool | None
    """What the crystal has; None where nothing here can tell, or where there is no crystal."""
    kept: bool | None
    """None where nothing here can tell."""


def matched(records: Iterable[Kept]) -> bool:
    """Say whether all conditions that can be checked are kept."""
    return all(record.kept is not False for record in records)


@dataclass(frozen=True)
class Conditions:
    """What a crystal is asked to be, in canonical spelling; `Conditions.of` takes others.

    Raises:
        SettingError: conditions that contradict each other, or cannot be met.
    """

    composition: str | None = None
    """Reduced formula, elements by electronegativity; the number of formula units is open."""
    chemical_system: tuple[str, ...] = ()
    """Exactly these elements, each at least once."""
    elements: tuple[str, ...] = ()
    """Each of these has to occur."""
    only: tuple[str, ...] = ()
    """No element but these may occur; none named: all may."""
    exclude: tuple[str, ...] = ()
    """None of these may occur."""
    n_atoms: tuple[int, int] | None = None
    """Fewest and most atoms of the cell."""
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
    """Whether oxidation states have to balance, as `metrics/composition_validity` tells it by
    SMACT's table of 2014. A formula for which they cannot is refused."""

    @classmethod
    def of(cls, **wanted: Any) -> Conditions:
        """Return the conditions that are given by name, in any of their usual spellings.

        Args:
            wanted: None, an empty text and an empty list ask for nothing. Elements may be a text
                ("Li-Fe-O", "Li Fe O") or a list; the number of atoms 8, "8", "8-20" or (8, 20); a
                space group 225, "Fm-3m" or "F m -3 m"; numbers may be texts.

        Raises:
            SettingError: an unknown name, or a value that makes no sense.
        """
        values: dict[str, Any] = {}
        for name, value in wanted.items():
            if name not in NAMES:
                raise SettingError(
                    f"no condition is called {name!r}; there are {', '.join(NAMES)}."
                    + did_you_mean(name, NAMES)
                )
            if isinstance(value, str):
                value = value.strip()
            if value is not None and value not in ("", (), []):
                values[name] = parse_condition(name, value)
        return cls(**values)

    def __post_init__(self) -> None:
        """Refuse what no crystal can be."""
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

    def __bool__(self) -> bool:
        return bool(self.asked())

    @property
    def formula(self) -> dict[str, int]:
        """Count of each element in a formula unit; empty where no composition is asked for."""
        return {} if self.composition is None else parse_formula(self.composition)

    @property
    def needed(self) -> tuple[str, ...]:
        """The elements that have to occur, by electronegativity."""
        named = {*self.formula, *self.chemical_system, *self.elements}
        return tuple(by_electronegativity(named))

    def asked(self) -> dict[str, str | int | float | bool]:
        """Return what is asked for, by name, as plain values that `of` takes."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: _plain(name, value)
            for name, value in given.items()
            if value not in (None, (), False) or isinstance(value, float)
        }

    def properties(self) -> dict[str, str]:
        """Return the lines of the prompt: property names and values as prompts write them.

        Elements that must, or may, or may not occur, a range of numbers of atoms and neutrality
        have no line: a prompt can ask for a whole set of elements only. A crystal system has none
        beside a space group, of which it follows.
        """
        lines: dict[str, str] = {}
        if self.composition is not None:
            lines["formula"] = self.composition
        elif self.chemical_system:
            lines["chemical_system"] = "-".join(sorted(self.chemical_system))
        if self.space_group is not None:
            lines["space_group"] = str(self.space_group)
        elif self.crystal_system is not None:
            lines["crystal_system"] = self.crystal_system
        if self.n_atoms is not None and self.n_atoms[0] == self.n_atoms[1]:
            lines["n_atoms"] = str(self.n_atoms[0])
        for name, decimals in _DECIMALS.items():
            if (value := getattr(self, name)) is not None:
                text = f"{value:.{decimals}f}"
                lines[name] = text.lstrip("-") if float(text) == 0 else text
        return lines

    def constraints(self, *, max_atoms: int = 20, distance_scale: float = 0.65) -> Constraints:
        """Return what is to be seen to while a crystal is written.

        Args:
            max_atoms: the longest crystal that may be written.
            distance_scale: see `Constraints`.

        Raises:
            SettingError: the crystal would have to be longer than that, or no whole number of
                formula units has the number of atoms; the nearest that would do is named.
        """
        fewest, most = self.n_atoms or (1, max_atoms)
        if fewest > max_atoms:
            raise SettingError(
                f"{fewest} atoms are asked for, and crystals may have {max_atoms}; ask for "
                f"{max_atoms} or fewer, or allow more with max_atoms"
            )
        most = min(most, max_atoms)
        self._check_size(fewest, most, max_atoms)
        system = self.crystal_system
        if self.space_group is not None:
            system = crystal_system(self.space_group)
        open_to = self.chemical_system or self.only
        return Constraints(
            max_atoms=most,
            min_atoms=fewest,
            distance_scale=distance_scale,
            exclude=self.exclude,
            require=() if self.composition is not None else self.needed,
            only=open_to or None if self.composition is None else None,
            formula=tuple(self.formula.items()),
            crystal_system=system,
        )

    def check(self, crystal: Crystal | None, *, constrained: bool = True) -> tuple[Kept, ...]:
        """Return for each condition whether a crystal keeps it.

        The space group, and with it the crystal system, is what spglib finds at 0.1 Å; a density
        counts as kept within 5%. Energies and band gaps cannot be told from a crystal alone.

        Args:
            crystal: the crystal; None where a text was none, which keeps nothing.
            constrained: whether it was drawn under `constraints`.
        """
        lines = self.properties()
        steered = {*lines, *(name for name, line in _SAID_BY.items() if line in lines)}
        found = {} if crystal is None else self._found(crystal)
        records = []
        for name, asked in self.asked().items():
            how: How = "steered" if name in steered else "checked"
            if constrained and self._is_enforced(name):
                how = "enforced"
            if name in _UNTOLD:
                records.append(Kept(name, asked, how, None, None))
                continue
            value, kept = found.get(name, (None, False))
            records.append(Kept(name, asked, how, value, kept))
        return tuple(records)

    def _is_enforced(self, name: str) -> bool:
        if name == "neutral":
            # The formula was looked at before drawing, and is seen to.
            return self.composition is not None
        return name in _ENFORCED

    def _found(self, crystal: Crystal) -> dict[str, tuple[str | int | float | bool, bool]]:
        """Return what a crystal has, and whether that is what was asked for, by condition."""
        formula = reduced_formula(crystal.numbers)
        symbols = set(crystal.symbols)
        shown = " ".join(by_electronegativity(symbols))
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
            near = math.isclose(value, self.density, rel_tol=0, abs_tol=self._density_slack)
            found["density"] = (round(value, 2), near)
        if self.neutral:
            counts = parse_formula(formula)
            numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
            balanced = can_be_neutral(numbers, tuple(counts.values()))
            found["neutral"] = (balanced, balanced)
        return found

    @property
    def _density_slack(self) -> float:
        return DENSITY_TOLERANCE * (self.density or 0.0)

    def _check_elements(self) -> None:
        """Refuse elements that are asked for in one place and ruled out in another."""
        sets = {
            "composition": (set(self.formula), f"the formula {self.composition}"),
            "chemical_system": (
                set(self.chemical_system),
                f"the chemical system {'-'.join(self.chemical_system)}",
            ),
        }
        formula, system = sets["composition"][0], sets["chemical_system"][0]
        if formula and system and formula != system:
            raise SettingError(
                f"{sets['composition'][1]} is not of {sets['chemical_system'][1]}; leave the "
                f"chemical system out, or ask for {'-'.join(by_electronegativity(formula))}"
            )
        whole = formula or system
        whole_name = sets["composition" if formula else "chemical_system"][1]
        if whole and (more := set(self.elements) - whole):
            raise SettingError(
                f"{_listed(more)} cannot occur in {whole_name}; leave it out of elements, or ask "
                f"for the chemical system {'-'.join(by_electronegativity(whole | more))}"
            )
        needed = whole | set(self.elements)
        if banned := needed & set(self.exclude):
            raise SettingError(
                f"{_listed(banned)} is excluded, and {whole_name if whole else 'elements'} needs "
                "it; take it out of one of the two"
            )
        if self.only and (more := needed - set(self.only)):
            raise SettingError(
                f"{_listed(more)} is needed, and only {_listed(self.only)} may occur; add it to "
                "only, or do not ask for it"
            )
        if self.only and set(self.only) <= set(self.exclude):
            raise SettingError(
                f"only {_listed(self.only)} may occur, and all of it is excluded; leave one out of "
                "exclude"
            )
        if set(SYMBOLS) <= set(self.exclude):
            raise SettingError("all elements are excluded; leave at least one")

    def _check_charges(self, formula: str) -> None:
        counts = self.formula
        numbers = tuple(ATOMIC_NUMBERS[symbol] for symbol in counts)
        if can_be_neutral(numbers, tuple(counts.values())):
            return
        near = nearest_neutral(counts, most_atoms=max(20, sum(counts.values())))
        advice = "" if near is None else f"the nearest that can is {formula_text(near)}; or "
        raise SettingError(
            f"the oxidation states of {formula} cannot balance by SMACT's table of 2014; {advice}"
            "ask without neutral"
        )

    def _check_size(self, fewest: int, most: int, max_atoms: int) -> None:
        """Refuse cells that cannot hold what they have to."""
        unit = sum(self.formula.values())
        if unit > max_atoms:
            raise SettingError(
                f"a formula unit of {self.composition} has {unit} atoms, and crystals may have "
                f"{max_atoms}; ask for a smaller formula, or allow more with max_atoms "
                f"(models write well what they were taught: the shipped one, 20)"
            )
        if unit and most // unit * unit < fewest:
            fit = range(unit, max_atoms + 1, unit)
            nearest = min(fit, key=lambda n: (max(fewest - n, n - most, 0), n))
            raise SettingError(
                f"no whole number of formula units of {self.composition} ({unit} atoms) has "
                f"{_range_text((fewest, most))} atoms; the nearest number is {nearest}"
            )
        if not unit and len(self.needed) > most:
            raise SettingError(
                f"{len(self.needed)} elements have to occur in {most} atoms; ask for at least "
                f"{len(self.needed)} atoms, or for fewer elements"
            )


NAMES = tuple(field.name for field in fields(Conditions))
"""Names of the conditions, the same in Python, on the command line and in tables."""

_ENFORCED = ("composition", "chemical_system", "elements", "only", "exclude", "n_atoms")
_SAID_BY = {
    "composition": "formula",
    "chemical_system": "formula",
    "crystal_system": "space_group",
}
"""Conditions that another line of the prompt implies."""

_UNTOLD = ("formation_energy", "band_gap", "e_above_hull")
"""What nothing here can find in a crystal."""


def _plain(name: str, value: Any) -> str | int | float | bool:
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


def _listed(symbols: Iterable[str]) -> str:
    return ", ".join(by_electronegativity(symbols))
