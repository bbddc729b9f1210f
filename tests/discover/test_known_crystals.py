"""What counts as known."""

from __future__ import annotations

from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.data import shipped
from crystext.data.shipped import SHIPPED_SETS, read_shipped_set, shipped_set
from crystext.discover.known_crystals import KnownCrystals, ShippedTexts
from crystext.errors import InputError
from crystext.io.read import as_crystal
from crystext.metrics.prototypes import Novelty, find_prototype
from crystext.structures.crystal import Crystal
from crystext.text import encode
from tests.conftest import ROOT
from tests.example_crystals import EXAMPLE_CRYSTALS


@pytest.fixture(scope="module")
def known():
    return KnownCrystals()


def test_crystals_that_ship_are_known_by_their_names(known):
    for record in islice(read_shipped_set(shipped_set("mp20_test")), 4):
        assert known.match(record.crystal) == record.name
        assert known.novelty(record.crystal).novelty is Novelty.SAME_CRYSTAL
    assert sum(len(x) for x in known.sets) == sum(x.n_crystals for x in SHIPPED_SETS.values())


def test_a_crystal_with_one_element_exchanged_is_a_substitution(known):
    salt = Crystal(
        [4.2] * 3, [60.0] * 3, [57, 85], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )  # lanthanum and astatine
    result = known.novelty(salt)
    assert result.novelty in (Novelty.SUBSTITUTION, Novelty.KNOWN_PROTOTYPE)
    assert result.nearest


def test_a_set_of_the_user_counts_alone():
    file = ROOT / "examples" / "CsCl.cif"
    alone = KnownCrystals([str(file)], shipped=False)
    assert [len(x) for x in alone.sets] == [1]
    assert alone.match(as_crystal(file)) == "CsCl"
    result = alone.novelty(EXAMPLE_CRYSTALS["nacl"])
    assert result.novelty is Novelty.NEW_PROTOTYPE
    assert result.nearest is None


def test_a_shipped_text_without_orbits_has_the_prototype_that_spglib_finds(tmp_path, monkeypatch):
    salt, quartz = EXAMPLE_CRYSTALS["nacl"], EXAMPLE_CRYSTALS["quartz"]
    rows = {"material_id": ["a", "b"], "text": [encode(salt, "wyckoff"), encode(quartz)]}
    pq.write_table(pa.table(rows), tmp_path / "mp20_val.parquet")
    monkeypatch.setattr(shipped, "shipped_sets", lambda: tmp_path)
    known = ShippedTexts("mp20_val")
    assert dict(known.prototypes()) == {"a": find_prototype(salt), "b": find_prototype(quartz)}


def test_a_damaged_shipped_set_says_so(tmp_path, monkeypatch):
    (tmp_path / "mp20_val.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(shipped, "shipped_sets", lambda: tmp_path)
    with pytest.raises(InputError, match="install crystext again"):
        ShippedTexts("mp20_val")


def test_a_set_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="no file or folder"):
        KnownCrystals(["nowhere.cif"])


def test_formation_energies_are_of_the_elements_alone(known):
    pairs = known.formation_energies(["Na", "Cl"], 5)
    assert 0 < len(pairs) <= 5
    for crystal, energy in pairs:
        assert set(crystal.symbols) <= {"Na", "Cl"}
        assert -3 < energy < 1
