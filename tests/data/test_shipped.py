"""The sets that ship: whole, small, and the crystals that were published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from crystext.data.shipped import (
    LABEL_BY_COLUMN,
    SHIPPED_SETS,
    read_shipped_set,
    shipped_fingerprints,
    shipped_set,
)
from crystext.errors import InputError
from crystext.io.read.parse import Piece, parse_piece
from crystext.metrics.matminer.fingerprints import FINGERPRINT_METHOD, structure_fingerprints
from crystext.structures.matching import PYMATGEN_TOLERANCES, is_same, reduce_for_matching
from crystext.structures.properties import density
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
