"""Writes `report.html`: the input, the funnel, published values, every stage, and crystals."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from crystext.evaluate.html import tables
from crystext.evaluate.html.charts import bar_chart, histogram_chart
from crystext.evaluate.html.gallery import cards, introduction
from crystext.evaluate.html.periodic_table import Tile, periodic_table
from crystext.evaluate.html.tables import Columns, LabelTable
from crystext.evaluate.html.template_rendering import render
from crystext.evaluate.published import PublishedTable, published_tables
from crystext.evaluate.report import Report
from crystext.evaluate.stages.base import ReportSection
from crystext.evaluate.stages.registry import loadable_stages
from crystext.runtime.files import write_text
from crystext.structures.crystal import Crystal

PAGE_NAME = "report.html"

_STYLES = ("style.css", "charts.css", "print.css")
"""In order: later rules override earlier ones."""


class Section(NamedTuple):
    """A part of the page with its link; one without a body is left out."""

    anchor: str
    title: str
    body: str


class ElementCounts(NamedTuple):
    """Counts of elements, as a table and as tiles."""

    counts: LabelTable
    tiles: list[Tile]


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
        report: the numbers.
        columns: of `structures.parquet`: a value per sample, by name.
        crystals: of all samples; None for failures.
        folder: existing folder for `report.html`.
        published: tables to compare with; by default those shipped for the report's protocol.

    Returns:
        The page's path.

    Raises:
        RunError: the page cannot be written.
        SettingError: a published table is invalid.
    """
    blocks = published_tables(report.protocol) if published is None else published
    text = render_page(report, columns, crystals, blocks)
    path = folder / PAGE_NAME
    # Names of files may hold bytes that are not UTF-8.
    write_text(path, text.encode("utf-8", "replace").decode("utf-8"))
    return path


def render_page(
    report: Report,
    columns: Columns,
    crystals: Sequence[Crystal | None],
    published: Sequence[PublishedTable],
) -> str:
    """Return the page as text; see `write_page`."""
    names = list(dict.fromkeys([*report.stages, *(metric.stage for metric in report.metrics)]))
    places = {name: ReportSection(name.capitalize()) for name in names}
    places |= {stage.name: stage.section for stage in loadable_stages(names)}
    comparisons = tables.compare(report, published)
    sections = [
        Section("funnel", "Funnel", _funnel(report) if report.funnel else ""),
        Section(
            "published",
            "Published values",
            render("published.html", report=report, comparisons=comparisons) if comparisons else "",
        ),
        *_stage_sections(report, places, columns),
        Section("gallery", "Crystals", _gallery(columns, crystals)),
        Section("failures", "Failures", _failures(columns)),
        Section(
            "provenance",
            "Provenance",
            render(
                "provenance.html",
                report=report,
                headings={name: places[name].heading for name in report.stages},
            ),
        ),
    ]
    script = _asset("viewer.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render(
        "page.html",
        report=report,
        sections=[section for section in sections if section.body],
        script=script,
        script_digest=digest,
        style="".join(_asset(name) for name in _STYLES),
    )


def _funnel(report: Report) -> str:
    rows = []
    for step in report.funnel:
        inner = step.unique_formulas / step.total if step.total else 0.0
        bar = bar_chart(step.proportion, inner=inner, interval=(step.low, step.high))
        rows.append((step, bar))
    return render("funnel.html", rows=rows)


def _stage_sections(
    report: Report, sections: Mapping[str, ReportSection], columns: Columns
) -> list[Section]:
    """Return the sections of stages, each with those that are shown within it."""
    parts: dict[str, list[Section]] = defaultdict(list)
    for name, place in sections.items():
        if place.within in sections:
            body = _stage(report, name, place, columns)
            if body:
                parts[place.within].append(Section(name, place.heading, body))
    return [
        Section(name, place.heading, _stage(report, name, place, columns, parts[name]))
        for name, place in sections.items()
        if place.within not in sections
    ]


def _stage(
    report: Report,
    stage: str,
    place: ReportSection,
    columns: Columns,
    parts: Sequence[Section] = (),
) -> str:
    counts = [found for found in report.counts if found.stage == stage]
    matches = (tables.match_table(columns, name, title) for name, title in place.matches.items())
    body = render(
        "stage.html",
        stage=stage,
        status=report.stages.get(stage),
        metrics=[metric for metric in report.metrics if metric.stage == stage],
        formula_notes=place.formula_notes,
        matches=[found for found in matches if found is not None],
        histograms=[histogram_chart(x) for x in report.histograms if x.stage == stage],
        periodic_tables=[
            ElementCounts(tables.label_table(x), periodic_table(x))
            for x in counts
            if x.kind == "element"
        ],
        counts=[tables.label_table(x) for x in counts if x.kind != "element"],
        tables=[found for found in report.tables if found.stage == stage],
        parts=parts,
    )
    return body if body.strip() else ""


def _gallery(columns: Columns, crystals: Sequence[Crystal | None]) -> str:
    if not any(crystals):
        return ""
    return render(
        "gallery.html", introduction=introduction(columns), cards=cards(columns, crystals)
    )


def _failures(columns: Columns) -> str:
    captions = {"failure": "Samples that are not crystals"}
    for stage in loadable_stages():
        captions |= stage.section.failures
    found = [tables.failure_table(columns, name, caption) for name, caption in captions.items()]
    shown = [table for table in found if table is not None]
    return render("failures.html", tables=shown) if shown else ""


def _asset(name: str) -> str:
    """Return a style or script of the package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
