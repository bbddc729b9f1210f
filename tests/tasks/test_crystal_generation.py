from __future__ import annotations

from collections import Counter
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from crystext import tasks
from crystext.structures.property_schema import format_properties
from crystext.tasks import TASKS, Record, Task
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.prompts import PromptSet, load_prompts
from crystext.text import PLAIN, decode, encode
from tests.example_crystals import NACL, SRTIO3

LABELS = {"space_group": 221.0, "formation_energy": -3.5, "band_gap": 1.8, "e_above_hull": 0.0}
PROMPTS = load_prompts()
PROMPTED = tuple(PROMPTS.conditions)


def asked_for(prompt: str) -> dict[str, str]:
    """Return the properties that a prompt of the default set asks for."""
    asked = {}
    for line in prompt.split("\n"):
        for name, template in PROMPTS.conditions.items():
            start = template.partition("{")[0]
            if line.startswith(start):
                asked[name] = line.removeprefix(start)
    return asked


def test_the_training_prompt_is_the_sampling_prompt() -> None:
    rng = np.random.default_rng(0)
    record = Record(SRTIO3, LABELS)
    example = TASKS["unconditional"].make(record, PROMPTS, PLAIN, rng)
    assert example.prompt == generation_prompt(PROMPTS)
    for _ in range(200):
        example = TASKS["conditional"].make(record, PROMPTS, PLAIN, rng)
        assert example.prompt == generation_prompt(PROMPTS, asked_for(example.prompt))


def test_the_completion_is_the_crystals_text_and_begins_where_the_prompt_ends() -> None:
    for name in ("unconditional", "conditional"):
        example = TASKS[name].make(Record(NACL), PROMPTS, PLAIN, np.random.default_rng(1))
        assert example.completion == encode(NACL)
        assert decode(example.completion)
        # The tokenizer must not join the end of the one with the beginning of the other.
        assert example.prompt.endswith("Crystal:\n")


def test_any_subset_of_the_known_properties_is_asked_for_in_every_order() -> None:
    rng = np.random.default_rng(0)
    written = format_properties(SRTIO3, LABELS)
    sizes = dict.fromkeys(range(1, len(PROMPTED) + 1), 0)
    firsts: set[str] = set()
    pairs: set[tuple[str, ...]] = set()
    for _ in range(12_000):
        prompt = TASKS["conditional"].make(Record(SRTIO3, LABELS), PROMPTS, PLAIN, rng).prompt
        asked = asked_for(prompt)
        assert all(written[name] == value for name, value in asked.items())
        sizes[len(asked)] += 1
        firsts.add(next(iter(asked)))
        if len(asked) == 2:
            pairs.add(tuple(asked))
    assert min(sizes.values()) > 0, sizes
    assert sizes[1] > sizes[2] > sizes[3] > sizes[4] > 600
    assert firsts == set(PROMPTED)
    assert len(pairs) == len(PROMPTED) * (len(PROMPTED) - 1)


def test_unknown_labels_are_never_asked_for() -> None:
    rng = np.random.default_rng(0)
    record = Record(SRTIO3, {"space_group": float("nan"), "band_gap": 1.8})
    seen: set[str] = set()
    for _ in range(500):
        seen |= set(asked_for(TASKS["conditional"].make(record, PROMPTS, PLAIN, rng).prompt))
    groups = {"space_group", "space_group_symbol", "crystal_system"}
    hidden = groups | {"formation_energy", "e_above_hull"}
    assert seen == set(PROMPTED) - hidden


def test_a_prompt_set_with_few_conditions_asks_for_those_alone() -> None:
    few = PromptSet(PROMPTS.templates, {"formula": PROMPTS.conditions["formula"]})
    rng = np.random.default_rng(0)
    for _ in range(20):
        example = TASKS["conditional"].make(Record(NACL, LABELS), few, PLAIN, rng)
        assert set(asked_for(example.prompt)) == {"formula"}


def test_a_formula_is_as_often_that_of_the_cell_as_the_reduced_one() -> None:
    rng = np.random.default_rng(0)
    prompts = (
        TASKS["conditional"].make(Record(NACL, LABELS), PROMPTS, PLAIN, rng).prompt
        for _ in range(1000)
    )
    formulas = Counter(asked_for(prompt).get("formula") for prompt in prompts)
    assert set(formulas) == {None, "NaCl", "Na4Cl4"}
    assert 0.8 < formulas["NaCl"] / formulas["Na4Cl4"] < 1.25


def test_no_task_is_lost_to_a_repeated_name_or_forgotten() -> None:
    modules = (import_module(f"{tasks.__name__}.{x.name}") for x in iter_modules(tasks.__path__))
    defined = {id(x): x for module in modules for x in vars(module).values() if isinstance(x, Task)}
    assert sorted(task.name for task in defined.values()) == sorted(TASKS)
