"""Report the published study of architecture and scale from its 90 result tables.

    python -m evaluation.measure.architecture_study ../shared/data/study/finetune_evaluations \
        --out evaluation/results/independent_of_weights/architecture_study.json

The tables are those of arXiv:2405.00949 (github.com/BrightBlueCheese/transformers_and_chemistry,
MIT). Total error scores, their significance, the correlations of loss and metric and the cost of
selecting by loss are those of `crystext study report`. The exit status is 1 where the total error
scores of the architectures are not the printed ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crystext.study.report import ReportOptions, make_report
from crystext.study.tables import read_study
from evaluation.result_file import Report, write_result

PRINTED = {"BART": 0.0187, "RoBERTa": 0.0496, "LLaMA": 0.0521}
"""Total error scores of the architectures as the study states them."""

BY = (("architecture",), ("size",), ("data",), ("architecture", "size"))

_PARTS = {
    "factors", "n_cells", "n_repeats", "n_checkpoints", "n_rows", "n_runs", "summary", "groupings",
    "tasks", "notes", "options",
}  # fmt: skip


def measure(folder: Path) -> Report:
    """Report the tables; pictures and scaling curves are left to the command."""
    report = make_report(read_study(folder), ReportOptions(by=BY))
    found: Report = _rounded(report.model_dump(mode="json", include=_PARTS))
    return {"printed_scores": PRINTED, **found}


def misses(report: Report) -> bool:
    """Return whether a printed score does not come out."""
    scores = {group["name"]: group["tes"]["value"] for group in report["groupings"][0]["groups"]}
    return any(abs(scores[name] - value) > 5e-5 for name, value in PRINTED.items())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(x) for name, x in value.items()}
    return [_rounded(x) for x in value] if isinstance(value, list) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with ft_version_0, ft_version_1, ...")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    asked = parser.parse_args(arguments)
    return write_result(
        asked.out,
        lambda: measure(asked.folder),
        script=__file__,
        arguments=arguments,
        packages=("scipy",),
        data=[asked.folder],
        misses=misses,
    )


if __name__ == "__main__":
    sys.exit(main())
