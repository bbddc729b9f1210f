"""Which prototypes are known."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.metrics.prototypes import (
    Novelty,
    PrototypeIndex,
    equivalent_settings,
    make_prototype,
    prototype_of,
)
from crystext.structures.augment import randomize_description
from crystext.structures.wyckoff.orbits import to_wyckoff
from tests.example_crystals import EXAMPLE_CRYSTALS

ROCK_SALT = make_prototype(225, [("Na", "a"), ("Cl", "b")])


def index():
    made = PrototypeIndex()
    made.add(ROCK_SALT, "salt")
    return made


@pytest.mark.parametrize(
    ("orbits", "novelty"),
    [
        ([("K", "a"), ("Cl", "b")], Novelty.SUBSTITUTION),
        ([("K", "b"), ("Cl", "a")], Novelty.SUBSTITUTION),
        ([("Na", "b"), ("Cl", "a")], Novelty.SUBSTITUTION),
        ([("Mg", "a"), ("O", "b")], Novelty.KNOWN_PROTOTYPE),
        ([("Na", "a"), ("Cl", "c")], Novelty.NEW_PROTOTYPE),
        ([("Na", "a"), ("Cl", "b"), ("K", "c")], Novelty.NEW_PROTOTYPE),
    ],
)
def test_the_degree_is_by_the_elements_that_are_exchanged(orbits, novelty):
    assert index().find(make_prototype(225, orbits))[0] is novelty


def test_the_name_is_of_a_crystal_that_has_the_prototype():
    assert index().find(make_prototype(225, [("Mg", "b"), ("O", "a")])) == (
        Novelty.KNOWN_PROTOTYPE,
        "salt",
    )
    assert index().find(make_prototype(216, [("Zn", "a"), ("S", "c")])) == (
        Novelty.NEW_PROTOTYPE,
        None,
    )


@pytest.mark.parametrize("name", ["nacl", "srtio3", "wurtzite", "quartz"])
def test_a_choice_of_origin_and_axes_does_not_matter(name):
    crystal = to_wyckoff(EXAMPLE_CRYSTALS[name])
    settings = equivalent_settings(prototype_of(crystal))
    rng = np.random.default_rng(0)
    for _ in range(6):
        assert prototype_of(randomize_description(crystal, rng)) in settings
