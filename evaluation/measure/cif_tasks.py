"""Measure the tasks of `crystext instruct` by answerers that read everything, and nothing.

    python -m evaluation.measure.cif_tasks mp20_val.parquet mpts52_val.csv.gz \
        --out evaluation/results/independent_of_weights/cif_tasks.json

The tables are made into one set of questions, split by material, and the set is checked: every pair
of crystals of one formula in different parts is compared by StructureMatcher. Then all questions
about the first table are answered by

- the oracle, which writes the right answer,
- a constant: the most frequent right answer of the task,
- the answer that LLaMat's CIFs always give, P1, and always Yes,

and graded as corrected and as published. Last, the floor of the published volume error: that of a
perfect calculator who reads texts with rounded or cut numbers and is compared with the volume
before.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crystext.benchmark.questions import Question
from crystext.data.store import SPLITS
from crystext.errors import InputError
from crystext.instruct.base import InstructionTask
from crystext.instruct.build import BuildReport, BuildSettings, build
from crystext.instruct.check import check
from crystext.instruct.dataset import read_lines
from crystext.instruct.printed import Writer, site_text
from crystext.instruct.registry import INSTRUCTION_TASKS
from crystext.structures.crystal import Crystal
from evaluation.result_file import Report, rounded, share, write_result
from evaluation.sources import read_records

TRICKS = {"space_group": {"always P1": "P1"}, "same_atom": {"always Yes": "Yes"}}
"""Answers by task that need no reading."""

TEXTS = ("gruver2024", "gruver2024-rounded", "plain")


def measured(tables: Sequence[Path], n: int | None, seed: int) -> Report:
    """Build, check and answer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, questions = folder / "tables", folder / "questions"
        source.mkdir()
        for table in tables:
            shutil.copy(table, source)
        settings = BuildSettings(tasks=("all", "cell_volume_copy"), seed=seed, n=n)
        report = build(str(source), questions, settings, progress=True)
        checked = check(questions, progress=True)
        scores = _scores(questions, None if len(tables) == 1 else tables[0].name)
    crystals = [record.require_crystal() for record in read_records(tables[0])]
    return {
        "tables": [table.name for table in tables],
        "build": _described(report),
        "pairs_compared_between_parts": checked.n_pairs,
        "matches_between_parts": 0,
        "questions_about": tables[0].name,
        "scores": scores,
        "printing": _printing(crystals),
    }


def _described(report: BuildReport) -> Report:
    return {
        "crystals": report.n_materials,
        "groups_of_equal_crystals": report.n_groups,
        "questions": {part: sum(x.values()) for part, x in report.questions.items()},
        "left_out": report.left_out,
        "unreadable": report.unreadable,
    }


def _scores(folder: Path, table: str | None) -> Report:
    """Return the scores of each task; of a set of several tables, of questions about one."""
    by_task: dict[str, list[Question]] = defaultdict(list)
    for part in SPLITS:
        path = folder / f"{part}.jsonl"
        for material, question in read_lines(path) if path.exists() else ():
            if table is None or material.startswith(f"{table}:"):
                by_task[question.task].append(question)
    return {
        name: _task_scores(task, by_task[name])
        for name, task in INSTRUCTION_TASKS.items()
        if by_task[name]
    }


def _task_scores(task: InstructionTask, questions: Sequence[Question]) -> Report:
    right = [task.write_answer(question) for question in questions]
    constant = Counter(right).most_common(1)[0][0]
    answers = {"oracle": right, "constant": [constant] * len(right)}
    for name, answer in TRICKS.get(task.name, {}).items():
        answers[name] = [answer] * len(right)
    return {
        "questions": len(questions),
        "measures": [measure.name for measure in task.measures],
        **{name: _graded(task, questions, given) for name, given in answers.items()},
    }


def _graded(task: InstructionTask, questions: Sequence[Question], answers: Sequence[str]) -> Report:
    grades = [task.grade(*pair) for pair in zip(questions, answers, strict=True)]
    measures = task.summarize(questions, grades)
    return {
        "corrected": {name: rounded(value) for name, value in measures.items()},
        "as_published": {
            name: rounded(value) for name, value in task.compat_scores(questions, answers).items()
        },
        "invalid": sum(bool(grade.problem) for grade in grades),
    }


def _printing(crystals: Sequence[Crystal]) -> Report:
    """Return what printing changes: volumes in texts, and coordinates and angles in files."""
    errors = {}
    for name in TEXTS:
        writer = Writer(name)
        relative = []
        for crystal in crystals:
            try:
                volume = writer.print_text(crystal).crystal.volume
            except InputError:
                continue
            relative.append(abs(volume - crystal.volume) / crystal.volume)
        errors[name] = {"printed": len(relative), "error": rounded(float(np.mean(relative)))}
    cut = sum(
        bool((np.floor(crystal.angles) != np.rint(crystal.angles)).any()) for crystal in crystals
    )
    return {
        "relative_error_of_a_perfect_calculator": errors,
        "shares": {
            "angles differ if cut": share(cut, len(crystals)),
            "a coordinate is printed outside the cell unless it is wrapped": share(
                sum(map(_is_outside, crystals)), len(crystals)
            ),
            "an element's symbol is part of another's, which replacing it corrupts": share(
                sum(map(_has_symbol_in_symbol, crystals)), len(crystals)
            ),
        },
    }


def _is_outside(crystal: Crystal) -> bool:
    """Return whether three decimals print a coordinate as -0.000, 1.000 or otherwise outside."""
    return any(
        ", ".join(f"{x:.3f}" for x in position) != site_text(position)
        for position in crystal.positions.tolist()
    )


def _has_symbol_in_symbol(crystal: Crystal) -> bool:
    symbols = set(crystal.symbols)
    return any(x != y and x in y for x in symbols for y in symbols)


def misses(report: Report) -> bool:
    """Tell whether the oracle is wrong anywhere, or crystals of different parts match."""
    first = {name: x["measures"][0] for name, x in report["scores"].items()}
    oracle = {name: x["oracle"]["corrected"] for name, x in report["scores"].items()}
    return any(oracle[name][measure] != 1.0 for name, measure in first.items())


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--n", type=int, help="crystals, drawn by the seed; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measured(options.tables, options.n, options.seed),
        script=__file__,
        arguments=arguments,
        packages=("spglib", "smact"),
        data=options.tables,
        misses=misses,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
