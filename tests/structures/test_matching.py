import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.data.shipped import read_shipped_set, shipped_set
from crystext.data.store import read_store, write_store
from crystext.metrics.novelty import find_matches
from crystext.metrics.structure_prediction import rms_distance
from crystext.metrics.uniqueness import duplicates_of
from crystext.structures.augment import permute_within_species, translate
from crystext.structures.crystal import Crystal
from crystext.structures.matching import (
    DIFFCSP_TOLERANCES,
    PYMATGEN_TOLERANCES,
    FormulaGroup,
    MatchTolerances,
    group_by_formula,
    is_same,
    reduce_for_matching,
)
from crystext.structures.record import Record
from crystext.structures.space_groups import find_space_group
from crystext.text import decode
from tests.example_crystals import QUARTZ


def crystal(lengths, angles, numbers, positions):
    return Crystal(
        np.array(lengths, float),
        np.array(angles, float),
        np.array(numbers),
        np.array(positions, float),
    )


CENTRE = [[0, 0, 0], [0.5, 0.5, 0.5]]
ROCK_SALT = crystal([3.99, 3.99, 3.99], [60, 60, 60], [11, 17], CENTRE)
CAESIUM_CHLORIDE_TYPE = crystal([3.4, 3.4, 3.4], [90] * 3, [11, 17], CENTRE)
POTASSIUM_SALT = crystal([3.99, 3.99, 3.99], [60, 60, 60], [19, 17], CENTRE)
ONE_WAY = [decode(text).crystal for text in ("139\nCa 2a\n4.170 4.814", "225\nCa 4a\n5.507")]
NEEDLE = crystal([0.5, 0.5, 300], [90] * 3, [11, 17], CENTRE)


def supercell(c):
    return Crystal.from_structure(c.structure * [[0, 1, 1], [1, 0, 1], [1, 1, 0]])


def jittered(seed, n):
    """Many crystals of few formulas around few prototypes, some near enough to be one, some not."""
    rng = np.random.default_rng(seed)
    prototypes = [ROCK_SALT, CAESIUM_CHLORIDE_TYPE, POTASSIUM_SALT, supercell(ROCK_SALT)]
    made = []
    for _ in range(n):
        base = prototypes[rng.integers(len(prototypes))]
        made.append(
            Crystal(
                base.lengths * rng.uniform(0.8, 1.25, 3),
                base.angles + rng.uniform(-9, 9, 3),
                base.numbers,
                base.positions + rng.normal(0, 0.08, base.positions.shape),
            )
        )
    return made


def either_way(tolerances):
    """Return pymatgen's own answer for two crystals, asked in both orders."""
    matcher = StructureMatcher(
        ltol=tolerances.ltol, stol=tolerances.stol, angle_tol=tolerances.angle_tol
    )

    def fits(one, other):
        first, second = one.structure, other.structure
        return matcher.fit(first, second) or matcher.fit(second, first)

    return fits


def test_shifted_shuffled_and_enlarged_copies_are_duplicates():
    rng = np.random.default_rng(0)
    big = supercell(ROCK_SALT)
    copies = [ROCK_SALT, big, translate(big, rng), permute_within_species(big, rng)]
    assert duplicates_of(copies) == [None, 0, 0, 0]


def test_polymorphs_and_other_elements_are_different_crystals():
    assert duplicates_of([ROCK_SALT, CAESIUM_CHLORIDE_TYPE, POTASSIUM_SALT]) == [None] * 3


def test_duplicates_point_at_the_first_kept_crystal_of_the_whole_list():
    mixed = [POTASSIUM_SALT, ROCK_SALT, POTASSIUM_SALT, CAESIUM_CHLORIDE_TYPE, ROCK_SALT]
    assert duplicates_of(mixed) == [None, None, 0, None, 1]


@pytest.mark.parametrize("tolerances", [MatchTolerances(), MatchTolerances(0.2, 0.3, 5)])
def test_kept_crystals_are_those_that_pymatgen_fits_in_neither_order(tolerances):
    crystals = jittered(seed=1, n=60)
    fits = either_way(tolerances)
    expected, kept = [], []
    for i, one in enumerate(crystals):
        expected.append(next((k for k in kept if fits(crystals[k], one)), None))
        if expected[-1] is None:
            kept.append(i)
    found = duplicates_of(crystals, tolerances=tolerances)
    assert found == expected
    assert len(crystals) > found.count(None) > 3


