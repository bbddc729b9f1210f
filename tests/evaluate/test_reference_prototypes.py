"""The prototypes of known crystals, however they are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crystext.data.shipped import shipped_set, shipped_texts
from crystext.data.store import write_store
from crystext.evaluate.reference_prototypes import (
    prototype_index,
    reference_prototypes,
    text_prototype,
)
from crystext.evaluate.reference_sets import open_reference_set, specify_reference_set
from crystext.metrics.prototypes import Novelty, find_prototype, make_prototype, prototype_label
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import to_wyckoff
from crystext.text import decode
from tests.example_crystals import EXAMPLE_CRYSTALS

NAMES = ("nacl", "wurtzite", "quartz")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))


def test_a_text_states_the_prototype_that_spglib_finds() -> None:
    texts = [x for x in shipped_texts(shipped_set("mp20_val"))[:40] if text_prototype(x)]
    assert len(texts) > 30
    for text in texts[:5]:
        crystal = decode(text).crystal
        assert crystal is not None
        stated, found = text_prototype(text), find_prototype(crystal)
        assert stated is not None
        assert found is not None
        assert prototype_label(stated) == prototype_label(found)


@pytest.mark.parametrize("with_orbits", [True, False])
def test_orbits_are_those_of_the_store_or_found_once(with_orbits: bool, tmp_path: Path) -> None:
    records = [
        Record(crystal, name=name, wyckoff=to_wyckoff(crystal) if with_orbits else None)
        for name, crystal in ((name, EXAMPLE_CRYSTALS[name]) for name in NAMES)
    ]
    write_store(tmp_path / "store", {"train": records})
    known = open_reference_set(specify_reference_set(str(tmp_path / "store"), "train"))
    first = list(reference_prototypes(known))
    assert [name for name, _ in first] == list(NAMES)
    files = list((tmp_path / "cache").rglob("prototypes-*.json"))
    assert len(files) == (0 if with_orbits else 1)
    for file in files:
        # What the cache says is taken: its crystals are not looked at again.
        rows = json.loads(file.read_text())
        file.write_text(json.dumps([rows[0], rows[0], rows[0]]))
        assert [x.space_group for _, x in reference_prototypes(known)] == [225] * 3
        file.write_text("[")
        assert list(reference_prototypes(known)) == first
    index = prototype_index(known)
    assert index.find(make_prototype(225, [("K", "b"), ("Cl", "a")])) == (
        Novelty.SUBSTITUTION,
        "nacl",
    )
