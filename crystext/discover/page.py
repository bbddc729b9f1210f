"""Writes `report.html`: summary, candidates, phase diagrams, funnel, arms, judges, pictures.

The page needs no other file and no network. The table of candidates is sorted by a click on a
column's title, and filtered by what is typed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

from plotly.offline import get_plotlyjs

from crystext.discover.candidates import RankedCandidate
from crystext.discover.phase_diagram import PhaseDiagram
from crystext.discover.polymorphs import Chance, FormulaPolymorphs
from crystext.discover.search import Search
from crystext.discover.summary import FunnelStep
from crystext.energies.judges import CALIBRATION_HEADER, Calibration, calibration_rows
from crystext.evaluate.html.charts import Bar, bar_chart
from crystext.evaluate.html.gallery import MAX_SHOWN, Card, make_card
from crystext.evaluate.html.template_rendering import render
from crystext.structures.properties import space_group_symbols

_MAX_FORMULAS = 20
"""Formulas of a page whose polymorphs are listed."""

_MAX_KNOWN = 60
"""Known crystals of a page that were met again."""


@dataclass(frozen=True)
class PageContent:
    """What the page shows."""

    search: Search
    ranked: Sequence[RankedCandidate]
    calibrations: Sequence[Calibration]
    summary: dict[str, Any]
    """The contents of `search.json`."""
    diagrams: Sequence[PhaseDiagram]
    polymorphs: Sequence[FormulaPolymorphs] = ()
    chances: Sequence[Chance] = ()


class _Row(NamedTuple):
    """A candidate of the table."""

    ranked: RankedCandidate
    group: str
    others: list[float | None]
    """Energies above the hull by the judges after the first."""


def render_page(content: PageContent) -> str:
    """Return the page as text."""
    ranked = content.ranked
    scripts = [_asset("crystext.discover", "table.js")]
    if ranked:
        scripts.append(_asset("crystext.evaluate.html", "viewer.js"))
    if content.diagrams:
        # The diagrams are drawn by the script after it.
        scripts += [get_plotlyjs(), _asset("crystext.discover", "diagram.js")]
    others = [judge.name for judge in content.search.tools.judges[1:]]
    page = render(
        "discover.html",
        package="crystext.discover",
        title=_title(content.search),
        summary=content.summary,
        rows=[_row(row, others) for row in ranked],
        judges=[judge.name for judge in content.search.tools.judges],
        below=content.search.tools.settings.below,
        funnel=[(step, _bar(step)) for step in _steps(content.summary)],
        cards=[_card(row) for row in ranked[:MAX_SHOWN]],
        calibration_header=CALIBRATION_HEADER,
        calibrations=calibration_rows(content.search.tools.judges, content.calibrations),
        diagrams=content.diagrams,
        polymorphs=content.polymorphs[:_MAX_FORMULAS],
        n_formulas=len(content.polymorphs),
        group_title=_group,
        chances=content.chances,
        known=content.summary["known_again"][:_MAX_KNOWN],
        n_known=len(content.summary["known_again"]),
        scripts=scripts,
        digests=[_digest(script) for script in scripts],
        style="".join(
            _asset("crystext.evaluate.html", name)
            for name in ("style.css", "charts.css", "print.css")
        )
        + _asset("crystext.discover", "discover.css"),
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def _title(search: Search) -> str:
    requested = search.tools.settings.conditions.requested()
    given = {name: value for name, value in requested.items() if name != "exclude"}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in given.items()) or (
        "any crystal"
    )


def _row(ranked: RankedCandidate, others: Sequence[str]) -> _Row:
    relaxed = ranked.candidate.relaxed
    answers = {judge.judge: judge.e_above_hull for judge in relaxed.judges}
    return _Row(ranked, _group(relaxed.space_group), [answers.get(name) for name in others])


def _card(ranked: RankedCandidate) -> Card:
    candidate = ranked.candidate
    captions = [f"{candidate.above_hull:.3f} eV/atom above the hull"]
    if candidate.relaxed.novelty is not None:
        captions.append(candidate.relaxed.novelty.replace("_", " "))
    return make_card(f"{ranked.rank}. {candidate.name}", candidate.crystal, captions)


def _group(number: int | None) -> str:
    return "" if number is None else f"{space_group_symbols()[number]} ({number})"


def _steps(summary: dict[str, Any]) -> list[FunnelStep]:
    return [FunnelStep(**step) for step in summary["funnel"]]


def _bar(step: FunnelStep) -> Bar:
    return bar_chart(step.count / step.total if step.total else 0.0)


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _asset(package: str, name: str) -> str:
    """Return a style or script of a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")
