"""The keyword arguments for conditions in Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypedDict


class ConditionKwargs(TypedDict, total=False):
    """The conditions on a crystal; `Conditions.from_keywords` lists the spellings of each."""

    composition: str | Mapping[Any, float] | None
    """Exactly this formula: "SrTiO3", {"Sr": 1, "Ti": 1, "O": 3} or pymatgen's Composition; the
    number of formula units is open."""
    chemical_system: str | Collection[str] | None
    """Exactly these elements, each at least once: "Li-Fe-P-O" or a list."""
    elements: str | Collection[str] | None
    """Each of these must occur; others may."""
    only: str | Collection[str] | None
    """Only these elements may occur."""
    exclude: str | Collection[str] | None
    """None of these may occur."""
    n_atoms: int | str | tuple[int, int] | None
    """Atoms in the cell: 8, or from 8 to 20 as (8, 20)."""
    space_group: int | str | None
    """Number, or symbol such as "Fm-3m"."""
    crystal_system: str | None
    density: float | None
    """g/cm^3."""
    formation_energy: float | None
    """eV/atom."""
    band_gap: float | None
    """eV."""
    e_above_hull: float | None
    """eV/atom."""
    neutral: bool
    """Whether oxidation states must balance by SMACT's table of 2014. Elements and alloys of
    metals pass, since they have no charges to balance."""