def test_a_cell_too_thin_to_compare_matches_nothing():
    assert reduce_for_matching(NEEDLE) is None
    assert duplicates_of([NEEDLE, NEEDLE, ROCK_SALT, ROCK_SALT]) == [None, None, None, 2]


def test_stricter_tolerances_tell_more_crystals_apart():
    overlapping = Crystal(
        ROCK_SALT.lengths, ROCK_SALT.angles, ROCK_SALT.numbers, ROCK_SALT.positions * 0.04
    )
    assert duplicates_of([ROCK_SALT, overlapping]) == [None, 0]
    assert (
        duplicates_of([ROCK_SALT, overlapping], tolerances=MatchTolerances(0.2, 0.3, 5))
        == [None] * 2
    )


def test_no_crystal_has_no_duplicate():
    assert duplicates_of([]) == []


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "store"
    known = [POTASSIUM_SALT, CAESIUM_CHLORIDE_TYPE, supercell(ROCK_SALT), ROCK_SALT]
    write_store(folder, {"train": [Record(c) for c in known]})
    return read_store(folder, "train")


def test_matches_name_the_first_row_of_the_reference(reference):
    silicon = crystal([3.86] * 3, [60] * 3, [14, 14], [[0, 0, 0], [0.25, 0.25, 0.25]])
    asked = [silicon, ROCK_SALT, CAESIUM_CHLORIDE_TYPE, POTASSIUM_SALT]
    assert find_matches(asked, reference) == [None, 2, 1, 0]


def test_a_new_polymorph_of_a_known_formula_is_novel(reference):
    layered = crystal([3, 3, 12], [90] * 3, [11, 17], [[0, 0, 0], [0, 0, 0.25]])
    assert find_matches([layered], reference) == [None]


def test_matches_are_those_of_pymatgens_fit_in_either_order(reference):
    crystals = jittered(seed=2, n=40)
    fits = either_way(DIFFCSP_TOLERANCES)
    known = [reference[row].crystal for row in range(len(reference))]
    expected = [next((row for row, k in enumerate(known) if fits(k, c)), None) for c in crystals]
    found = find_matches(crystals, reference)
    assert found == expected
    assert len(set(found)) > 2


def test_more_workers_give_the_same_answers(reference):
    crystals = jittered(seed=3, n=30)
    assert duplicates_of(crystals, workers=2) == duplicates_of(crystals)
    assert find_matches(crystals, reference, workers=2) == find_matches(crystals, reference)


@pytest.mark.parametrize("tolerances", [DIFFCSP_TOLERANCES, PYMATGEN_TOLERANCES])
def test_peers_are_those_that_the_matcher_fits_in_either_order(tolerances):
    """Whatever was ruled out by lengths alone, the matcher rules out as well."""
    reduced = [reduce_for_matching(c) for c in jittered(seed=4, n=50) if 19 not in c.numbers]
    reduced += [None, reduced[0]]
    peers, matcher = FormulaGroup(reduced, tolerances), tolerances.matcher()

    def fits(i, j):
        first, second = reduced[i], reduced[j]
        return first is not None and second is not None and bool(matcher.fit(first, second))

    everyone = range(len(reduced))
    asked = 0
    for i in everyone:
        candidates = peers.candidates(i, everyone)
        asked += len(candidates)
        expected = [j for j in everyone if fits(j, i) or fits(i, j)]
        assert [j for j in candidates if peers.match(i, j)] == expected
    assert asked < 0.9 * len(reduced) ** 2, "some need not be asked about"


