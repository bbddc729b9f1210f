"""Prompt sets: every phrasing can be asked, and a set with errors names them all."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from crystext.errors import SettingError
from crystext.instruct.base import Instruction
from crystext.instruct.registry import choose_tasks
from crystext.instruct.words import load_words
from crystext.runtime.shipped_files import shipped_path

TASKS = choose_tasks(["all", "cell_volume_copy"])


def test_every_template_of_the_shipped_set_has_several_phrasings_and_is_used() -> None:
    words = load_words(tasks=TASKS)
    files = {path.stem for path in shipped_path("prompts", "instruct").glob("*.txt")}
    assert files == set(words.phrasings)
    assert all(len(set(texts)) == len(texts) >= 2 for texts in words.phrasings.values())


def test_a_conversation_depends_on_the_set_by_its_digest(tmp_path: Path) -> None:
    copy_set(tmp_path)
    assert load_words(tmp_path, TASKS).digest == load_words(tasks=TASKS).digest
    (tmp_path / "system.txt").write_text("Answer.\n")
    assert load_words(tmp_path, TASKS).digest != load_words(tasks=TASKS).digest
    (tmp_path / "system.txt").unlink()
    assert load_words(tmp_path, TASKS).system(np.random.default_rng(0)) == ""


def test_all_errors_of_a_set_are_reported_at_once(tmp_path: Path) -> None:
    copy_set(tmp_path)
    (tmp_path / "atom_count.txt").unlink()
    (tmp_path / "space_group.txt").write_text("Which group? {crystal}\n")
    (tmp_path / "text_formula.txt").write_text("{crystal}\n---\n\n")
    with pytest.raises(SettingError) as error:
        load_words(tmp_path, TASKS)
    for part in ("atom_count.txt", "space_group.txt, phrasing 1", "text_formula.txt, phrasing 2"):
        assert part in str(error.value)
    with pytest.raises(SettingError, match="Did you mean 'instruct'"):
        load_words("instuct")


def test_a_task_of_a_plugin_may_bring_its_own_words(tmp_path: Path) -> None:
    class Own:
        templates: ClassVar[dict[str, frozenset[str]]] = {"own": frozenset({"crystal"})}
        paraphrases: ClassVar[dict[str, list[str]]] = {"own": ["What is {crystal}?"]}

    copy_set(tmp_path)
    words = load_words(tmp_path, [Own()])  # type: ignore[list-item]
    made = Instruction("own", {"crystal": "this"}, "", "")
    assert words.render(made, np.random.default_rng(0)) == "What is this?"


def test_conditions_stand_in_a_row_and_leave_no_gap() -> None:
    words = load_words(tasks=TASKS)
    lines = [
        ("condition_composition", {"value": "NaCl"}),
        ("condition_space_group", {"value": "225"}),
    ]
    for seed in range(6):
        rng = np.random.default_rng(seed)
        none = words.render(
            Instruction("conditional_generation", {}, "", "", {}, "plain", {"conditions": []}), rng
        )
        assert ".\n\n" in none
        assert "  " not in none
        both = words.render(
            Instruction("conditional_generation", {}, "", "", {}, "cif", {"conditions": lines}), rng
        )
        assert "NaCl. " in both
        assert "225." in both
        assert "CIF" in both


def copy_set(folder: Path) -> None:
    for path in shipped_path("prompts", "instruct").glob("*.txt"):
        (folder / path.name).write_bytes(path.read_bytes())
