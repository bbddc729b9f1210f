"""Sets to compare with: found, read once, and whole."""

import pytest

from crystext.data.store import write_store
from crystext.errors import InputError
from crystext.evaluate import known
from crystext.evaluate.known import Sets, open_set
from crystext.evaluate.protocol import KnownSet
from crystext.tasks.base import Record
from tests.evaluate.crystals import BRASS, ROCK_SALT, write_table


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))


def spec(source, split=None):
    return KnownSet(title="known", source=str(source), split=split)


def test_a_file_is_read_once(tmp_path, monkeypatch):
    path = write_table(tmp_path / "a.parquet", [ROCK_SALT, BRASS], material_id=["salt", "brass"])
    first = open_set(spec(path))
    assert [first.name(i) for i in range(2)] == ["salt", "brass"]

    def fail(*arguments):
        raise AssertionError("the file was read again")

    monkeypatch.setattr(known, "read_crystals", fail)
    second = open_set(spec(path))
    assert second.crystals == first.crystals
    assert second.sha256 == first.sha256
    write_table(path, [BRASS])
    with pytest.raises(AssertionError):
        open_set(spec(path))


def test_fingerprints_and_numbers_are_computed_once(tmp_path):
    path = write_table(tmp_path / "a.parquet", [ROCK_SALT, BRASS])
    calls = []

    def count(crystals):
        calls.append(len(crystals))
        return [len(c) for c in crystals]

    for _ in range(2):
        found = open_set(spec(path))
        assert found.numbers("sizes", count) == [2, 2]
    assert calls == [2]
    assert found.fingerprints(1).known.all()
    assert (found.folder / "fingerprints.npz").exists()


def test_a_split_of_a_folder_or_a_store_is_taken(tmp_path):
    folder = tmp_path / "splits"
    folder.mkdir()
    for name, one in (("train", ROCK_SALT), ("val", ROCK_SALT), ("test", BRASS)):
        write_table(folder / f"{name}.parquet", [one])
    assert open_set(spec(folder, "test")).crystals[0].symbols == ["Zn", "Cu"]
    write_store(tmp_path / "store", {"train": [Record(ROCK_SALT)], "test": [Record(BRASS)]})
    assert open_set(spec(tmp_path / "store", "test")).crystals == [BRASS.in_text_order()]


def test_a_set_with_something_that_is_no_crystal_is_refused(tmp_path):
    (tmp_path / "bad.csv").write_text("material_id,cif\nmp-1,nonsense\n")
    (tmp_path / "good.cif").write_text(ROCK_SALT.structure.to(fmt="cif"))
    with pytest.raises(InputError, match="mp-1"):
        open_set(spec(tmp_path))


def test_a_set_of_no_name_is_told():
    with pytest.raises(InputError, match="Did you mean 'mp_20'"):
        open_set(spec("mp-20"))
    with pytest.raises(InputError, match="--train STORE"):
        Sets({}).get("training")
