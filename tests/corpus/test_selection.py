"""No document is there twice, and no material is on both sides of the split, in any form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crystext.corpus.near_duplicates import SIGNATURE_SIZE, band_keys, signatures
from crystext.data.store import write_store
from crystext.io.read import read_crystals
from crystext.structures.augment import translate
from crystext.structures.properties import reduced_formula
from crystext.text import decode
from tests.corpus.sources import (
    build,
    crystal_store,
    documents,
    held_out,
    papers,
    sentences,
    textbook_records,
    write_jsonl,
)


def formula_of(text: str, tmp_path: Path) -> str:
    """Return the formula of the crystal in a document of any form."""
    if text.startswith("data_"):
        file = tmp_path / "one.cif"
        file.write_text(text)
        (record,) = read_crystals(file)
        return reduced_formula(record.require_crystal())
    if text.startswith("{"):
        return str(json.loads(text)["about"])
    crystal = decode(text).crystal
    assert crystal is not None
    return reduced_formula(crystal)


def test_a_material_is_on_one_side_of_the_split_in_all_forms(tmp_path: Path) -> None:
    formulas = [reduced_formula(record.require_crystal()) for record in textbook_records()]
    # A polymorph has the formula of another crystal, and no source says that they are related.
    rows = [
        {"text": json.dumps({"about": formula, "n": i}), "composition": formula}
        for i, formula in enumerate(formulas[20:60])
    ]
    source = {"when_dry": "drop"}
    store, some = crystal_store(tmp_path / "store"), crystal_store(tmp_path / "some", 10, 70)
    prose = str(write_jsonl(tmp_path / "prose.jsonl", rows))
    built = build(
        tmp_path,
        {
            "cif": {**source, "crystals": store, "form": "cif"},
            "plain": {**source, "crystals": some, "form": "plain"},
            "prose": {**source, "jsonl": prose, "formula_field": "composition"},
        },
        validation={"fraction": 0.3},
    )
    train = {formula_of(text, tmp_path) for _, text in documents(built, built.train)}
    other = {formula_of(text, tmp_path) for _, text in held_out(built)}
    assert train.isdisjoint(other)
    assert len(train) + len(other) == len(set(formulas))
    assert len(other) > 10
    assert built.validation.keys() == {"cif", "plain", "prose"}


def test_documents_of_one_id_are_on_one_side(tmp_path: Path) -> None:
    rows = [{"text": f"{i % 20} {sentences(i, 20)}", "doi": i % 20} for i in range(100)]
    path = write_jsonl(tmp_path / "p.jsonl", rows)
    built = build(
        tmp_path,
        {"papers": {"jsonl": str(path), "id_field": "doi", "when_dry": "stop"}},
        validation={"fraction": 0.3},
    )
    train = {text.split()[0] for _, text in documents(built, built.train)}
    other = {text.split()[0] for _, text in held_out(built)}
    assert train.isdisjoint(other)
    assert len(train | other) == 20
    assert other


def test_an_exact_duplicate_is_left_out_of_the_later_source(tmp_path: Path) -> None:
    path = papers(tmp_path / "one.jsonl", 1, 30)
    twice = tmp_path / "two.jsonl"
    twice.write_text(path.read_text() * 2 + papers(tmp_path / "x.jsonl", 2, 5).read_text())
    sources = {
        "one": {"jsonl": str(path), "when_dry": "drop"},
        "two": {"jsonl": str(twice), "when_dry": "drop"},
    }
    built = build(tmp_path, sources)
    about = built.manifest["sources"]
    assert about["one"]["duplicates"]["exact"] == 0
    assert about["two"]["duplicates"]["exact"] == 60
    every = build(tmp_path / "all", sources, duplicates={"exact": False})
    assert every.manifest["sources"]["two"]["duplicates"]["exact"] == 0


def test_a_near_duplicate_is_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(3000)]
    originals = [" ".join(rng.choice(words, 300)) for _ in range(20)]
    changed = [text.replace(text.split()[150], "typo").upper() for text in originals]
    halves = [text[: len(text) // 2] + " ".join(rng.choice(words, 150)) for text in originals]
    rows = [{"text": text} for text in (*originals, *changed, *halves)]
    path = write_jsonl(tmp_path / "p.jsonl", rows)
    source = {"papers": {"jsonl": str(path), "when_dry": "stop"}}
    built = build(tmp_path, source, duplicates={"near": 0.8}, validation={"fraction": 0.2})
    texts = {text for _, text in (*documents(built, built.train), *held_out(built))}
    assert texts == {*originals, *halves}
    assert built.manifest["sources"]["papers"]["duplicates"] == {
        "exact": 0, "near": 20, "materials": 0
    }  # fmt: skip


def test_signatures_estimate_the_similarity_of_sets_of_shingles() -> None:
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(5000)]
    first = rng.choice(words, 1000).tolist()
    second = [*first[:700], *rng.choice(words, 300).tolist()]

    def shingles(text: list[str]) -> set[tuple[str, ...]]:
        return {tuple(text[i : i + 5]) for i in range(len(text) - 4)}

    one, two = shingles(first), shingles(second)
    exact = len(one & two) / len(one | two)
    rows = signatures([" ".join(first), " ".join(second)])
    assert rows.shape == (2, SIGNATURE_SIZE)
    # Three standard deviations of a proportion of 128.
    assert (rows[0] == rows[1]).mean() == pytest.approx(exact, abs=0.14)
    assert signatures([" ".join(first)]).tolist() == rows[:1].tolist()


def test_bands_agree_where_their_numbers_do() -> None:
    rows = np.arange(3 * SIGNATURE_SIZE, dtype=np.uint32).reshape(3, -1)
    rows[2] = rows[0]
    rows[2, 8] += 1
    assert band_keys(rows, 0)[0] == band_keys(rows, 0)[2] != band_keys(rows, 0)[1]
    assert band_keys(rows, 1)[0] != band_keys(rows, 1)[2]


def test_crystals_that_match_an_earlier_one_of_the_form_are_left_out(tmp_path: Path) -> None:
    first = textbook_records()[:20]
    rng = np.random.default_rng(0)
    moved = [replace(x, crystal=translate(x.require_crystal(), rng)) for x in first[:8]]
    write_store(tmp_path / "moved", {"train": [*moved, *textbook_records()[20:25]]})
    store = crystal_store(tmp_path / "first", 0, 20)
    other = {"crystals": str(tmp_path / "moved"), "when_dry": "drop"}
    built = build(
        tmp_path,
        {
            "first": {"crystals": store, "form": "plain", "when_dry": "drop"},
            "again": {**other, "form": "plain"},
            "cif": {**other, "form": "cif"},
        },
    )
    about = built.manifest["sources"]
    assert about["again"]["duplicates"]["materials"] == 8
    # Another form of a crystal is another document.
    assert about["cif"]["duplicates"]["materials"] == 0
    assert about["first"]["duplicates"]["materials"] == 0


def test_records_of_a_source_s_own_test_split_are_not_used(tmp_path: Path) -> None:
    records = textbook_records()
    write_store(tmp_path / "store", {"train": records[:30], "test": records[30:40]})
    built = build(tmp_path, {"plain": {"crystals": str(tmp_path / "store"), "when_dry": "stop"}})
    assert built.manifest["sources"]["plain"]["documents_read"] == 30
