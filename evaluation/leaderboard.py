"""Write LEADERBOARD.md: reports of `crystext evaluate` above what is published of other systems.

    python -m evaluation.leaderboard            # evaluation/reports/*/report.json -> LEADERBOARD.md
    python -m evaluation.leaderboard --check    # fail where the file is not what the reports say

A system gets a row by its report alone: evaluate what it drew (`crystext evaluate SAMPLES
--protocol mp20 --out evaluation/reports/NAME`), keep `report.json` and `report.html`, and run this
again. Each row that was measured links to the file its numbers are from; each block of published
rows names paper and table (evaluation/reference). A report joins the blocks of its protocol, with
the figures that it has.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from crystext.errors import CrystextError, InputError
from crystext.evaluate.html.numbers import (
    MISSING,
    denominator_text,
    format_fixed,
    format_interval,
    format_published,
)
from crystext.evaluate.protocol_deviations import deviation_letters, deviations_affecting
from crystext.evaluate.published import (
    PublishedColumn,
    PublishedRow,
    PublishedTable,
    metric_for_column,
    read_published_table,
)
from crystext.evaluate.report import MetricValue, ProtocolDeviation, Report, read_report

HERE = Path(__file__).parent

INTRODUCTION = """# Leaderboard

Made by `python -m evaluation.leaderboard` from the reports in `evaluation/reports` and the
published figures in `evaluation/reference`; the script says how a system gets a row. Rows with a
link are measured by `crystext evaluate`, all attempts in every denominator, with 95% intervals. The
others are published, and what they are of stands below each table. Numbers compare within a table,
and no further than that.
"""


def leaderboard(reports: dict[str, Report], blocks: Sequence[PublishedTable]) -> str:
    """Return the leaderboard as Markdown.

    Args:
        reports: by the names of their folders.
        blocks: published rows.
    """
    parts = [INTRODUCTION]
    # The widest comparison first.
    for block in sorted(blocks, key=lambda block: -len(block.columns)):
        ours = {name: r for name, r in reports.items() if r.protocol in block.protocols}
        parts.append(_block(ours, block))
    if reports:
        parts.append("## Reports\n")
        parts.append(_table(
            ["system", "protocol", "attempts", "crystext", "date", "machine"],
            [[_link(name), r.protocol, _attempts(r), _version(r), r.provenance.date[:10],
              _plain(r.provenance.machine)] for name, r in reports.items()],
        ))  # fmt: skip
    return "\n".join(parts)


def _block(reports: dict[str, Report], block: PublishedTable) -> str:
    columns = list(block.columns.values())
    arrows = {"higher": " ↑", "lower": " ↓", None: ""}
    header = ["system", *(_plain(c.title) + arrows[c.better] for c in columns)]
    shown = {
        name: report
        for name, report in reports.items()
        if any(metric_for_column(report, column) for column in columns)
    }
    rows = [
        [_link(name), *(_measured(report, column, columns) for column in columns)]
        for name, report in shown.items()
    ]
    rows += [_published(row, block) for row in block.rows]
    denominators = [
        f"- **{_plain(c.title)}**: {_plain(c.of)}" + (f"; in {c.unit}" if c.unit else "")
        + (f"; {_plain(c.note)}" if c.note else "")
        for c in columns
    ]  # fmt: skip
    notes = [
        f"- **{_plain(row.system)}**: " + "; ".join(_said(row, block))
        for row in block.rows
        if _said(row, block)
    ]
    otherwise = [
        f"- {_link(name)}, measured otherwise than the protocol says: {told}"
        for name, report in shown.items()
        if (told := _departed(report, columns))
    ]
    source = (
        f"Published: [{_plain(block.paper)}]({block.address}), {_plain(block.table)}; {block.data}."
    )
    return "\n".join(
        [
            f"## {_plain(block.title)}\n",
            _table(header, rows),
            f"{source} {_plain(block.note)}".rstrip() + "\n",
            "Denominators:\n",
            *denominators,
            *notes,
            *otherwise,
            "",
        ]
    )


def _measured(report: Report, column: PublishedColumn, shown: Sequence[PublishedColumn]) -> str:
    figure = metric_for_column(report, column)
    if figure is None or figure.value is None:
        return MISSING
    ends = format_interval(figure) or denominator_text(figure)
    marks = _letters(report, shown)
    letters = ", ".join(marks[x] for x in deviations_affecting(report, column.ours))
    return (
        f"**{format_fixed(figure.value)}**"
        + (f"<sup>{letters}</sup>" if letters else "")
        + (f"<br>{ends}" if ends else "")
    )


def _departed(report: Report, columns: Sequence[PublishedColumn]) -> str:
    """Return what the marks in a row stand for; empty where there is none."""
    return "; ".join(
        f"<sup>{letter}</sup> {_plain(departure.text)}"
        for departure, letter in _letters(report, columns).items()
    )


def _letters(report: Report, columns: Sequence[PublishedColumn]) -> dict[ProtocolDeviation, str]:
    return deviation_letters(
        report, [c.ours for c in columns if _is_there(metric_for_column(report, c))]
    )


def _is_there(figure: MetricValue | None) -> bool:
    return figure is not None and figure.value is not None


def _published(row: PublishedRow, block: PublishedTable) -> list[str]:
    columns = block.columns.items()
    return [
        _plain(row.system),
        *(format_published(row.values.get(n), column) for n, column in columns),
    ]


def _said(row: PublishedRow, block: PublishedTable) -> list[str]:
    said = []
    if row.paper is not None or row.table is not None:
        address = row.address or block.address
        table = _plain(row.table or block.table)
        said.append(f"[{_plain(row.paper or block.paper)}]({address}), {table}")
    return said + ([_plain(row.note)] if row.note else [])


def _attempts(report: Report) -> str:
    """Return the number of samples, and of chosen ones what they are."""
    chosen = report.input.selection_title
    return f"{report.input.samples:,}" + (f": {_plain(chosen)}" if chosen else "")


def _version(report: Report) -> str:
    commit = report.provenance.commit
    return report.provenance.crystext + (f", {commit[:9]}" if commit else "")


def _link(name: str) -> str:
    return f"[{_plain(name)}](reports/{quote(name)}/report.json)"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _plain(text: str) -> str:
    """Return a text that is nothing but text in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def read_reports(folder: Path) -> dict[str, Report]:
    """Read all reports of a folder by the names of the folders that they lie in.

    Raises:
        InputError: a folder has no report, or one that cannot be read.
    """
    folders = sorted(path for path in folder.glob("*") if path.is_dir())
    return {path.name: read_report(path / "report.json") for path in folders}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the leaderboard, or check it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reports", type=Path, default=HERE / "reports")
    parser.add_argument("--reference", type=Path, default=HERE / "reference")
    parser.add_argument("--out", type=Path, default=HERE / "LEADERBOARD.md")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if it is old")
    given = parser.parse_args(arguments)
    try:
        blocks = [read_published_table(path) for path in sorted(given.reference.glob("*.yaml"))]
        if not blocks:
            raise InputError(f"{given.reference} holds no *.yaml; expected published figures")
        text = leaderboard(read_reports(given.reports), blocks)
        if given.check:
            if not given.out.is_file() or given.out.read_text(encoding="utf-8") != text:
                raise InputError(f"{given.out} is not what the reports say; write it anew")
        else:
            given.out.write_text(text, encoding="utf-8")
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
