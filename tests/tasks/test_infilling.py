from __future__ import annotations

import numpy as np
import pytest

from crystext.tasks import TASKS, Example, Record
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN, encode
from crystext.text.partial import Marks
from tests.example_crystals import SRTIO3

MASK, MORE = Marks().mask, Marks().more
PROMPTS = load_prompts()
CELL = "\n".join(encode(SRTIO3, PLAIN).split("\n")[:2])
ATOMS = len(SRTIO3)


def examples(task: str, count: int = 400) -> list[Example]:
    rng = np.random.default_rng(0)
    record = Record(SRTIO3, {"band_gap": 1.8})
    return [TASKS[task].make(record, PROMPTS, PLAIN, rng) for _ in range(count)]


def shown(example: Example) -> list[str]:
    """Return the lines of the crystal in a prompt."""
    head, tail = PROMPTS.templates["infill"].split("{crystal}")
    tail = tail.partition("{conditions}")[2]
    inner = example.prompt.removeprefix(head).removesuffix(tail)
    asked = tuple(line.partition("{")[0] for line in PROMPTS.conditions.values())
    return [line for line in inner.split("\n") if line and not line.startswith(asked)]


def test_some_sites_lose_their_element_and_nothing_else() -> None:
    sizes = set()
    for example in examples("infill_sites"):
        lines = shown(example)
        hidden = lines.count(MASK)
        assert lines[2::2].count(MASK) == hidden == len(example.completion.split("\n"))
        assert sorted(lines[2::2][:-hidden] + example.completion.split("\n")) == sorted(
            SRTIO3.symbols
        )
        sizes.add(hidden)
    assert sizes == set(range(1, ATOMS + 1))


def test_the_order_of_unknown_sites_tells_nothing() -> None:
    whole = [e.completion for e in examples("infill_sites", 2000) if e.completion.count("\n") == 4]
    assert len(set(whole)) == 20  # 5! / 3! orders of Sr, Ti and three O


def test_coordinates_are_hidden_in_part_or_with_all_else_but_the_atoms() -> None:
    kinds = set()
    for example in examples("infill_coordinates"):
        lines = shown(example)
        assert sorted(lines[2::2]) == sorted(SRTIO3.symbols)
        hidden = lines[3::2].count(MASK)
        kinds.add((lines[0] == MASK, lines[1] == MASK, hidden))
        answer = example.completion.split("\n")
        if lines[0] == MASK:
            assert "\n".join(answer[:2]) == CELL
            answer = answer[2:]
        assert len(answer) == hidden
    assert kinds == {(False, False, n) for n in range(1, ATOMS + 1)} | {(True, True, ATOMS)}


def test_the_cell_is_asked_for_as_it_is_written() -> None:
    for example in examples("infill_cell", 20):
        assert shown(example)[:2] == [MASK, MASK]
        assert shown(example)[2:].count(MASK) == 0
        assert example.completion == CELL


def test_missing_atoms_are_asked_for_whole() -> None:
    sizes = set()
    for example in examples("infill_atoms"):
        lines, answer = shown(example), example.completion.split("\n")
        assert lines[-1] == MORE
        assert sorted(lines[2:-1:2] + answer[::2]) == sorted(SRTIO3.symbols)
        sizes.add(len(answer) // 2)
    assert sizes == set(range(1, ATOMS + 1))


@pytest.mark.parametrize("task", [name for name in TASKS if name.startswith("infill_")][1:])
def test_some_prompts_ask_for_properties_of_the_whole(task: str) -> None:
    asked = sum("Band gap in eV: 1.80\n" in example.prompt for example in examples(task, 1000))
    assert 20 < asked < 200
