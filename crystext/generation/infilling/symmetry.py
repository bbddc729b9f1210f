"""The symmetry of a structure that completions keep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from crystext.errors import SettingError
from crystext.io.read.partial_structures import PartialStructure
from crystext.structures.crystal import Crystal
from crystext.structures.space_groups import SYMPREC, find_space_group
from crystext.structures.standardize import find_symmetry
from crystext.text.partial import PartialCrystal


def space_group_of(sites: PartialStructure) -> int:
    """Return the number of the space group of a fully known structure.

    Raises:
        SettingError: a part of it is unknown, or spglib finds no space group.
    """
    numbers = (sites.lengths, sites.angles, sites.positions)
    if not (sites.numbers > 0).all() or any(np.isnan(x).any() for x in numbers):
        raise SettingError(
            "the space group cannot be kept: it is unknown, because the structure is incomplete"
        )
    group = find_space_group(Crystal(sites.lengths, sites.angles, sites.numbers, sites.positions))
    if group is None:
        raise SettingError(
            "the space group cannot be kept: spglib finds none, most often because atoms are too "
            "close together"
        )
    return group


def share_elements_by_orbit(partial: PartialCrystal, sites: PartialStructure) -> PartialCrystal:
    """Return a partial crystal in which symmetrically equivalent sites share one element.

    What goes wrong otherwise: with several unknown elements, each at several sites of an orbit, few
    choices agree at all of them, and all others lower the symmetry.

    An orbit with some known elements, or with different candidates at its sites, stays as it is.

    Args:
        partial: made from the structure; its first sites are those of the structure.
        sites: the fully known structure.

    Raises:
        InputError: spglib finds no symmetry in it.
    """
    whole = Crystal(sites.lengths, sites.angles, sites.numbers, sites.positions)
    found = find_symmetry(whole.lattice, whole.positions, whole.numbers, SYMPREC)
    orbits: dict[int, list[int]] = defaultdict(list)
    for site, orbit in enumerate(found.crystallographic_orbits.tolist()):
        orbits[orbit].append(site)
    taken = {site for group in partial.same_element_groups for site in group}
    shared = list(partial.same_element_groups)
    for orbit in orbits.values():
        unknown = all(partial.numbers[site] == 0 and site not in taken for site in orbit)
        if unknown and len({partial.candidates.get(site) for site in orbit}) == 1:
            shared.append(tuple(orbit))
    return replace(partial, same_element_groups=tuple(shared))
