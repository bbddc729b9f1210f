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
    """None of these may occur: elements, or lists of them by name: `radioactive`, `noble-gas`,
    `lanthanide`, `actinide`, as in "radioactive,noble-gas,Hg,Tl"."""
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
    atoms_of: str | Mapping[str, int | tuple[int, int]] | Collection[str] | None
    """Atoms of an element in the cell: "Li=2-4 P=1", or {"Li": (2, 4), "P": 1}. A least number of 0
    allows that the element is missing."""
    oxidation: str | Mapping[str, int | Collection[int]] | Collection[str] | None
    """Oxidation states: "P=5 Fe=2,3", or {"P": 5, "Fe": [2, 3]}. Charges must balance with these
    elements in the given states only, atom by atom. All others have their usual ones: pymatgen's
    common oxidation states, and those with at least 10 entries and 1% of the element's entries in
    the ICSD. An element given here need not occur. A filter: crystals that fail are drawn again."""
    unit: str | Collection[str] | None
    """Atoms and their exact nearest neighbours: "PO4" is every P in four O and nothing else, by
    CrystalNN without oxidation states; the elements must occur. Several units of one element are
    alternatives. A filter: crystals that fail are drawn again."""
