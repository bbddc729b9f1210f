"""Data augmentation: random equivalent descriptions of the same crystal."""

from __future__ import annotations

from functools import cache

import numpy as np

from crystext.chemistry.elements import ELECTRONEGATIVITY_RANK
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.wyckoff.cell_parameters import cell_parameters, free_parameter_values
from crystext.structures.wyckoff.normalizer import euclidean_normalizer
from crystext.structures.wyckoff.orbits import (
    Orbit,
    WyckoffCrystal,
    equivalent_sites,
    representatives,
)
from crystext.structures.wyckoff.positions import WyckoffPosition, wyckoff_positions


def translate(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Shift all atoms by one vector, uniform in the cell, and wrap them into it.

    Source: Gruver et al., arXiv:2402.04379, section 3 (augmentation by random translations).
    """
    positions = (crystal.positions + rng.random(3)) % 1.0
    return Crystal(crystal.lengths, crystal.angles, crystal.numbers, positions)


def permute_within_species(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """Shuffle the atoms within each element; the sequence of elements is unchanged."""
    shuffled = rng.permutation(len(crystal))
    order = np.empty_like(shuffled)
    # Both sides list the sites element by element; the shuffled side in random order within each.
    order[np.argsort(crystal.numbers, kind="stable")] = shuffled[
        np.argsort(crystal.numbers[shuffled], kind="stable")
    ]
    return Crystal(crystal.lengths, crystal.angles, crystal.numbers, crystal.positions[order])


def randomize_description(crystal: WyckoffCrystal, rng: np.random.Generator) -> WyckoffCrystal:
    """Randomize the origin, the axes, the representative site of each orbit, and the orbits' order.

    Origin and axes are chosen among the equivalent ones of the space group (`wyckoff.normalizer`).
    Orbits stay sorted by electronegativity; those of one element are shuffled.
    """
    group = crystal.space_group
    normalizer = euclidean_normalizer(group)
    chosen = int(rng.integers(len(normalizer.rotations)))
    axes = normalizer.rotations[chosen]
    shift = normalizer.shifts[chosen] + normalizer.free_origin * rng.random(3)
    orbits = []
    for orbit in crystal.orbits:
        if not len(orbit.free_coordinates):
            moved = _transformed_position(group, orbit.position.letter, chosen)
            orbits.append(orbit._replace(position=moved))
            continue
        site = axes @ orbit.position.site(orbit.free_coordinates) + shift
        orbits.append(_orbit_of_site(site, orbit, rng))
    order = rng.permutation(len(orbits)).tolist()
    order.sort(key=lambda i: ELECTRONEGATIVITY_RANK[orbits[i].atomic_number])
    lengths, angles = cell_parameters(group, crystal.cell)
    # Lengths follow exchanged axes; all free angles lie between axes that are not exchanged.
    cell = free_parameter_values(group, lengths[np.abs(axes).argmax(axis=1)], angles)
    return WyckoffCrystal(group, tuple(orbits[i] for i in order), tuple(cell))


@cache
def _transformed_position(space_group: int, letter: str, choice: int) -> WyckoffPosition:
    """Return a position without free coordinates after a choice of origin and axes.

    If the origin is arbitrary along an axis, all positions are free along it.
    """
    normalizer = euclidean_normalizer(space_group)
    was = wyckoff_positions(space_group)[letter]
    site = normalizer.rotations[choice] @ was.offset + normalizer.shifts[choice]
    orbit = Orbit(0, was, was.offset[:0])
    return _orbit_of_site(site, orbit, np.random.default_rng(0)).position


def _orbit_of_site(site: Floats, orbit: Orbit, rng: np.random.Generator) -> Orbit:
    """Return the orbit of a site, with a random representative.

    The site's position has the multiplicity and number of free coordinates of the previous one.
    """
    was = orbit.position
    candidates = [
        p
        for p in wyckoff_positions(was.space_group).values()
        if p.multiplicity == was.multiplicity and len(p.free_axes) == len(was.free_axes)
    ]
    sites = equivalent_sites(was.space_group, site)
    for position in candidates:
        found = representatives(position, sites)
        if len(found):
            return Orbit(orbit.atomic_number, position, found[int(rng.integers(len(found)))])
    raise AssertionError(f"no position of space group {was.space_group} holds {site}")
