"""Crystals become documents: CIF that other programs read, text formats, sentences."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from pymatgen.core.structure import Structure

from crystext.corpus.crystals import CrystalChunk, read_crystal_chunk
from crystext.corpus.documents import Document, Dropped
from crystext.corpus.prose import prose
from crystext.corpus.recipe import SourceSettings
from crystext.errors import UnavailableError
from crystext.structures.record import Record
from crystext.text import decode
from tests.corpus.sources import textbook_records
from tests.example_crystals import NACL


def document(form: str, record: Record) -> Document | Dropped:
    source = SourceSettings(crystals=["x"], form=form)
    (found,) = read_crystal_chunk(CrystalChunk([record]), source)
    return found if isinstance(found, Dropped) else found[0]


def test_cif_is_read_by_pymatgen() -> None:
    for record in textbook_records()[:10]:
        found = document("cif", record)
        assert isinstance(found, Document)
        structure = Structure.from_str(found.text, fmt="cif")
        assert len(structure) == len(record.require_crystal())
        assert found.formula is not None
        assert found.text.startswith(f"data_{found.formula}")


@pytest.mark.parametrize("form", ["plain", "wyckoff"])
def test_text_formats_are_decoded(form: str) -> None:
    found = document(form, Record(NACL))
    assert isinstance(found, Document)
    assert decode(found.text, format=form).crystal is not None


def test_sentences_tell_what_the_record_holds() -> None:
    labels = {
        "space_group": 225.0,
        "band_gap": 5.0,
        "is_metal": False,
        "formation_energy": float("nan"),
    }
    text = prose(Record(NACL, labels))
    assert text.startswith(
        "NaCl has the space group Fm-3m (number 225) and is cubic. Its cell holds"
    )
    assert "Band gap: 5.00 eV. Metal: no." in text
    assert "ormation" not in text
    assert prose(Record(NACL)).startswith("NaCl is a crystal. ")


def test_what_is_not_a_crystal_is_counted() -> None:
    found = document("cif", Record.failed("broken.cif", "UNREADABLE", "it is empty"))
    assert found == Dropped("cannot be read (it is empty)", "broken.cif")
    found = document("smiles", Record(NACL, name="NaCl"))
    assert found == Dropped("cannot be described in this form", "NaCl")


def test_a_description_of_the_source_is_used() -> None:
    found = document("description", Record(NACL, texts={"description": "NaCl is rock salt."}))
    assert found == Document("NaCl is rock salt.", formula="NaCl")


@pytest.mark.skipif(find_spec("robocrys") is not None, reason="robocrys is installed")
def test_descriptions_need_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"crystext\[descriptions\]"):
        document("description", Record(NACL))
