"""Writes `report.html`: what was evaluated, what is left, how it compares, how it looks."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from xml.etree.ElementTree import Element

from crystext.errors import RunError
from crystext.evaluate.html import tables
from crystext.evaluate.html.charts import histogram_chart
from crystext.evaluate.html.gallery import ENERGY_COLUMN, Columns, gallery
from crystext.evaluate.html.markup import Child, details, render_html, table, tag
from crystext.evaluate.html.numbers import format_integer, format_percent
from crystext.evaluate.html.periodic_table import periodic_table
from crystext.evaluate.published import PublishedTable, metric_for_column, published_tables
from crystext.evaluate.report import LabelCounts, Report
from crystext.runtime.files import write_text
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal

PAGE_NAME = "report.html"

_TITLES = {
    "validity": "Validity",
    "novelty": "Uniqueness and novelty",
    "coverage": "Coverage",
    "distributions": "Distributions",
    "conditioning": "Kept conditions",
    "prediction": "Structure prediction",
    "ipt": "Perplexity under translation",
    "stability": "Energy above the hull",
}
"""Of stages, by their names; another is shown under its own."""

_STYLES = ("style.css", "figures.css", "print.css")
"""In the order in which a later rule takes the place of an earlier one."""

_N_EXAMPLES = 3
"""Attempts that are named for each fault."""


def write_page(
    report: Report,
    columns: Columns,
    crystals: Sequence[Crystal | None],
    folder: Path,
    *,
    published: Sequence[PublishedTable] | None = None,
) -> Path:
    """Write a report as one page that needs no other file and no network.

    Args:
        report: the figures.
        columns: of `structures.parquet`: a value per attempt, by name.
        crystals: of all attempts; None for those that are none.
        folder: where `report.html` is put; it exists.
        published: rows to show ours with; by default those that ship for the report's protocol.

    Returns:
        The page's path.

    Raises:
        RunError: the page cannot be written.
        SettingError: published rows are faulty.
    """
    blocks = published_tables(report.protocol) if published is None else published
    text = render_page(report, columns, crystals, blocks)
    path = folder / PAGE_NAME
    try:
        # Names of files may hold bytes that are no text.
        write_text(path, text.encode("utf-8", "replace").decode("utf-8"))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def render_page(
    report: Report,
    columns: Columns,
    crystals: Sequence[Crystal | None],
    published: Sequence[PublishedTable],
) -> str:
    """Return the page as text; see `write_page`."""
    made: list[tuple[str, str, list[Element]]] = [
        ("funnel", "Funnel", _funnel(report)),
        ("published", "Published figures", _published(report, published)),
        *((stage, _title(stage), _stage(report, stage, columns)) for stage in _stages(report)),
        ("gallery", "Crystals", _gallery(columns, crystals)),
        ("faults", "Faults", _failures(columns)),
        ("made", "How it was made", _provenance(report)),
    ]
    shown = [(anchor, title, parts) for anchor, title, parts in made if parts]
    links = (tag("a", title, href=f"#{anchor}") for anchor, title, _ in shown)
    sections = (tag("section", tag("h2", t), *parts, id=a) for a, t, parts in shown)
    script = _asset("viewer.js")
    body = tag(
        "body",
        _header(report),
        tag("nav", *links, aria_label="Sections"),
        tag("main", *sections),
        tag("script", script),
    )
    return render_html(_head(report, script), body)


def _head(report: Report, script: str) -> Element:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Should a text of others ever get past the escaping, it still could not run or load anything.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"crystext {report.made.crystext}"),
        tag(
            "title",
            f"{report.input.path}: evaluation of {format_count(report.input.attempts, 'attempt')}",
        ),
        tag("style", *(_asset(name) for name in _STYLES)),
    )


def _header(report: Report) -> Element:
    given = report.input
    return tag(
        "header",
        tag("p", "crystext evaluate", class_="kicker"),
        tag("h1", given.path),
        tag(
            "p",
            f"{format_count(given.attempts, 'attempt')}, {given.parsed:,} of them crystals"
            + (f", {given.noted:,} read with a note (structures.parquet)" if given.noted else "")
            + ". "
            f"Every share is of all attempts, unless it says otherwise. "
            f"Protocol {report.protocol}: {report.protocol_title}.",
        ),
        _deviations(report),
    )


def _deviations(report: Report) -> Element | None:
    if not report.departures:
        return None
    told = "; ".join(departure.text for departure in report.departures)
    return tag("p", f"Measured otherwise than the protocol says, with: {told}.", class_="missing")


def _funnel(report: Report) -> list[Element]:
    if not report.funnel:
        return []
    legend = tag(
        "p",
        _legend_key("drawn", "attempts that are left"),
        _legend_key("inner", "different formulas among them"),
        _legend_key("whisker", "95% interval"),
        class_="key",
    )
    return [legend, tables.funnel_table(report)]


def _published(report: Report, blocks: Sequence[PublishedTable]) -> list[Element]:
    def shared(block: PublishedTable) -> int:
        return sum(
            metric_for_column(report, column) is not None for column in block.columns.values()
        )

    # What has most in common with ours comes first.
    return [
        tables.comparison_table(report, b)
        for b in sorted(blocks, key=shared, reverse=True)
        if shared(b)
    ]


def _stages(report: Report) -> list[str]:
    return list(dict.fromkeys([*report.stages, *(figure.stage for figure in report.figures)]))


def _title(stage: str) -> str:
    return _TITLES.get(stage, stage.capitalize())


def _stage(report: Report, stage: str, columns: Columns) -> list[Element]:
    parts: list[Element] = []
    said = report.stages.get(stage)
    if said is not None and said.state == "unavailable":
        parts.append(tag("p", f"Not measured: {said.note}", class_="missing"))
    elif said is not None and said.note:
        parts.append(tag("p", said.note))
    if any(figure.stage == stage for figure in report.figures):
        parts.append(tables.metrics_table(report, stage))
    if stage == "novelty" and (matches := tables.training_matches(columns)) is not None:
        parts.append(matches)
    drawn = [found for found in report.histograms if found.stage == stage]
    if drawn:
        keys: list[Child] = [_legend_key("drawn", "drawn")]
        if any(found.reference_counts is not None for found in drawn):
            keys.append(_legend_key("reference", "reference"))
        keys.append("The first and the last bin count all that lies beyond them, too.")
        parts.append(tag("p", *keys, class_="key"))
        parts.append(tag("div", *(histogram_chart(found) for found in drawn), class_="charts"))
    frequent = [found for found in report.shares if found.stage == stage]
    parts += [_element_counts(found) for found in frequent if found.name == "elements"]
    others = [found for found in frequent if found.name != "elements"]
    if others:
        parts.append(
            tag("div", *(tables.label_counts_table(found) for found in others), class_="charts")
        )
    return parts


def _element_counts(label_counts: LabelCounts) -> Element:
    legend = "Share of the crystals that hold the element"
    if label_counts.reference_counts is not None:
        legend += "; ▲ more than twice, ▼ less than half as often as in the reference"
    return tag(
        "div",
        tag("h3", label_counts.title),
        tag("div", periodic_table(label_counts), class_="scroll"),
        tag("p", legend, class_="key"),
        details("Numbers", tables.label_counts_table(label_counts)),
    )


def _gallery(columns: Columns, crystals: Sequence[Crystal | None]) -> list[Element]:
    if not any(crystals):
        return []
    told = (
        "Valid and unique ones first, the lowest energy above the hull first where it is known, "
        "else in the order in which they were drawn. Drag one to turn it."
    )
    if any(energy is not None for energy in columns.get(ENERGY_COLUMN, ())):
        told += " Crystals are shown as they were drawn, before they were relaxed; energies above "
        told += "the hull are of what they relaxed to."
    return [tag("p", told), gallery(columns, crystals)]


def _failures(columns: Columns) -> list[Element]:
    parts = []
    for name, caption in (
        ("fault", "Attempts that are no crystal"),
        ("structure_fault", "Crystals whose structure is not valid"),
    ):
        found = columns.get(name, ())
        counted = Counter(str(fault) for fault in found if isinstance(fault, str))
        rows: list[list[Child]] = [
            [
                fault,
                format_integer(count),
                format_percent(count / len(found)),
                _examples(columns, name, fault),
            ]
            for fault, count in counted.most_common()
        ]
        if rows:
            header: list[Child] = ["fault", "attempts", "share", "for example"]
            parts.append(table(caption, header, rows, class_="faults"))
    return parts


def _examples(columns: Columns, column: str, failure: str) -> str:
    at = [i for i, found in enumerate(columns[column]) if found == failure][:_N_EXAMPLES]
    names, problems = columns.get("name"), columns.get("problem") if column == "fault" else None
    told = []
    for i in at:
        name = str(i) if names is None else str(names[i])
        problem = None if problems is None else problems[i]
        told.append(f"{name}: {problem}" if isinstance(problem, str) and problem else name)
    return "; ".join(told)


def _provenance(report: Report) -> list[Element]:
    made = report.made
    facts: list[list[Child]] = [
        ["input", f"{report.input.path} ({report.input.kind})", report.input.sha256],
        *(
            _row(role, f"{s.title}, {format_count(s.crystals, 'crystal')}", s.sha256)
            for role, s in report.sets.items()
        ),
    ]
    seconds: list[list[Child]] = [
        [_title(name), note.state, f"{note.seconds:,.1f}", note.note]
        for name, note in report.stages.items()
    ]
    versions: list[list[Child]] = [
        ["crystext", made.crystext + (f", commit {made.commit}" if made.commit else "")],
        ["python", made.python],
        *(_row(name, version) for name, version in made.versions.items()),
        ["machine", made.machine],
        ["date", made.date],
    ]
    return [
        table("What was read", ["", "", "SHA-256"], facts, class_="made"),
        table("Stages", ["", "", "seconds", ""], seconds, class_="made"),
        table("Versions and machine", ["", ""], versions, class_="made"),
    ]


def _row(*cells: Child) -> list[Child]:
    return list(cells)


def _legend_key(kind: str, text: str) -> Element:
    return tag("span", tag("i", class_=f"swatch {kind}"), text)


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
