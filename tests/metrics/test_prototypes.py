"""Which prototypes are known."""

from __future__ import annotations

import numpy as np
import pytest

from crystext.metrics.base import MetricInput
from crystext.metrics.prototypes import (
    Novelty,
    PrototypeIndex,
    equivalent_settings,
    make_prototype,
    prototype_label,
    prototype_of,
)
from crystext.metrics.registry import METRICS
from crystext.structures.augment import randomize_description
from crystext.structures.record import Record
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


def test_a_label_is_shared_by_all_elements_and_settings():
    assert prototype_label(ROCK_SALT) == prototype_label(
        make_prototype(225, [("O", "a"), ("Mg", "b")])
    )
    assert prototype_label(ROCK_SALT) == "225 a b"
    for name in ("srtio3", "wurtzite", "quartz"):
        prototype = prototype_of(to_wyckoff(EXAMPLE_CRYSTALS[name]))
        assert len({prototype_label(x) for x in equivalent_settings(prototype)}) == 1


def test_different_prototypes_are_counted_once():
    salt, wurtzite = EXAMPLE_CRYSTALS["nacl"], EXAMPLE_CRYSTALS["wurtzite"]
    samples = MetricInput([Record(x) for x in (salt, wurtzite, salt)])
    assert METRICS["prototypes"].compute(samples) == 2
