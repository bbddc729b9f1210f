"""What readers say of broken files is meant for people, whatever a parser underneath meets."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crystext.errors import PYTHON_INTERNALS, CrystextError, describe_error
from crystext.io.read import read_crystals
from crystext.io.read.parse import Piece, parse_piece
from tests.io.read.format_examples import FORMAT_EXAMPLES, TABLE_EXAMPLES

CHARACTERS = b"0123456789.-+eE \n\t'\"{}[],:abcDXnN#!"
WORDS = ("", "x", "nan", "1e999", "-", "1 2 3", "[]", "{}", '"q"', "None", "-1", "99999999")
CELL = '{"lengths": [1, 2, 3], "angles": [90, 90, 90], '
VALUES: tuple[Any, ...] = (None, 5, "x", [], {}, [1], True, [[1]], {"a": 1}, [None])


def broken(text: str, seed: int) -> Iterator[str]:
    """Yield a text cut off after each line, with random characters, and with random words."""
    rng = random.Random(seed)  # noqa: S311
    lines = text.split("\n")
    yield from ("\n".join(lines[:i]) for i in range(min(len(lines), 60)))
    for _ in range(60):
        data = bytearray(text.encode())
        for _ in range(rng.choice((1, 3, 10))):
            data[rng.randrange(len(data))] = rng.choice(CHARACTERS)
        yield data.decode()
    for _ in range(40):
        words = text.split(" ")
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        yield " ".join(words)


def with_other_types(document: Any, seed: int, count: int) -> Iterator[Any]:
    """Yield a document with a value somewhere within it of another type."""
    paths: list[tuple[Any, ...]] = []

    def walk(value: Any, path: tuple[Any, ...]) -> None:
        paths.append(path)
        inside = dict(enumerate(value)) if isinstance(value, list) else value
        for key in inside if isinstance(inside, dict) else ():
            walk(inside[key], (*path, key))

    walk(document, ())
    changes = [(path, value) for path in paths[1:] for value in VALUES]
    random.Random(seed).shuffle(changes)  # noqa: S311
    for path, value in changes[:count]:
        changed = copy.deepcopy(document)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        yield changed


def assert_readable(problem: str | None, text: str) -> None:
    met = PYTHON_INTERNALS.search(problem or "")
    assert met is None, f"{met and met.group()!r} in {problem!r}, of:\n{text}"


@pytest.mark.parametrize("kind", FORMAT_EXAMPLES)
def test_a_good_file_of_each_format_is_read(kind: str, tmp_path: Path) -> None:
    text = FORMAT_EXAMPLES[kind](tmp_path)
    (item,) = parse_piece(Piece("x", kind, text.encode() if ":" in kind else text))
    assert item.crystal is not None, item.message


@pytest.mark.parametrize("kind", FORMAT_EXAMPLES)
def test_no_broken_file_is_answered_in_terms_of_python(kind: str, tmp_path: Path) -> None:
    for text in broken(FORMAT_EXAMPLES[kind](tmp_path), 0):
        for item in parse_piece(Piece("x", kind, text.encode() if ":" in kind else text)):
            assert (item.crystal is None) == bool(item.message)
            assert_readable(item.message, text)


@pytest.mark.parametrize("name", TABLE_EXAMPLES)
def test_no_broken_table_is_answered_in_terms_of_python(name: str, tmp_path: Path) -> None:
    text = TABLE_EXAMPLES[name](tmp_path)
    changed = [data.encode() for data in broken(text, 1)]
    changed += [b"\xff" + text.encode(), text.encode()[:40] + b"\xfe" + text.encode()[40:]]
    if name.endswith(".json"):
        documents = with_other_types(json.loads(text), 2, 150)
        changed += [json.dumps(document).encode() for document in documents]
    for data in changed:
        path = tmp_path / name
        path.write_bytes(data)
        try:
            problems = [item.message for item in read_crystals(path)]
        except CrystextError as error:
            problems = [str(error)]
        for problem in problems:
            assert_readable(problem, data.decode("latin-1"))


@pytest.mark.parametrize(
    "document",
    [
        '{"columns": 5, "data": 7}',
        '{"columns": ["cif"], "data": [5]}',
        '{"cif": {"a": 1}, "x": {"b": 2}}',
        '{"lengths": 1, "angles": 2, "numbers": 3, "positions": 4}',
        CELL + '"numbers": [1.5], "positions": [[0, 0, 0]]}',
        CELL + '"numbers": [1], "positions": [["a", 0, 0]]}',
        CELL + '"numbers": [1], "positions": [[0, 0]]}',
        CELL + '"numbers": [[1]], "positions": [[0, 0, 0]]}',
        CELL + '"numbers": {"a": 1}, "positions": [[0, 0, 0]]}',
        '[{"cif": 5}]',
        '[{"structure": "{broken"}]',
    ],
)
def test_a_document_of_another_layout_is_answered_in_words(document: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(document)
    with pytest.raises(CrystextError) as refused:
        list(read_crystals(tmp_path / "x.json"))
    assert_readable(str(refused.value), document)


@pytest.mark.parametrize(
    "error",
    [
        IndexError("list index out of range"),
        KeyError("matrix"),
        ValueError("could not convert string to float: 'x'"),
        ValueError("zip() argument 2 is longer than argument 1"),
        TypeError("'NoneType' object is not subscriptable"),
        ValueError("occupancy np.float64(0.5) is below None"),
        ZeroDivisionError("division by zero"),
        ValueError(""),
    ],
)
def test_an_exception_that_speaks_of_a_program_is_not_repeated(error: Exception) -> None:
    assert describe_error(error, "it is broken") == "it is broken"


def test_what_a_parser_says_of_its_file_is_repeated_in_one_line() -> None:
    error = ValueError("\nUnknown property type: b.\nmore of it")
    assert describe_error(error, "it is broken") == "Unknown property type: b"
    caused = ValueError("list index out of range")
    caused.__cause__ = OSError("frame 3 has no cell")
    assert describe_error(caused, "it is broken") == "frame 3 has no cell"
    assert describe_error(ValueError("word " * 100), "").endswith("word ...")
