"""Documents are read whole and once, however files are divided; what is unreadable has a place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystext.corpus import documents as reading
from crystext.corpus.documents import Document, Dropped, plan_chunks, read_chunk, source_files
from crystext.corpus.recipe import SourceSettings
from crystext.errors import InputError, SettingError
from tests.corpus.sources import build, papers, sentences, write_jsonl


def read(source: SourceSettings) -> list[Document | Dropped]:
    chunks = plan_chunks(source, source_files("papers", source))
    return [found for chunk in chunks for found in read_chunk(chunk, source, {})]


def texts(source: SourceSettings) -> list[str]:
    return [found.text for found in read(source) if isinstance(found, Document)]


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=30),
    chunk_bytes=st.integers(1, 200),
    last_line_end=st.booleans(),
)
def test_chunks_hold_every_line_once(
    rows: list[str],
    chunk_bytes: int,
    last_line_end: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("lines") / "papers.jsonl"
    lines = "\n".join(json.dumps({"text": row}, ensure_ascii=False) for row in rows)
    path.write_text(lines + "\n" * last_line_end, encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_BYTES", chunk_bytes)
        assert texts(SourceSettings(jsonl=[str(path)])) == rows


def test_folders_hold_files_of_several_suffixes_and_compressed_ones(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "b" / "one.jsonl", [{"text": "b"}])
    write_jsonl(tmp_path / "a.ndjson", [{"text": "a"}])
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b'{"text": "c"}\n'))
    (tmp_path / "notes.txt").write_text("not of this kind")
    assert sorted(texts(SourceSettings(jsonl=[str(tmp_path)]))) == ["a", "b", "c"]


@pytest.mark.parametrize("block", [1, 7, 2**20])
def test_a_text_is_divided_at_blank_lines_or_by_an_expression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(reading, "_BLOCK_BYTES", block)
    path = tmp_path / "notes.txt"
    path.write_text("one\r\nand µ\n\n  \n\ntwo\n=====\nthree", newline="")
    blank = SourceSettings(text=[str(path)], document_break="blank_lines")
    assert texts(blank) == ["one\nand µ", "two\n=====\nthree"]
    rule = SourceSettings(text=[str(path)], document_break=r"\n=+\n")
    assert texts(rule) == ["one\nand µ\n\n  \n\ntwo", "three"]


BROKEN = [
    ("{", "not JSON"),
    ("[1]", "not a JSON object"),
    ('{"body": "x"}', "no text under 'text'"),
    ('{"text": 5}', "no text under 'text'"),
    ('{"text": "\\ud800"}', "not valid Unicode"),
]


def test_an_unreadable_line_is_counted_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 2_000)
    path = papers(tmp_path / "papers.jsonl", 1, 40)
    lines = path.read_text().splitlines()
    lines[30:30] = [line for line, _ in BROKEN]
    path.write_text("\n".join(lines), encoding="utf-8")
    with path.open("ab") as file:
        file.write(b'\n{"text": "\xff"}\n\n{"text": " "}\n')
    source = {"jsonl": str(path), "when_dry": "stop"}
    about = build(tmp_path / "x", {"papers": source}).manifest["sources"]["papers"]
    assert about["documents_read"] == 40
    reasons = dict.fromkeys((reason for _, reason in BROKEN), 1)
    assert about["dropped"] == {**reasons, "no text under 'text'": 2, "not UTF-8": 1, "empty": 1}
    for number, (_, reason) in enumerate(BROKEN, start=31):
        assert f"{path}, line {number}: {reason}" in about["dropped_examples"][reason]
    with pytest.raises(InputError, match=r"papers\.jsonl, line 31: not JSON .*on_error: stop"):
        build(tmp_path / "y", {"papers": {**source, "on_error": "stop"}})


def test_a_long_line_is_left_out_and_a_long_text_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_DOCUMENT_BYTES", 100)
    monkeypatch.setattr(reading, "_BLOCK_BYTES", 30)
    path = write_jsonl(tmp_path / "p.jsonl", [{"text": "a" * 500}, {"text": "b"}])
    long, short = read(SourceSettings(jsonl=[str(path)]))
    assert isinstance(long, Dropped)
    assert (long.reason, long.line) == ("longer than 100 bytes", 1)
    assert isinstance(short, Document)
    (tmp_path / "t.txt").write_text("µ" * 80)
    (cut,) = read(SourceSettings(text=[str(tmp_path / "t.txt")]))
    assert cut == Document("µ" * 50, truncated=True)


def test_a_damaged_compressed_file_gives_what_lies_before_the_damage(tmp_path: Path) -> None:
    data = gzip.compress(
        "".join(f'{{"text": "{i} {sentences(i, 20)}"}}\n' for i in range(500)).encode()
    )
    (tmp_path / "p.jsonl.gz").write_bytes(data[: len(data) // 2])
    *found, last = read(SourceSettings(jsonl=[str(tmp_path)]))
    assert isinstance(last, Dropped)
    assert "the file is damaged" in last.reason
    assert len(found) > 50


def test_a_text_that_is_not_utf_8_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Röntgen".encode("latin-1"))
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfwith a mark")
    (found, marked) = read(SourceSettings(text=[str(tmp_path)]))
    assert isinstance(found, Dropped)
    assert found.reason == "not UTF-8"
    assert marked == Document("with a mark")


def test_formulas_are_reduced_and_invalid_ones_are_counted(tmp_path: Path) -> None:
    rows = [{"text": "a", "f": "Na4Cl4"}, {"text": "b", "f": "Xx2"}, {"text": "c"}]
    path = write_jsonl(tmp_path / "p.jsonl", rows)
    found, *others = read(SourceSettings(jsonl=[str(path)], formula_field="f"))
    assert isinstance(found, Document)
    assert found.formula == "NaCl"
    assert [x.reason for x in others if isinstance(x, Dropped)] == ["no formula under 'f'"] * 2


def test_missing_and_empty_sources_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    sources = {
        "gone": {"jsonl": str(tmp_path / "gone.jsonl"), "when_dry": "stop"},
        "empty": {"text": str(tmp_path / "empty")},
        "lost": {"crystals": str(tmp_path / "lost.cif")},
    }
    with pytest.raises(InputError, match=r"(?s)gone: no file.*empty: the folder.*lost: no file"):
        build(tmp_path / "x", sources)
    (tmp_path / "none.jsonl").write_text("\n{\n")
    with pytest.raises(InputError, match=r"sources.none has no document: 1 not JSON .*line 2"):
        build(tmp_path / "y", {"none": {"jsonl": str(tmp_path / "none.jsonl")}})
    with pytest.raises(SettingError, match="no file or folder"):
        source_files("gone", SourceSettings(jsonl=[str(tmp_path / "gone")]))
