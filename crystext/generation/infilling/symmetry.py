"""The symmetry of a structure that is to be kept while a part of it is filled in."""

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
    """Return the number of the space group of a structure that is known in whole.

    Raises:
        SettingError: a part of it is not known, or spglib finds no space group.
    """
    numbers = (sites.lengths, sites.angles, sites.positions)
    if not (sites.numbers > 0).all() or any(np.isnan(x).any() for x in numbers):
        raise SettingError(
            "the space group cannot be kept: the structure is given in part only, so its own is "
            "not known"
        )
    group = find_space_group(Crystal(sites.lengths, sites.angles, sites.numbers, sites.positions))
    if group is None:
        raise SettingError(
            "the space group cannot be kept: spglib finds none, most often because atoms are too "
            "close together"
        )
    return group


def share_elements_by_orbit(partial: PartialCrystal, sites: PartialStructure) -> PartialCrystal:
    """Return a partial crystal in which sites that symmetry makes equal are to hold one element.

    What goes wrong otherwise: of several elements that are asked for, each at several sites of an
    orbit, hardly any choice is the same at all of them, and any other lowers the symmetry.

    An orbit of which some sites keep their element, or whose sites may hold different elements,
    stays as it is.

    Args:
        partial: made of the structure; its first sites are the structure's.
        sites: the structure, known in whole.

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
