"""Standardising: one description for all ways to write a crystal."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.errors import InputError, SettingError
from crystext.io.read import read_crystals
from crystext.structures.augment import permute_within_species, translate
from crystext.structures.crystal import Crystal
from crystext.structures.space_groups import find_space_group
from crystext.structures.standardize import standardize
from crystext.text import decode
from tests.example_crystals import EXAMPLE_CRYSTALS, IRON, NACL, QUARTZ, SRTIO3, WURTZITE

SPACE_GROUPS = {"nacl": 225, "srtio3": 221, "wurtzite": 186, "iron": 229, "quartz": 152}


@pytest.mark.parametrize("name", sorted(EXAMPLE_CRYSTALS))
def test_a_standard_crystal_is_the_same_crystal_in_its_primitive_niggli_cell(name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    standard, space_group = standardize(crystal)
    matcher = StructureMatcher(primitive_cell=True, scale=False, stol=0.01)
    assert matcher.fit(crystal.structure, standard.structure)
    assert space_group == SPACE_GROUPS[name]
    primitive = spglib.find_primitive((crystal.lattice, crystal.positions, crystal.numbers))
    assert primitive is not None
    assert len(standard) == len(primitive[2])
    niggli = standard.structure.lattice.get_niggli_reduced_lattice()
    assert sorted(niggli.abc) == pytest.approx(sorted(standard.lengths), abs=1e-6)
    assert np.all((standard.positions >= 0) & (standard.positions < 1))
    assert np.array_equal(standard.positions, np.round(standard.positions, 6))


def test_the_hand_of_quartz_is_kept() -> None:
    mirrored = Crystal(QUARTZ.lengths, QUARTZ.angles, QUARTZ.numbers, -QUARTZ.positions)
    for crystal, expected in ((QUARTZ, 152), (mirrored, 154)):
        standard, space_group = standardize(crystal)
        assert space_group == expected
        assert standard.structure.get_space_group_info(0.01)[1] == expected


@pytest.mark.parametrize("crystal", [NACL, SRTIO3, WURTZITE, IRON])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), times=st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 2, 2)]))
def test_other_descriptions_come_out_as_the_same_cell(
    crystal: Crystal, seed: int, times: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(seed)
    other = Crystal.from_structure(crystal.structure * times)
    other = permute_within_species(translate(other, rng), rng)
    standard, space_group = standardize(crystal)
    found, number = standardize(other)
    assert number == space_group
    assert len(found) == len(standard)
    assert found.lengths == pytest.approx(standard.lengths, abs=1e-4)
    assert found.angles == pytest.approx(standard.angles, abs=1e-3)


def test_small_displacements_are_idealised_within_symprec_and_kept_beyond() -> None:
    noisy = Crystal(
        NACL.lengths, NACL.angles, NACL.numbers,
        NACL.positions + np.random.default_rng(0).normal(0, 0.003, (8, 3)),
    )  # fmt: skip
    assert standardize(noisy, 0.1)[1] == 225
    assert len(standardize(noisy, 0.1)[0]) == 2
    assert standardize(noisy, 1e-4)[1] == 1


def test_spglib_is_silent_and_the_environment_stays_as_it_was(
    shared_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = shared_data / "mp20_val.parquet"
    # The row of this name makes spglib print, when it is not asked to be quiet.
    crystal = next(i.crystal for i in read_crystals(source, where={"material_id": NOISY}))
    assert crystal is not None
    spglib.standardize_cell((crystal.lattice, crystal.positions, crystal.numbers), True, False, 0.1)
    assert "spglib:" in capfd.readouterr().err
    before = dict(os.environ)
    standardize(crystal)
    assert capfd.readouterr().err == ""
    assert dict(os.environ) == before


NOISY = "mp-8894"


def test_threads_leave_the_environment_as_it_was() -> None:
    before = dict(os.environ)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(find_space_group, [NACL, IRON] * 50))
    finally:
        sys.setswitchinterval(interval)
    assert found == [225, 229] * 50
    assert dict(os.environ) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_the_environment_as_it_was_and_finds_symmetry() -> None:
    script = """
import os, threading
from crystext.structures.space_groups import find_space_group
from tests.example_crystals import NACL

def work():
    while not done.is_set():
        find_space_group(NACL)

find_space_group(NACL)  # A process forked while a library is imported may wait for ever.
done = threading.Event()
threading.Thread(target=work, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if not child:
        os._exit("SPGLIB_WARNING" in os.environ or find_space_group(NACL) != 225)
    assert os.waitpid(child, 0)[1] == 0
done.set()
"""
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", script], cwd=root, timeout=120, check=False)
    assert ended.returncode == 0


@pytest.mark.parametrize("mode", ["0", "1", None])
def test_no_symmetry_is_no_error_of_spglibs_in_whichever_way_it_tells(
    mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode is None:
        monkeypatch.delenv("SPGLIB_OLD_ERROR_HANDLING", raising=False)
    else:
        monkeypatch.setenv("SPGLIB_OLD_ERROR_HANDLING", mode)
    twice = Crystal(IRON.lengths, IRON.angles, np.array([26, 26]), np.zeros((2, 3)))
    assert find_space_group(twice) is None
    # A cell that spglib cannot reduce.
    assert decode("6\nSi 2c 0.11 0.23 0.37\n890.78 0.26 0.43 6.57")


@pytest.mark.parametrize(
    ("angle", "coordinate"), [(180.0, 0.5), (90.0, float("nan")), (90.0, float("inf"))]
)
def test_spglib_is_not_asked_about_numbers_of_which_it_would_crash(
    angle: float, coordinate: float
) -> None:
    crystal = Crystal(
        IRON.lengths, np.array([90.0, 90.0, angle]), np.array([26]), np.full((1, 3), coordinate)
    )
    assert find_space_group(crystal) is None
    with pytest.raises(InputError, match="needs finite numbers"):
        standardize(crystal)


def test_space_groups_of_mp20_val_are_found_again(shared_data: Path) -> None:
    items = list(itertools.islice(read_crystals(shared_data / "mp20_val.parquet"), 200))
    same = [
        standardize(item.crystal)[1] == item.labels["space_group"] for item in items if item.crystal
    ]
    assert len(same) == 200
    assert sum(same) >= 198


def test_atoms_on_top_of_each_other_and_a_foolish_symprec_are_refused() -> None:
    twice = Crystal(IRON.lengths, IRON.angles, np.array([26, 26]), np.zeros((2, 3)))
    with pytest.raises(InputError, match="spglib"):
        standardize(twice)
    with pytest.raises(SettingError, match="symprec is 0"):
        standardize(NACL, 0)
