from __future__ import annotations

import numpy as np

from crystext.tasks import TASKS, Record
from crystext.tasks.element_infilling import element_prompt
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN
from crystext.text.partial import Marks, UnknownParts, encode_partial, mask_element
from tests.example_crystals import SRTIO3

MASK, MORE = Marks().mask, Marks().more
PROMPTS = load_prompts()


def test_the_completion_is_the_element_that_the_prompt_hides() -> None:
    rng = np.random.default_rng(0)
    counts: dict[str, int] = {}
    in_place = 0
    for _ in range(1000):
        example = TASKS["infill_element"].make(Record(SRTIO3), PROMPTS, PLAIN, rng)
        counts[example.completion] = counts.get(example.completion, 0) + 1
        sites = [i for i, symbol in enumerate(SRTIO3.symbols) if symbol == example.completion]
        last, _ = encode_partial(SRTIO3, UnknownParts(elements=sites), PLAIN)
        kept = element_prompt(SRTIO3, example.completion, PROMPTS, PLAIN)
        assert example.prompt in (kept, PROMPTS.render("infill_element", crystal=last))
        in_place += example.completion == "Sr" and example.prompt == kept
    # Three of five atoms are oxygen: an element is drawn by its atoms.
    assert 550 < counts["O"] < 650
    assert set(counts) == {"Sr", "Ti", "O"}
    # Oxygen comes last of itself; strontium would come first.
    assert 70 < in_place < counts["Sr"] - 70


def test_sites_that_come_last_do_not_tell_how_electronegative_they_are() -> None:
    def shown(symbol: str) -> list[str]:
        sites = [i for i, found in enumerate(SRTIO3.symbols) if found == symbol]
        return encode_partial(SRTIO3, UnknownParts(elements=sites), PLAIN)[0].split("\n")[2::2]

    assert shown("Sr") == ["Ti", "O", "O", "O", MASK]
    assert shown("Ti") == ["Sr", "O", "O", "O", MASK]
    assert mask_element(SRTIO3, "Sr", PLAIN).split("\n")[2] == MASK
