from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crystext.crystal import Crystal
from crystext.data.store import read_dataset, write_dataset
from crystext.errors import InputError
from crystext.properties import LABELS
from crystext.tasks import Record
from tests.handmade import HANDMADE, NACL
from tests.strategies import crystals

labels = st.dictionaries(st.sampled_from(LABELS), st.floats(-10, 300) | st.just(math.nan))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.builds(Record, crystals(max_atoms=4), labels), max_size=5))
def test_what_was_written_is_read_in_text_order(records: list[Record], tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    assert write_dataset(path, records) == len(records)
    data = read_dataset(path)
    assert len(data) == len(records)
    for i, record in enumerate(records):
        assert data[i].crystal == record.crystal.in_text_order()
        for name in LABELS:
            expected = record.labels.get(name, math.nan)
            found = data[i].labels[name]
            assert found == expected or (math.isnan(found) and math.isnan(expected))
    assert [x.name for x in tmp_path.iterdir()] == ["data.parquet"]


def test_nothing_is_left_behind_under_the_name_when_writing_fails(tmp_path: Path) -> None:
    def records() -> object:
        yield Record(NACL)
        raise InputError("the second is no crystal")

    with pytest.raises(InputError):
        write_dataset(tmp_path / "data.parquet", records())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_answered_with_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no prepared data at .*crystext data prepare"):
        read_dataset(tmp_path / "none.parquet")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.parquet"
    path.write_bytes(b"PAR1" + bytes(1000))
    with pytest.raises(InputError, match="not a prepared data file"):
        read_dataset(path)


@pytest.mark.parametrize(
    "names", [("cif",), ("lengths",), ("lengths", "angles", "numbers", "positions", *LABELS)]
)
def test_a_table_without_the_columns_is_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({name: ["data_NaCl"] for name in names}), path)
    with pytest.raises(InputError, match=r"lacks columns.*crystext data prepare"):
        read_dataset(path)


def test_rows_share_the_arrays_they_lie_in(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    write_dataset(path, [Record(crystal) for crystal in HANDMADE.values()])
    data = read_dataset(path)
    assert data.offsets.tolist() == np.cumsum([0, *map(len, HANDMADE.values())]).tolist()
    assert np.shares_memory(data[1].crystal.positions, data.positions)
    assert isinstance(data[0].crystal, Crystal)
