"""The symmetry of a structure that completions keep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from crystext.errors import InputError, SettingError
from crystext.generation.infilling.group_settings import KnownSites, find_settings
from crystext.generation.infilling.orbit_task import known_sites
from crystext.io.read.cif.build import METRIC_TOLERANCE
from crystext.io.read.cif.operations import Operations
from crystext.io.read.partial_structures import PartialStructure
from crystext.structures.crystal import Crystal
from crystext.structures.properties import space_group_symbols
from crystext.structures.space_groups import SYMPREC, find_space_group, parse_space_group
from crystext.structures.standardize import find_symmetry
from crystext.structures.wyckoff.metric_tensor import consistent_cells
from crystext.structures.wyckoff.setting import GroupSetting, group_setting
from crystext.text.partial import PartialCrystal

OF_FILE = "file"
"""In place of a space group: the one that the file declares."""


def space_group_of(sites: PartialStructure) -> int:
    """Return the number of the space group of a fully known structure.

    Raises:
        SettingError: a part of it is unknown, or spglib finds no space group.
    """
    numbers = (sites.lengths, sites.angles, sites.positions)
    if not (sites.numbers > 0).all() or any(np.isnan(x).any() for x in numbers):
        raise SettingError(
            "the space group cannot be kept: it is unknown, because the structure is incomplete; "
            "name it (space_group=136, or --space-group 136)"
        )
    group = find_space_group(Crystal(sites.lengths, sites.angles, sites.numbers, sites.positions))
    if group is None:
        raise SettingError(
            "the space group cannot be kept: spglib finds none, most often because atoms are too "
            "close together"
        )
    return group


def requested_settings(
    space_group: int | str | None, partial: PartialCrystal, sites: PartialStructure
) -> list[GroupSetting]:
    """Return the settings of the space group that completions are to have.

    Args:
        space_group: number or symbol; `file` is the one that the file declares; None is that too
            where the file lists an asymmetric unit.
        partial: made from the structure.
        sites: the structure.

    Raises:
        InputError: the known atoms, the cell or the file's own operations contradict the group.
        SettingError: there is no such group, or the file declares none.
    """
    given = known_sites(partial, sites)
    asked = str(space_group).strip().lower()
    own = [each for each in sites.symmetry if not each.is_identity]
    if sites.unit is None and asked != OF_FILE:
        assert space_group is not None, "only called with a space group"
        return find_settings(parse_space_group(space_group), given)
    if not own:
        raise SettingError(
            "the file's space group is asked for, and the file declares none but P 1; name one, "
            "such as --space-group 136"
        )
    number = own[0].number
    if asked != OF_FILE and space_group is not None:
        wanted = parse_space_group(space_group)
        if wanted != number:
            raise InputError(
                f"the file's symmetry operations are those of {_name(number)}, and {_name(wanted)} "
                "is asked for; expected one. Leave out the space group, or list every atom in P 1"
            )
    return [_setting_of_operations(each, given) for each in own]


def settings_of_structure(sites: PartialStructure) -> list[GroupSetting]:
    """Return the setting of the space group that spglib finds in a fully known structure.

    Raises:
        SettingError: a part of it is unknown, or spglib finds no space group.
    """
    number = space_group_of(sites)
    whole = Crystal(sites.lengths, sites.angles, sites.numbers, sites.positions)
    found = find_symmetry(whole.lattice, whole.positions, whole.numbers, SYMPREC)
    return [
        group_setting(number, found.rotations.astype(np.float64), found.translations, whole.lattice)
    ]


def _setting_of_operations(operations: Operations, given: KnownSites) -> GroupSetting:
    turns = operations.rotations.astype(np.float64)
    if not operations.number:
        raise InputError(
            "the file's symmetry operations are of no space group; expected all operations of one"
        )
    if not consistent_cells(turns, given.lengths, given.angles, METRIC_TOLERANCE):
        raise InputError(
            f"the file's operations, those of {_name(operations.number)}, do not keep its cell; "
            "expected lengths to be equal, or angles to be 90 or 120 degrees, as the group needs "
            "them. Correct the cell, or leave it open (--cell)"
        )
    return group_setting(
        operations.number,
        turns,
        operations.translations,
        given.lattice if given.has_cell else None,
    )


def _name(number: int) -> str:
    return f"space group {number} ({space_group_symbols()[number]})"


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
