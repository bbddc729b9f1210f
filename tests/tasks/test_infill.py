from __future__ import annotations

import numpy as np
import pytest

from crystext.codec import FORMATS, PLAIN, encode
from crystext.crystal import Crystal
from crystext.errors import InputError
from crystext.prompts import load_prompts
from crystext.tasks import TASKS, Record
from crystext.tasks.infill import mask_element
from crystext.vocabulary import MASK
from tests.handmade import NACL, SRTIO3, crystal

PROMPTS = load_prompts()


def lines_of_elements(text: str) -> list[str]:
    return text.split("\n")[2::2]


def holding(*symbols: str) -> Crystal:
    return crystal([6.0] * 3, [90.0] * 3, [(s, [0.1 * i, 0, 0]) for i, s in enumerate(symbols)])


def test_masking_nitrogen_leaves_sodium_and_nickel_alone() -> None:
    text = mask_element(holding("Na", "Ni", "N", "N"), "N", PLAIN)
    assert lines_of_elements(text) == ["Na", "Ni", MASK, MASK]


def test_masking_carbon_leaves_calcium_and_chlorine_alone() -> None:
    text = mask_element(holding("Ca", "C", "Cl"), "C", PLAIN)
    assert lines_of_elements(text) == ["Ca", MASK, "Cl"]


@pytest.mark.parametrize("format", FORMATS)
def test_masking_changes_nothing_but_the_elements_lines(format: str) -> None:
    for symbol in ("Sr", "Ti", "O"):
        masked = mask_element(SRTIO3, symbol, FORMATS[format])
        assert masked.replace(f"\n{MASK}\n", f"\n{symbol}\n") == encode(SRTIO3, format)
        assert masked.count(MASK) == SRTIO3.symbols.count(symbol)


def test_an_element_that_is_not_there_cannot_be_masked() -> None:
    with pytest.raises(InputError, match="no K to mask; the crystal holds Cl, Na"):
        mask_element(NACL, "K", PLAIN)


def test_the_completion_is_the_element_that_the_prompt_hides() -> None:
    rng = np.random.default_rng(0)
    counts: dict[str, int] = {}
    for _ in range(1000):
        example = TASKS["infill_element"].make(Record(SRTIO3), PROMPTS, PLAIN, rng)
        counts[example.completion] = counts.get(example.completion, 0) + 1
        masked = mask_element(SRTIO3, example.completion, PLAIN)
        assert example.prompt == PROMPTS.render("infill", crystal=masked)
    # Three of five atoms are oxygen: an element is drawn by its atoms.
    assert 550 < counts["O"] < 650
    assert set(counts) == {"Sr", "Ti", "O"}
