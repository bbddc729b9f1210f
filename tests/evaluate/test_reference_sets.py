"""Sets to compare with: found, read once, and whole."""

import numpy as np
import pytest
import requests

from crystext.data.store import write_store
from crystext.errors import InputError
from crystext.evaluate import reference_sets as known
from crystext.evaluate.protocol import ReferenceSetSpec
from crystext.evaluate.reference_sets import ReferenceSets, is_shipped_set, open_reference_set
from crystext.metrics.matminer.fingerprints import fingerprints
from crystext.structures.record import Record
from tests.evaluate.example_inputs import BRASS, ROCK_SALT, write_table


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))


def spec(source, split=None):
    return ReferenceSetSpec(title="known", source=str(source), split=split)


def test_a_file_is_read_once(tmp_path, monkeypatch):
    path = write_table(tmp_path / "a.parquet", [ROCK_SALT, BRASS], material_id=["salt", "brass"])
    first = open_reference_set(spec(path))
    assert [first.name(i) for i in range(2)] == ["salt", "brass"]

    def fail(*arguments, **options):
        raise AssertionError("the file was read again")

    monkeypatch.setattr(known, "read_crystals", fail)
    second = open_reference_set(spec(path))
    assert second.crystals == first.crystals
    assert second.sha256 == first.sha256
    write_table(path, [BRASS])
    with pytest.raises(AssertionError):
        open_reference_set(spec(path))


def test_fingerprints_and_numbers_are_computed_once(tmp_path):
    path = write_table(tmp_path / "a.parquet", [ROCK_SALT, BRASS])
    calls = []

    def count(crystals):
        calls.append(len(crystals))
        return [len(c) for c in crystals]

    for _ in range(2):
        found = open_reference_set(spec(path))
        assert found.cached_integers("sizes", count) == [2, 2]
    assert calls == [2]
    assert found.fingerprints(1).is_complete.all()
    assert (found.cache_folder / "fingerprints.npz").exists()


def test_a_split_of_a_folder_or_a_store_is_taken(tmp_path):
    folder = tmp_path / "splits"
    folder.mkdir()
    for name, one in (("train", ROCK_SALT), ("val", ROCK_SALT), ("test", BRASS)):
        write_table(folder / f"{name}.parquet", [one])
    assert open_reference_set(spec(folder, "test")).crystals[0].symbols == ["Zn", "Cu"]
    write_store(tmp_path / "store", {"train": [Record(ROCK_SALT)], "test": [Record(BRASS)]})
    assert open_reference_set(spec(tmp_path / "store", "test")).crystals == [BRASS.in_text_order()]


def test_a_set_is_read_leniently_where_samples_are(tmp_path):
    """A file that contradicts itself refuses the whole set, unless it is to be read leniently."""
    salt = "NaCl\n1\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n1 1\nDirect\n0 0 0 Cl\n.5 .5 .5 Na\n"
    (tmp_path / "salt.vasp").write_text(salt)
    sets = {"reference": spec(tmp_path / "salt.vasp")}
    with pytest.raises(InputError, match="labels atom 1 Cl"):
        ReferenceSets(sets).get("reference")
    assert ReferenceSets(sets, lenient=True).get("reference").crystals[0].symbols == ["Na", "Cl"]
    # The cache keeps the two readings apart.
    with pytest.raises(InputError, match="labels atom 1 Cl"):
        ReferenceSets(sets).get("reference")


def test_a_set_with_something_that_is_no_crystal_is_refused(tmp_path):
    (tmp_path / "bad.csv").write_text("material_id,cif\nmp-1,nonsense\n")
    (tmp_path / "good.cif").write_text(ROCK_SALT.structure.to(fmt="cif"))
    with pytest.raises(InputError, match="mp-1"):
        open_reference_set(spec(tmp_path))


def test_a_set_of_no_name_is_told():
    with pytest.raises(InputError, match="Did you mean 'mp_20'"):
        open_reference_set(spec("mp-20"))
    with pytest.raises(InputError, match="--train STORE"):
        ReferenceSets({}).get("training")


def test_a_split_that_cannot_be_downloaded_is_told_once_with_what_to_do(tmp_path, monkeypatch):
    asked = []

    def fail(url, **_):
        asked.append(url)
        raise requests.ConnectionError("HTTPSConnectionPool(host='raw.githubusercontent.com')")

    monkeypatch.setattr(requests, "get", fail)
    sets = ReferenceSets({"reference": spec("perov_5", "test")})
    for _ in range(2):
        with pytest.raises(InputError) as refused:
            sets.get("reference")
    assert str(refused.value).endswith(
        f"Put the file at {tmp_path / 'cache' / 'perov_5' / 'test.csv'} by hand, and run the "
        "command again, or name other crystals with --reference FILE"
    )
    assert [url.rpartition("/")[2] for url in asked] == ["test.csv"], "and no other split"


def test_sets_that_ship_are_read_without_a_network(monkeypatch):
    monkeypatch.setattr(requests, "get", None)
    found = open_reference_set(spec("mp20_test"))
    assert len(found) == 9046
    assert found.name(0) == "mp-10009"
    first = found.dataset[0]
    assert first.labels["formation_energy"] == pytest.approx(-0.5750923537, abs=1e-6)
    assert first.labels["space_group"] == 194
    prints = found.fingerprints(1)
    assert not (found.cache_folder / "fingerprints.npz").exists(), "they ship"
    rows = [0, 17, 4711, 9000]
    expected = fingerprints([found.crystals[i] for i in rows])
    assert np.abs(prints.structures[rows] - expected.structures).max() < 2e-3
    assert (prints.compositions[rows] == expected.compositions).all()
    assert prints.is_complete.sum() > 9000


def test_a_file_goes_before_a_shipped_set_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "a.parquet", [BRASS])
    (tmp_path / "a.parquet").rename(tmp_path / "mp20_test")
    assert not is_shipped_set("mp20_test")


def test_a_cache_that_cannot_be_written_costs_no_result(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "file"))
    path = write_table(tmp_path / "a.parquet", [ROCK_SALT, BRASS])
    found = open_reference_set(spec(path))
    assert [len(c) for c in found.crystals] == [2, 2]
    assert found.cached_integers("sizes", lambda crystals: [len(c) for c in crystals]) == [2, 2]
    assert found.fingerprints(1).is_complete.all()
