"""Verify a set of instructions: nothing leaks between its parts, and right answers are right.

The crystals of different parts are compared again, each pair of one formula by pymatgen's
StructureMatcher itself, and every question's own answer is graded by its task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.benchmark.questions import Question
from crystext.data.store import SPLITS
from crystext.errors import InputError
from crystext.instruct.build import MATERIALS_FILE
from crystext.instruct.dataset import read_lines, read_manifest
from crystext.instruct.materials import SplitCheck, compare_parts
from crystext.instruct.registry import INSTRUCTION_TASKS
from crystext.runtime.processes import available_cores
from crystext.runtime.progress import Progress
from crystext.structures.crystal import Crystal

_MAX_SHOWN = 5


class InstructionCheck(NamedTuple):
    """What was verified."""

    materials: dict[str, int]
    """Crystals by part."""
    questions: dict[str, int]
    """Questions by task."""
    n_pairs: int
    """Pairs of crystals of one formula in different parts that were compared."""


def check(folder: Path, *, workers: int | None = None, progress: bool = False) -> InstructionCheck:
    """Verify a set of instructions.

    Args:
        folder: that `build` wrote.
        workers: processes; None is one for each core.
        progress: whether to show progress on standard error.

    Raises:
        InputError: it is no such folder; a crystal or a question lies in two parts; crystals of
            different parts match; or a right answer is not graded as right. The message lists what
            is wrong.
    """
    read_manifest(folder)
    workers = available_cores() if workers is None else workers
    names, crystals, parts = _read_materials(folder / MATERIALS_FILE)
    with Progress(bar=None if progress else False, lines=progress) as bars:
        counts, errors = _check_questions(folder, dict(zip(names, parts, strict=True)), bars.begin)
        advance = bars.begin("comparing parts", None)
        result = compare_parts(crystals, parts, workers, advance)
    errors += _describe_matches(result, names, parts)
    if errors:
        more = f"\n  and {len(errors) - _MAX_SHOWN:,} more" if len(errors) > _MAX_SHOWN else ""
        raise InputError(
            f"{folder} has errors; build it again:\n  " + "\n  ".join(errors[:_MAX_SHOWN]) + more
        )
    return InstructionCheck(
        {part: n for part in SPLITS if (n := parts.count(part))}, dict(counts), result.n_pairs
    )


def _read_materials(path: Path) -> tuple[list[str], list[Crystal], list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["material", "split", "lengths", "angles", "numbers", "positions"]
    try:
        rows = pq.read_table(path, columns=columns).to_pylist()
    except (OSError, pa.ArrowException):
        raise InputError(
            f"{path} cannot be read; expected the crystals that crystext instruct build writes"
        ) from None
    crystals = [
        Crystal(*(np.array(row[x]) for x in ("lengths", "angles", "numbers", "positions")))
        for row in rows
    ]
    return [row["material"] for row in rows], crystals, [row["split"] for row in rows]


def _check_questions(
    folder: Path,
    parts: Mapping[str, str],
    start_progress: Callable[[str, int | None], Callable[..., object]],
) -> tuple[Counter[str], list[str]]:
    """Return the number of questions of each task, and what is wrong with them."""
    counts: Counter[str] = Counter()
    errors: list[str] = []
    seen: set[str] = set()
    advance = start_progress("grading right answers", None)
    for part in SPLITS:
        path = folder / f"{part}.jsonl"
        for material, question in read_lines(path) if path.exists() else ():
            advance(1)
            counts[question.task] += 1
            if question.id in seen:
                errors.append(f"{path.name}: the question {question.id} stands twice")
            seen.add(question.id)
            if (own := parts.get(material, "no part")) != part:
                errors.append(f"{path.name}: {question.id} is about a crystal of {own}")
            if message := _grade_own_answer(question):
                errors.append(f"{path.name}: {question.id}: {message}")
    return counts, errors


def _grade_own_answer(question: Question) -> str:
    """Return what is wrong with the right answer of a question; empty if nothing is."""
    task = INSTRUCTION_TASKS.find(question.task)
    grade = task.grade(question, task.write_answer(question))
    if grade.problem:
        return f"its right answer is invalid: {grade.problem}"
    value = grade.values[task.measures[0].name]
    return "" if value == 1.0 else f"its right answer scores {value:g}"


def _describe_matches(result: SplitCheck, names: Sequence[str], parts: Sequence[str]) -> list[str]:
    return [f"{names[i]} of {parts[i]} matches {names[k]} of {parts[k]}" for i, k in result.matches]
