"""The sets that ship: whole, small, and the crystals that were published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from crystext.data import shipped
from crystext.data.shipped import (
    LABEL_BY_COLUMN,
    PREDICTOR_TRAINING_SET,
    SHIPPED_SETS,
    predictor_training_files,
    read_predictor_training,
    read_shipped_set,
    shipped_fingerprints,
    shipped_set,
)
from crystext.errors import InputError
from crystext.io.read.parse import Piece, parse_piece
from crystext.metrics.matminer.fingerprints import FINGERPRINT_METHOD, structure_fingerprints
from crystext.structures.matching import PYMATGEN_TOLERANCES, is_same, reduce_for_matching
from crystext.structures.properties import density, reduced_formula
from crystext.structures.space_groups import find_space_group

LABELS = {label: column for column, label in LABEL_BY_COLUMN.items()}


def test_all_sets_together_take_at_most_4_mb_and_say_where_they_are_from() -> None:
    folder = shipped_set("shipped").parent
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 4_000_000
    told = (folder / "README.md").read_text(encoding="utf-8")
    for name, one in SHIPPED_SETS.items():
        assert f"| `{name}` | `{one.file}` | {one.n_crystals:,} |" in told
        assert pq.read_metadata(folder / one.file).num_rows == one.n_crystals
    assert "CC BY 4.0" in told
    assert "10.1063/1.4812323" in told


def test_every_crystal_of_the_validation_split_is_read_and_named_once() -> None:
    records = list(read_shipped_set(shipped_set("mp20_val")))
    assert len({record.name for record in records}) == len(records) == 9047
    assert all(record.name.startswith(("mp-", "mvc-")) for record in records)
    assert max(len(record.crystal) for record in records) == 20
    assert all({"formation_energy", "band_gap", "e_above_hull"} <= set(r.labels) for r in records)


def test_the_training_set_holds_nothing_that_is_held_out() -> None:
    ids = {
        name: set(pq.read_table(shipped_set(name), columns=["material_id"])[0].to_pylist())
        for name in SHIPPED_SETS
    }
    assert len(ids["shipped"]) == 34704
    assert not ids["shipped"] & (ids["mp20_test"] | ids["mp20_val"])
    assert sum(not name.startswith("matbench_") for name in ids["shipped"]) > 15000


@pytest.mark.parametrize("name", ["mp20_test", "mp20_val"])
def test_what_ships_is_what_was_published(name: str, shared_data: Path) -> None:
    """Every 300th crystal, and some of those that a text by symmetry would have changed."""
    given = list(read_shipped_set(shipped_set(name)))
    published = pq.read_table(shared_data / f"{name}.parquet")
    assert [item.name for item in given] == published["material_id"].to_pylist()
    for label, column in LABELS.items():
        values = [item.labels[label] for item in given]
        assert values == pytest.approx(published[column].to_pylist(), abs=1e-6)
    texts = pq.read_table(shipped_set(name), columns=["text"])[0].to_pylist()
    in_full = [i for i, text in enumerate(texts) if not text.split("\n")[0].isdigit()]
    assert 1 <= len(in_full) < 40
    matcher = PYMATGEN_TOLERANCES.matcher()
    prints = shipped_fingerprints(shipped_set("mp20_test"), FINGERPRINT_METHOD)
    assert prints is not None
    for i in [*range(0, len(given), 300), *in_full[:3]]:
        ours = given[i].crystal
        (read,) = parse_piece(Piece("", "cif", published["cif"][i].as_py()))
        assert read.crystal is not None
        assert is_same(matcher, reduce_for_matching(read.crystal), reduce_for_matching(ours))
        assert find_space_group(read.crystal) == find_space_group(ours)
        assert density(ours) == pytest.approx(density(read.crystal), rel=1e-3)
        if name == "mp20_test" and i % 900 == 0:
            assert np.abs(prints[i] - structure_fingerprints([read.crystal])[0]).max() < 1e-4


@pytest.fixture(scope="module")
def predictor_files() -> tuple[Path, Path]:
    generator, added = predictor_training_files(Path(PREDICTOR_TRAINING_SET))
    return generator, added


def test_the_predictor_learns_energies_of_all_training_crystals_and_of_others_not_held_out(
    predictor_files: tuple[Path, Path],
) -> None:
    columns = ["material_id", "e_above_hull"]
    train, added = (pq.read_table(path) for path in predictor_files)
    ids = train["material_id"].to_pylist()
    unlabelled = {
        name for name, x in zip(ids, train["e_above_hull"].to_pylist(), strict=True) if x is None
    }
    rows = list(zip(*(added[x].to_pylist() for x in (*columns, "text", "origin")), strict=True))
    assert {name for name, _, text, _ in rows if text is None} == unlabelled
    own = [name for name, _, text, _ in rows if text is not None]
    assert len(set(own)) == len(own) > 3000
    held_out = {
        name
        for part in ("mp20_test", "mp20_val")
        for name in pq.read_table(shipped_set(part), columns=["material_id"])[0].to_pylist()
    }
    assert not held_out & {*own, *ids}
    assert all(0 <= x <= 0.5 for _, x, _, _ in rows)
    # Above what the labels of the training set end at: the larger part.
    assert np.mean([x > 0.025 for _, x, _, _ in rows]) > 0.8
    assert {origin for *_, origin in rows} == {"published", "estimated", "drawn"}


def test_labels_go_to_their_crystals_and_formulas_stay_on_one_side(
    predictor_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, added = (pq.read_table(path) for path in predictor_files)
    few = train.take([*range(0, train.num_rows, 300)])
    names = set(few["material_id"].to_pylist())
    labels = [i for i, x in enumerate(added["material_id"].to_pylist()) if x in names]
    own = [i for i, x in enumerate(added["text"].to_pylist()) if x is not None][::60]
    pq.write_table(few, tmp_path / predictor_files[0].name)
    pq.write_table(added.take(labels + own), tmp_path / predictor_files[1].name)
    monkeypatch.setattr(shipped, "shipped_sets", lambda: tmp_path)
    splits = read_predictor_training()
    records = [part[i] for part in splits.values() for i in range(len(part))]
    assert len(records) == len(few) + len(own)
    known = dict(zip(*(added[x].to_pylist() for x in ("material_id", "e_above_hull")), strict=True))
    for record in records:
        assert record.labels["e_above_hull"] <= 0.5
        if record.name in known:
            assert record.labels["e_above_hull"] == known[record.name]
        gap = record.labels.get("band_gap", np.nan)
        assert (record.labels.get("is_metal") == (gap == 0)) or np.isnan(gap)
    formulas = [
        {reduced_formula(part[i].require_crystal()) for i in range(len(part))}
        for part in splits.values()
    ]
    assert not formulas[0] & formulas[1]


def test_a_folder_of_the_name_of_the_predictors_set_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(PREDICTOR_TRAINING_SET).mkdir()
    assert predictor_training_files(Path(PREDICTOR_TRAINING_SET)) == ()


def test_fingerprints_of_another_method_are_not_taken() -> None:
    assert shipped_fingerprints(shipped_set("mp20_test"), "another") is None
    assert shipped_fingerprints(shipped_set("shipped"), FINGERPRINT_METHOD) is None


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="install crystext again"):
        list(read_shipped_set(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_shipped_set(tmp_path / "none.parquet"))


def test_known_formation_energies_are_spread_over_the_set() -> None:
    pairs = shipped.sample_formation_energies("mp20_test", 5)
    assert len(pairs) == 5
    assert len({reduced_formula(crystal.numbers) for crystal, _ in pairs}) == 5
    assert all(-5 < energy < 1 for _, energy in pairs)
