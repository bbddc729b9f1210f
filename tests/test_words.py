"""Names that the code does not use, because a reader from the field cannot tell what they mean.

A name of a module, class, function, parameter, field or option says what it holds in a term that
one would search for. Words in sentences are free.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

WORDS = {
    "asked": "say requested, or conditions",
    "asking": "say request",
    "kept": "say satisfied, or what is cached",
    "tries": "say attempts",
    "crew": "say worker_pool",
    "lent": "say worker_pool",
    "tally": "say summary",
    "departure": "say deviation",
    "finding": "say result",
    "proof": "say known_energies",
    "prove": "say check",
    "verdict": "say stability, or result",
    "judged": "say result",
    "told": "say message, or warning",
    "teller": "say progress",
    "fault": "say failure",
    "tidy": "say lenient",
    "forgiven": "say repairs",
    "forgiving": "say lenient",
    "crowded": "say atoms_too_close",
    "filler": "say Infiller",
    "blanks": "say InfillSpec",
    "speaking": "say primary",
    "campaign": "say SamplingRun",
    "ordinary": "say default",
    "refusal": "say infeasible",
    "room": "say free volume, or capacity",
    "slot": "say token_reader",
    "probe": "say sample_checks",
    "twin": "say copy",
    "repetition": "say unique_formulas",
    "symmetric": "say wyckoff, or symmetrized",
}
"""Words that no name has as a part, in singular or plural, and what to say instead."""

NAMES = {
    "known": "say what is known: formula_elements, given",
    "found": "say what was found: dataset, decoded, labels",
    "made": "say provenance, or what was made",
    "drawn": "say samples",
    "merged": "say single_value_fields",
    "together": "say batched_relaxation",
    "own": "say crystext_outputs",
    "problem": "say message",
    "figure": "say metric",
    "figures": "say metrics",
    "places": "say positions, points, or decimals",
    "share": "say proportion",
    "shares": "say proportions, or counts",
    "noted": "say with_notes",
    "contacts": "say contact_pairs",
    "characters": "say any_tokenizer",
    "look_ahead": "say lookahead",
    "least_alike": "say diverse_subset",
    "blank": "say specify",
    "propose": "say complete",
    "proposal": "say InfillResult",
    "streams": "say datasets",
    "loads": "say parallel_units",
    "job": "say WorkerConfig",
    "curve": "say loss_plot",
    "exact_twin": "say float32_copy",
    "distance_scale": "say min_distance_ratio",
    "max_tries": "say max_attempts_per_sample",
    "of_input": "say uses_samples",
    "made_from": "say cache_key",
}
"""Whole names whose word has another use as a part of a name."""

ALLOWED = {
    "problem": "of linear optimization (energies.decomposition)",
    "share": "a key of the files in evaluation/reference, which are data",
    "--max-tries": "the table of options under their names of version 0.1",
    "--forgiving": "the table of options under their names of version 0.1",
    "faults": "all that is wrong with a file of settings, told at once",
    "setting_faults": "all that is wrong with a file of settings, told at once",
    "_figure": "a figure of matplotlib (io.render)",
}


OPTION = r"--[a-z]+(-[a-z]+)*"


def names(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the names that a module gives to things, with their lines."""
    yield path.stem, 1
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field.target.id, field.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
            arguments = node.args
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                yield argument.arg, argument.lineno
        elif isinstance(node, ast.Constant) and re.fullmatch(OPTION, str(node.value)):
            yield str(node.value), node.lineno


def advice(name: str) -> str | None:
    """Return what to say instead of a name; None where it is a good one."""
    whole = name.strip("_-").replace("-", "_").lower()
    if whole in NAMES:
        return NAMES[whole]
    parts = {x.lower() for x in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return next((reason for word, reason in WORDS.items() if parts & {word, f"{word}s"}), None)


MODULES = sorted((ROOT / "crystext").rglob("*.py"))


def test_no_name_is_a_word_that_only_its_author_understands() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {name}: {reason}"
        for path in MODULES
        for name, line in names(path)
        if name not in ALLOWED and (reason := advice(name)) is not None
    ]
    assert not faults, "\n".join(faults)


def test_every_exception_is_needed() -> None:
    used = {name for path in MODULES for name, _ in names(path)}
    assert not sorted(ALLOWED.keys() - used)
    assert all(advice(name) is not None for name in ALLOWED)


@pytest.mark.parametrize(
    ("name", "banned"),
    [
        ("draw_judged", True),
        ("KeptConditions", True),
        ("max_tries", True),
        ("--min-room", True),
        ("known", True),
        ("_known", True),
        ("Faults", True),
        ("known_energies", False),
        ("classroom", False),
        ("asks", False),
        ("proportion", False),
    ],
)
def test_a_name_is_judged_by_its_words(name: str, banned: bool) -> None:
    assert (advice(name) is not None) is banned
