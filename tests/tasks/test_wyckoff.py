from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.structures.properties import cell_formula
from crystext.structures.wyckoff.orbits import to_wyckoff
from crystext.tasks import TASKS, Example, Record
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN, WYCKOFF, decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.tasks.test_crystal_generation import asked_for

PROMPTS = load_prompts()
NAMES = sorted(EXAMPLE_CRYSTALS)


def example(task: str, name: str, rng: np.random.Generator) -> Example:
    crystal = EXAMPLE_CRYSTALS[name]
    record = Record(crystal, {"space_group": 1.0}, name, to_wyckoff(crystal))
    return TASKS[task].make(record, PROMPTS, TASKS[task].format or PLAIN, rng)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_whatever_description_is_chosen_the_completion_is_the_crystal(name: str, seed: int) -> None:
    made = example("wyckoff_unconditional", name, np.random.default_rng(seed))
    assert made.prompt == generation_prompt(PROMPTS, fmt=WYCKOFF)
    decoded = decode(made.completion, format=WYCKOFF)
    assert decoded.crystal is not None, decoded
    assert StructureMatcher().fit(decoded.crystal.structure, EXAMPLE_CRYSTALS[name].structure)


def test_one_crystal_is_described_in_many_ways() -> None:
    rng = np.random.default_rng(0)
    texts = {example("wyckoff_unconditional", "quartz", rng).completion for _ in range(60)}
    assert len(texts) > 10


@pytest.mark.parametrize("name", NAMES)
def test_what_the_prompt_asks_for_is_what_the_text_declares(name: str) -> None:
    rng = np.random.default_rng(0)
    group = encode(EXAMPLE_CRYSTALS[name], WYCKOFF).split("\n")[0]
    for _ in range(60):
        made = example("wyckoff_conditional", name, rng)
        asked = asked_for(made.prompt)
        assert made.prompt == generation_prompt(PROMPTS, asked, WYCKOFF)
        crystal = decode(made.completion).crystal
        assert crystal is not None
        assert made.completion.split("\n")[0] == group
        # The table's label, 1, is of other tolerances.
        assert asked.get("space_group", group) == group
        assert asked.get("n_atoms", str(len(crystal))) == str(len(crystal))
        formulas = (cell_formula(crystal.numbers), crystal.structure.composition.reduced_formula)
        assert asked.get("formula", formulas[0]) in formulas


def test_the_masked_element_is_missing_from_the_prompt_and_is_the_answer() -> None:
    rng = np.random.default_rng(0)
    last, kept = set(), set()
    for _ in range(60):
        made = example("wyckoff_infill_element", "srtio3", rng)
        lines = made.prompt.split("\n")
        masked = [i for i, line in enumerate(lines) if line.startswith("? ")]
        assert len(masked) == 1
        assert made.completion in {"Sr", "Ti", "O"}
        assert not [line for line in lines if line.startswith(made.completion + " ")]
        assert made.completion in ATOMIC_NUMBERS
        (last if masked[0] == 4 else kept).add(made.completion)
    assert last == {"Sr", "Ti", "O"}
    assert kept == {"Sr", "Ti"}
