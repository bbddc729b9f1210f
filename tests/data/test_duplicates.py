"""Equal crystals: asked of pymatgen's matcher, whatever cell, origin or order they come in."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.data import duplicates
from crystext.data.duplicates import (
    REPEAT_TOLERANCES,
    SPLIT_TOLERANCES,
    Duplicates,
    find_duplicates,
)
from crystext.structures.augment import permute_within_species, translate
from crystext.structures.crystal import Crystal
from tests.example_crystals import EXAMPLE_CRYSTALS, IRON, NACL, QUARTZ, SRTIO3


def copy_of(crystal: Crystal, seed: int) -> Crystal:
    """Return a supercell, shifted and shuffled."""
    rng = np.random.default_rng(seed)
    big = Crystal.from_structure(crystal.structure * (2, 1, 1))
    return permute_within_species(translate(big, rng), rng)


def shaken(crystal: Crystal, size: float, seed: int) -> Crystal:
    rng = np.random.default_rng(seed)
    return Crystal(
        crystal.lengths * rng.uniform(0.95, 1.05, 3),
        crystal.angles,
        crystal.numbers,
        crystal.positions + rng.normal(0, size, crystal.positions.shape),
    )


def test_copies_are_repetitions_of_the_first() -> None:
    crystals = [QUARTZ, NACL, copy_of(QUARTZ, 1), IRON, copy_of(NACL, 2), copy_of(QUARTZ, 3)]
    found = find_duplicates(crystals, [], drop_repeats=True, group=True)
    assert found.repeats == {2: 0, 4: 1, 5: 0}
    assert find_duplicates(crystals, [], drop_repeats=False, group=False).repeats == {}


def test_copies_are_one_group_where_they_are_kept() -> None:
    crystals = [QUARTZ, NACL, copy_of(QUARTZ, 1), IRON, copy_of(NACL, 2)]
    assert find_duplicates(crystals, [], drop_repeats=False, group=True).groups == [0, 1, 0, 3, 1]


def test_what_is_held_out_is_found_in_train_whatever_its_description() -> None:
    held_out = [copy_of(SRTIO3, 1), copy_of(NACL, 2), copy_of(NACL, 3)]
    found = find_duplicates([QUARTZ, NACL, IRON], held_out, drop_repeats=True, group=False)
    assert found.held_out == {1: 1}
    assert found.repeats == {}, "held-out duplicates are kept"


def test_repetitions_are_judged_more_narrowly_than_overlap() -> None:
    distorted = shaken(QUARTZ, 0.06, seed=0)
    structures = QUARTZ.structure, distorted.structure
    assert SPLIT_TOLERANCES.matcher().fit(*structures)
    assert not REPEAT_TOLERANCES.matcher().fit(*structures)
    assert find_duplicates([QUARTZ, distorted], [], drop_repeats=True, group=True) == Duplicates(
        repeats={}, groups=[0, 0], held_out={}
    )
    assert find_duplicates([QUARTZ], [distorted], drop_repeats=True, group=False).held_out == {0: 0}


def oracle(seed: int, count: int = 40) -> tuple[list[Crystal], list[Crystal]]:
    rng = np.random.default_rng(seed)
    names = sorted(EXAMPLE_CRYSTALS)
    made = [
        shaken(EXAMPLE_CRYSTALS[names[rng.integers(len(names))]], rng.choice([0.01, 0.07]), int(k))
        for k in rng.integers(10**6, size=count)
    ]
    return made[: count * 3 // 4], made[count * 3 // 4 :]


def fit(first: Crystal, second: Crystal, ltol: float, stol: float, angle: float) -> bool:
    matcher = StructureMatcher(ltol=ltol, stol=stol, angle_tol=angle)
    return any(matcher.fit(a.structure, b.structure) for a, b in ((first, second), (second, first)))


def test_it_finds_what_comparing_each_with_each_by_pymatgen_finds() -> None:
    learned, held_out = oracle(seed=5)
    found = find_duplicates(learned, held_out, drop_repeats=True, group=True)
    kept: list[int] = []
    repeats: dict[int, int] = {}
    for i, crystal in enumerate(learned):
        earlier = [k for k in kept if fit(learned[k], crystal, 0.2, 0.3, 5)]
        if earlier:
            repeats[i] = earlier[0]
        else:
            kept.append(i)
    assert found.repeats == repeats
    wide = 0.3, 0.5, 10
    matched = {i: [k for k, h in enumerate(held_out) if fit(learned[i], h, *wide)] for i in kept}
    assert found.held_out == {i: others[0] for i, others in matched.items() if others}
    for n, i in enumerate(kept):
        for k in kept[:n]:
            if fit(learned[i], learned[k], *wide):
                assert found.groups[i] == found.groups[k]
    assert 1 < len({found.groups[i] for i in kept}) < len(kept)


def test_the_answer_does_not_depend_on_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned, held_out = oracle(seed=6)
    steps: dict[str, list[int]] = {}

    def begin(name: str, total: int | None) -> object:
        steps[name] = [total or 0, 0]

        def advance() -> None:
            steps[name][1] += 1

        return advance

    alone = find_duplicates(learned, held_out, drop_repeats=True, group=True)
    monkeypatch.setattr(duplicates, "_MIN_CRYSTALS_FOR_PROCESSES", 0)
    many = find_duplicates(
        learned,
        held_out,
        drop_repeats=True,
        group=True,
        workers=2,
        start_progress=begin,  # type: ignore[arg-type]
    )
    assert alone == many
    assert alone.repeats
    assert all(total == done > 0 for total, done in steps.values())
    assert len(steps) == 2
