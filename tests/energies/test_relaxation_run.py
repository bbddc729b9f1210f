"""Many relaxations in one folder, which a kill leaves ready to go on."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from ase.calculators.emt import EMT
from filelock import FileLock

from crystext.energies import potentials
from crystext.energies.potentials import load_potential_once
from crystext.energies.potentials.chgnet import CHGNET
from crystext.energies.relax import RelaxationLimits, RelaxationOutcome, relax
from crystext.energies.relaxation_run import recorded_potential, relax_all
from crystext.errors import ModelError, RunError, SettingError
from crystext.structures.crystal import Crystal
from tests.process_tasks import COPPER, emt

CENTRE = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def binary(length, numbers, positions=CENTRE):
    return Crystal(np.full(3, length), np.full(3, 60.0), np.array(numbers), positions)


CRYSTALS = {
    0: binary(3.9, [11, 17]),
    1: binary(2.9, [12, 8]),
    4: binary(3.9, [11, 17], CENTRE * 0.1),
    9: binary(4.4, [19, 35]),
}


@pytest.fixture(scope="module")
def weights(shared_data):
    return str(shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES")


def outcomes(relaxations):
    return {index: r.outcome for index, r in relaxations.items()}


def energies(relaxations):
    return {index: r.energy for index, r in relaxations.items()}


def test_a_torn_file_is_gone_on_with_and_nothing_is_relaxed_twice(weights, tmp_path):
    few = {index: CRYSTALS[index] for index in (0, 1, 4)}
    whole = relax_all(few, tmp_path / "whole", potential=weights)
    assert outcomes(whole) == {
        0: RelaxationOutcome.CONVERGED,
        1: RelaxationOutcome.CONVERGED,
        4: RelaxationOutcome.TOO_CLOSE,
    }
    lines = (tmp_path / "whole" / "relaxations.jsonl").read_bytes().splitlines(keepends=True)
    torn = tmp_path / "torn"
    relax_all({}, torn, potential=weights)
    (torn / "relaxations.jsonl").write_bytes(lines[0] + lines[1][:-30])
    seen = []
    again = relax_all(few, torn, potential=weights, report=lambda *x: seen.append(x))
    assert seen[0] == (1, 3)
    assert outcomes(again) == outcomes(whole)
    assert energies(again) == pytest.approx(energies(whole), abs=1e-6)
    assert again[0].crystal == whole[0].crystal

    with pytest.raises(RunError, match="steps: 500 there, 3 here"):
        relax_all(few, torn, potential=weights, limits=RelaxationLimits(steps=3))


def test_more_time_relaxes_only_those_again_that_were_too_slow(tmp_path, weights):
    few = {index: CRYSTALS[index] for index in (0, 1, 4)}
    slow = relax_all(few, tmp_path, potential=weights, limits=RelaxationLimits(seconds=1e-6))
    assert RelaxationOutcome.TOO_SLOW in outcomes(slow).values()
    n_slow = sum(x is RelaxationOutcome.TOO_SLOW for x in outcomes(slow).values())
    seen = []
    longer = RelaxationLimits(seconds=300.0)
    again = relax_all(
        few, tmp_path, potential=weights, limits=longer, report=lambda *x: seen.append(x)
    )
    assert seen[0] == (3 - n_slow, 3)
    assert RelaxationOutcome.TOO_SLOW not in outcomes(again).values()
    assert json.loads((tmp_path / "settings.json").read_text())["seconds"] == 300.0
    lines = (tmp_path / "relaxations.jsonl").read_text().splitlines()
    assert len(lines) == 3 + n_slow
    # Less time repeats nothing.
    shorter = RelaxationLimits(seconds=1e-6)
    assert outcomes(relax_all(few, tmp_path, potential=weights, limits=shorter)) == outcomes(again)


def metal(length):
    """Cubic caesium, as it is and as no crystal is: M3GNet sees to 5 Å, CHGNet to 6 Å."""
    return Crystal(np.full(3, length), np.full(3, 90.0), np.array([55]), np.zeros((1, 3)))


FAR = {
    0: metal(12.0),
    1: Crystal(np.full(3, 12.0), np.full(3, 90.0), np.array([55, 37]), CENTRE),
    2: Crystal(np.full(3, 14.0), np.full(3, 90.0), np.array([55, 18]), CENTRE),
    3: Crystal(np.full(3, 9.0), np.full(3, 90.0), np.full(4, 29), COPPER.positions),
}


@pytest.mark.parametrize(("name", "number"), [("m3gnet", 3), ("chgnet", 3), ("chgnet", 4)])
def test_crystals_with_isolated_atoms_have_no_energy(name, number, request, tmp_path):
    """Four are relaxed in a process of their own."""
    source = request.getfixturevalue("weights") if name == "m3gnet" else name
    far = {i: FAR[i] for i in range(number)}
    found = relax_all(far, tmp_path, potential=source, workers=1)
    assert set(outcomes(found).values()) == {RelaxationOutcome.ISOLATED_ATOM}
    assert set(energies(found).values()) == {None}
    assert {r.steps for r in found.values()} == {0}


def test_an_energy_that_an_older_version_gave_an_isolated_atom_is_taken_back(weights, tmp_path):
    (only,) = relax_all({0: COPPER}, tmp_path, potential=weights).values()
    lines = tmp_path / "relaxations.jsonl"
    old = json.loads(lines.read_text())
    old["input"] = FAR[3].digest()
    old["crystal"]["lengths"] = [9.0, 9.0, 9.0]
    lines.write_text(json.dumps(old) + "\n")
    (found,) = relax_all({0: FAR[3]}, tmp_path, potential=weights).values()
    assert only.outcome is RelaxationOutcome.CONVERGED
    assert (found.outcome, found.energy) == (RelaxationOutcome.ISOLATED_ATOM, None)


def test_a_folder_keeps_the_potential_that_it_was_begun_with(tmp_path, monkeypatch):
    begun = relax_all({0: COPPER}, tmp_path, potential="chgnet")
    assert recorded_potential(tmp_path) == CHGNET

    def none(*_):
        raise AssertionError("no other potential is looked for")

    monkeypatch.setattr(potentials, "_first_available", none)
    assert potentials.choose_potential("auto", recorded_potential(tmp_path)).source == "chgnet"
    assert relax_all({0: COPPER}, tmp_path, potential="auto") == begun
    with pytest.raises(RunError, match=r"potential: 'CHGNet-0\.3\.0' there, 'EMT' here"):
        relax_all({0: COPPER}, tmp_path, potential=emt)


def test_a_damaged_settings_file_is_told(tmp_path):
    (tmp_path / "settings.json").write_text('["x"')
    with pytest.raises(RunError, match="is damaged"):
        relax_all({}, tmp_path, potential=emt)


def test_a_function_by_import_path_relaxes_in_processes_and_is_told_from_its_next_version(
    tmp_path, root
):
    example = (root / "examples" / "08_potential.py").read_text()
    file = tmp_path / "mine.py"
    file.write_text(example)
    crystals = strained(5)
    found = relax_all(crystals, tmp_path / "out", potential=f"{file}:emt", workers=1)
    alone = {index: relax(crystal, EMT()).energy for index, crystal in crystals.items()}
    assert energies(found) == alone
    file.write_text(example.replace("-0.0057", "-0.0056"))
    load_potential_once.cache_clear()
    with pytest.raises(RunError, match="potential_code: "):
        relax_all(crystals, tmp_path / "out", potential=f"{file}:emt")


def test_a_potential_that_is_refused_leaves_no_folder(tmp_path):
    with pytest.raises(ModelError):
        relax_all(CRYSTALS, tmp_path / "out", potential=str(tmp_path))
    assert not (tmp_path / "out").exists()


def strained(n):
    """Copper cells, each wider than the one before."""
    return {
        i: Crystal(COPPER.lengths * (1 + i / 100), COPPER.angles, COPPER.numbers, COPPER.positions)
        for i in range(n)
    }


def test_a_calculator_of_ones_own_relaxes_in_processes_and_on_an_executor(tmp_path):
    crystals = strained(5)
    own = relax_all(crystals, tmp_path / "own", potential=emt, workers=2)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        lent = relax_all(crystals, tmp_path / "lent", potential=emt, workers=executor)
    assert set(outcomes(own).values()) == {RelaxationOutcome.CONVERGED}
    assert energies(lent) == energies(own)
    assert lent[4].crystal == own[4].crystal


def test_a_source_that_grows_anywhere_relaxes_what_is_new_and_no_more(tmp_path):
    crystals = strained(4)
    before = relax_all({0: crystals[1], 1: crystals[2]}, tmp_path, potential=emt)
    lines = tmp_path / "relaxations.jsonl"
    kept = lines.read_bytes()
    seen = []
    after = relax_all(crystals, tmp_path, potential=emt, report=lambda *x: seen.append(x))
    assert seen[0] == (2, 4)
    assert lines.read_bytes().startswith(kept)
    assert lines.read_bytes().count(b"\n") == 4
    assert [after[1], after[2]] == [before[0], before[1]]
    # Each is that of its own crystal, whichever place it had.
    alone = relax_all({7: crystals[0]}, tmp_path / "alone", potential=emt)
    assert after[0].energy == alone[7].energy


def test_a_crystal_that_was_changed_is_relaxed_anew(tmp_path):
    crystals = strained(2)
    before = relax_all({0: crystals[0]}, tmp_path, potential=emt)
    after = relax_all({0: crystals[1]}, tmp_path, potential=emt)
    assert after[0].crystal != before[0].crystal
    assert (tmp_path / "relaxations.jsonl").read_bytes().count(b"\n") == 2


def test_equal_crystals_are_relaxed_once_and_counted_each(tmp_path):
    crystals, seen = dict.fromkeys(range(3), COPPER), []
    found = relax_all(crystals, tmp_path, potential=emt, report=lambda *x: seen.append(x))
    assert seen == [(0, 3), (3, 3)]
    assert found[0] == found[1] == found[2]
    assert (tmp_path / "relaxations.jsonl").read_bytes().count(b"\n") == 1


def test_a_folder_that_another_process_relaxes_into_is_left_alone(tmp_path):
    with FileLock(tmp_path / "relaxing.lock"), pytest.raises(RunError, match="another process"):
        relax_all(strained(1), tmp_path, potential=emt)
    assert not (tmp_path / "relaxations.jsonl").exists()


def test_fewer_than_one_process_is_refused(tmp_path):
    with pytest.raises(SettingError, match="0 workers"):
        relax_all(strained(1), tmp_path / "out", potential=emt, workers=0)


def test_a_potential_that_no_other_process_could_make_is_refused(tmp_path):
    with pytest.raises(SettingError, match="other processes cannot import"):
        relax_all(strained(1), tmp_path / "out", potential=lambda: emt())


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(weights, tmp_path):
    two = relax_all(CRYSTALS, tmp_path / "two", potential=weights, workers=2)
    one = relax_all(CRYSTALS, tmp_path / "one", potential=weights, workers=1)
    assert outcomes(one) == outcomes(two)
    assert energies(one) == energies(two)