@pytest.mark.parametrize("tolerances", [DIFFCSP_TOLERANCES, PYMATGEN_TOLERANCES])
def test_what_is_answered_without_the_matcher_is_what_it_would_answer(tolerances, monkeypatch):
    """On layers in long cells too, of which a lattice is mapped on another in hundreds of ways."""
    rng = np.random.default_rng(0)
    stacks = [
        crystal([3.3, 3.3, 25], [90, 90, 120], [42, 16, 16, 34, 42, 34],
                np.c_[rng.integers(3, size=(6, 2)) / 3, np.arange(6) / 8 + rng.normal(0, 0.01, 6)])
        for _ in range(12)
    ]  # fmt: skip
    stacks += [translate(stack, rng) for stack in stacks[:3]]
    matcher, asked = tolerances.matcher(), []
    fit = matcher.fit
    monkeypatch.setattr(matcher, "fit", lambda *a, **k: asked.append(1) or fit(*a, **k))
    answers = []
    for group in ([c for c in jittered(seed=5, n=50) if 19 not in c.numbers], stacks):
        reduced = [reduce_for_matching(c) for c in group]
        for first in reduced:
            for second in reduced:
                answers.append(is_same(matcher, first, second))
                same_size = len(first) == len(second)
                expected = same_size and any(
                    fit(*pair, skip_structure_reduction=True)
                    for pair in ((first, second), (second, first))
                )
                assert answers[-1] == expected
    assert sum(answers) <= len(asked) < 0.7 * 2 * len(answers)
    assert sum(answers) > 20


def one_way(first, second, tolerances=DIFFCSP_TOLERANCES):
    return bool(tolerances.matcher().fit(first.structure, second.structure))


def test_a_match_does_not_depend_on_the_order():
    """Two phases of calcium of MP-20 test: the matcher maps one on the other, and not back."""
    pair = ONE_WAY
    assert one_way(*pair) != one_way(*reversed(pair))
    first, second = map(reduce_for_matching, pair)
    matcher = DIFFCSP_TOLERANCES.matcher()
    assert is_same(matcher, first, second)
    assert is_same(matcher, second, first)
    assert duplicates_of(pair) == duplicates_of(pair[::-1]) == [None, 0]


@pytest.mark.parametrize("tolerances", [DIFFCSP_TOLERANCES, PYMATGEN_TOLERANCES])
def test_no_match_of_real_crystals_depends_on_the_order(tolerances, tmp_path):
    records = list(read_shipped_set(shipped_set("mp20_test")))
    groups = [g for g in group_by_formula(r.crystal.numbers for r in records).values() if g[1:]]
    chosen = np.random.default_rng(0).choice(len(groups), 60, replace=False)
    pairs = [[records[i].crystal for i in groups[k][:2]] for k in chosen]
    matcher, matched = tolerances.matcher(), 0
    for k, (one, other) in enumerate(pairs):
        first, second = reduce_for_matching(one), reduce_for_matching(other)
        answer = is_same(matcher, first, second)
        assert answer == is_same(matcher, second, first)
        assert (duplicates_of([one, other], tolerances=tolerances)[1] == 0) == answer
        assert (duplicates_of([other, one], tolerances=tolerances)[1] == 0) == answer
        matched += answer
        if k < 10:
            for known, asked in ((one, other), (other, one)):
                write_store(tmp_path / "store", {"train": [Record(known)]})
                store = read_store(tmp_path / "store", "train")
                assert find_matches([asked], store, tolerances=tolerances) == [
                    0 if answer else None
                ]
    assert 0 < matched < len(pairs)


def test_oxidation_states_of_a_source_decide_nothing():
    bare = ROCK_SALT.structure
    charged = bare.copy()
    charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    matcher = StructureMatcher()
    assert matcher.fit(bare, charged) != matcher.fit(charged, bare), "as pymatgen has it"
    crystals = [Crystal.from_structure(x) for x in (bare, charged)]
    assert duplicates_of(crystals) == duplicates_of(crystals[::-1]) == [None, 0]
    assert str(crystals[1].structure.composition) == "Na1 Cl1"


def test_enantiomorphs_are_one_crystal(reference, tmp_path):
    left = Crystal(QUARTZ.lengths, QUARTZ.angles, QUARTZ.numbers, 1 - QUARTZ.positions)
    assert {find_space_group(c) for c in (QUARTZ, left)} == {152, 154}
    assert duplicates_of([QUARTZ, left]) == duplicates_of([left, QUARTZ]) == [None, 0]
    write_store(tmp_path / "store", {"train": [Record(QUARTZ)]})
    assert find_matches([left], read_store(tmp_path / "store", "train")) == [0]
    assert rms_distance(left, QUARTZ) == pytest.approx(0, abs=1e-3)
