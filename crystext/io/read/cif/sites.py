"""Read the rows of a CIF's site table: each is a whole atom of one element, or is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.errors import InputError
from crystext.io.read.cif.elements import SiteElement, element_of_type, elements_of_labels
from crystext.io.read.cif.formula import formula_of, named_elements
from crystext.io.read.cif.grammar import UNKNOWN_VALUES, CifBlock, loop_rows
from crystext.structures.crystal import isotope_notes

AXES = "xyz"

MAX_EXPANDED = 10_000
"""Maximum number of sites of a CIF times its symmetry operations."""


class SiteRow(NamedTuple):
    """A site as the file lists it."""

    label: str
    number: int
    """Atomic number; 0 if the file has `?` and that is allowed."""
    position: tuple[float, float, float]
    """Fractional coordinates; nan if the file has `?` and that is allowed."""
    steps: tuple[float, float, float]
    """Value of one unit of the last printed digit of each coordinate."""
    multiplicity: int
    """Number of atoms that the site generates according to the file; 0 if it does not say."""
    hydrogens: int
    """Number of hydrogen atoms attached to the atom, with or without positions."""


class SiteTable(NamedTuple):
    """The sites of a CIF, in its order, with notes on assumptions made."""

    rows: list[SiteRow]
    notes: list[str]


_COARSE_STEP = 2e-3
"""A coordinate of fewer than three digits, 0.5, may be exact, and then has no rounding error."""

_MAX_EXPONENT = 30
"""Maximum power of ten of a coordinate."""

_OCCUPANCY_TOLERANCE = 1e-3
"""Maximum excess of an occupancy over 1, as in refined or rounded ones."""

_FRACTION = re.compile(r"[-+]?\d{1,6}/\d{1,6}")
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:\((\d*)\)?)?")


def cif_number(text: str) -> float:
    """Return a number of a CIF, which may have an uncertainty: 0.25(3); nan if it is invalid."""
    match = _NUMBER.fullmatch(text)
    return float(match[1]) if match else math.nan


def cif_step(text: str) -> float:
    """Return the value of one unit of the last printed digit, or the uncertainty if larger."""
    match = _NUMBER.fullmatch(text)
    if match is None or not math.isfinite(float(match[1])):
        return 0.0
    mantissa, _, exponent = match[1].lower().partition("e")
    # Zeros at the end may be those of a format, as in 0.33330.
    decimals = len(mantissa.partition(".")[2].rstrip("0"))
    if exponent and abs(float(exponent)) > _MAX_EXPONENT:
        return 0.0
    step = 10.0 ** (int(exponent or 0) - decimals)
    uncertainty = int(match[2][:6]) * 10.0 ** -len(mantissa.partition(".")[2]) if match[2] else 0.0
    return max(step, uncertainty)


def read_site_table(block: CifBlock, *, partial: bool = False) -> SiteTable:
    """Return the sites of a block.

    Args:
        block: the data block.
        partial: accept `?` and `.` for an unknown element or coordinate.

    Raises:
        InputError: there is no site, or one is not a whole atom of one element at a known position.
    """
    listed = _site_rows(block)
    notes = []
    dummies = [row for row in listed if row.get("_atom_site_calc_flag", "").lower() == "dum"]
    if dummies:
        names = ", ".join(row.get("_atom_site_label", "?") for row in dummies[:5])
        notes.append(f"its dummy sites are left out: {names}")
        listed = [row for row in listed if row not in dummies]
    if not listed:
        raise InputError("it lists no atoms; expected _atom_site_ rows with fractional coordinates")
    if len(listed) > MAX_EXPANDED:
        raise InputError(f"it lists {len(listed)} sites; a structure may have {MAX_EXPANDED:,}")
    elements = _site_elements(block, listed, partial, notes)
    _check_disorder(listed)
    sites = [
        _read_site(i, row, element, partial)
        for i, (row, element) in enumerate(zip(listed, elements, strict=True), start=1)
    ]
    finest = min((step for site in sites for step in site.steps if step), default=0.0)
    for i, site in enumerate(sites):
        a, b, c = (step if 0 < step < _COARSE_STEP else finest for step in site.steps)
        sites[i] = site._replace(steps=(a, b, c))
    return SiteTable(sites, notes)


def _site_rows(block: CifBlock) -> list[dict[str, str]]:
    listed = list(loop_rows(block, "_atom_site_fract_x"))
    if not listed and "_atom_site_cartn_x" in block.items:
        raise InputError(
            "it gives only Cartesian coordinates; expected _atom_site_fract_x, _y and _z. Write "
            "fractional coordinates"
        )
    return listed


def _name_site(number: int, row: Mapping[str, str]) -> str:
    label = row.get("_atom_site_label", "")
    return f"site {number} ({label})" if label not in UNKNOWN_VALUES else f"site {number}"


def _site_elements(
    block: CifBlock, listed: Sequence[Mapping[str, str]], partial: bool, notes: list[str]
) -> list[SiteElement | None]:
    """Return the element of each site; None if it is unknown and that is allowed."""
    typed = "_atom_site_type_symbol" in listed[0]
    names = [row.get("_atom_site_type_symbol", row.get("_atom_site_label", "?")) for row in listed]
    found: list[SiteElement | None]
    if typed:
        found = [element_of_type(name) for name in names]
    else:
        declared = named_elements(block)
        counted = formula_of(block) is not None
        found = elements_of_labels(names, declared, composition_is_checked=counted)
        if not declared:
            notes.append(
                "its elements are taken from the labels of its sites, as it has no "
                "_atom_site_type_symbol"
            )
    for i, (row, name, element) in enumerate(zip(listed, names, found, strict=True), start=1):
        if element is None and not (partial and name in UNKNOWN_VALUES):
            raise InputError(
                f"{_name_site(i, row)} is of type {name!r}, which is not an element; expected a "
                "symbol such as Fe"
            )
    notes.extend(isotope_notes((i, e.isotope) for i, e in enumerate(found, start=1) if e))
    return found


def _check_disorder(listed: Sequence[Mapping[str, str]]) -> None:
    """Refuse partially occupied sites and alternative sites."""
    groups: dict[str, str] = {}
    for i, row in enumerate(listed, start=1):
        text = row.get("_atom_site_occupancy", ".")
        occupancy = 1.0 if text in UNKNOWN_VALUES else cif_number(text)
        where = _name_site(i, row)
        if math.isnan(occupancy) or occupancy > 1 + _OCCUPANCY_TOLERANCE:
            raise InputError(f"{where} has the occupancy {text!r}; expected a number from 0 to 1")
        if occupancy < 1 - 1e-6:
            name = row.get("_atom_site_type_symbol", row.get("_atom_site_label", ""))
            letters = re.match(r"[A-Za-z]*", name)
            raise InputError(
                f"{where} is disordered (occupied by {letters[0] if letters else name} "
                f"{occupancy:g}); expected one whole element per site. Try an ordered "
                "approximation, e.g. pymatgen's OrderDisorderedStructureTransformation"
            )
        group = row.get("_atom_site_disorder_group", ".")
        if group not in (*UNKNOWN_VALUES, "0"):
            groups.setdefault(group, where)
    if len(groups) > 1 or any(group.startswith("-") for group in groups):
        shown = ", ".join(f"{where} in group {group}" for group, where in groups.items())
        raise InputError(
            f"it is disordered: it has alternative sites, such as {shown[:120]}; expected one "
            "whole element per site. Keep one group, and correct its occupancies"
        )


def _read_site(
    number: int, row: Mapping[str, str], element: SiteElement | None, partial: bool
) -> SiteRow:
    values, steps = [], []
    for axis in AXES:
        text = row.get(f"_atom_site_fract_{axis}", "?")
        if partial and text in UNKNOWN_VALUES:
            values.append(math.nan)
            steps.append(0.0)
            continue
        value, step = cif_number(text), cif_step(text)
        if _FRACTION.fullmatch(text) and int(text.partition("/")[2]):
            above, _, below = text.partition("/")
            value, step = int(above) / int(below), 1e-6
        if not math.isfinite(value):
            raise InputError(
                f"{_name_site(number, row)} has a coordinate {axis} that is not finite: {text}; "
                "expected a number"
            )
        values.append(value)
        steps.append(step)
    multiplicity = row.get(
        "_atom_site_symmetry_multiplicity", row.get("_atom_site_site_symmetry_multiplicity", "")
    )
    hydrogens = row.get("_atom_site_attached_hydrogens", "")
    return SiteRow(
        row.get("_atom_site_label", "?"),
        ATOMIC_NUMBERS[element.symbol] if element else 0,
        (values[0], values[1], values[2]),
        (steps[0], steps[1], steps[2]),
        int(multiplicity) if multiplicity.isdecimal() and len(multiplicity) < 5 else 0,
        int(hydrogens) if hydrogens.isdecimal() and len(hydrogens) < 3 else 0,
    )
