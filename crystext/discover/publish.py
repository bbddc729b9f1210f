"""Writes what is made of the rounds: table, CIFs, `search.json` and the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crystext.discover.candidates import (
    RankedCandidate,
    extended_hull,
    rank_candidates,
    unseated_by_system,
)
from crystext.discover.checks import missed_conditions
from crystext.discover.outputs import write_candidates
from crystext.discover.page import PageContent, render_page
from crystext.discover.phase_diagram import PhaseDiagram, draw_phase_diagram
from crystext.discover.polymorphs import (
    FormulaPolymorphs,
    chances,
    polymorphs,
    write_polymorphs,
)
from crystext.discover.records import Outcome
from crystext.discover.search import Search
from crystext.discover.summary import funnel, summarize
from crystext.energies.judges import Calibration, calibrate
from crystext.runtime.files import write_json, write_text
from crystext.runtime.provenance import collect_provenance
from crystext.structures.properties import chemical_system

PAGE_NAME, SUMMARY_NAME, CALIBRATION_NAME = "report.html", "search.json", "judges.json"

_MAX_CALIBRATION_CRYSTALS = 40
"""Crystals whose known energies each judge is compared with; a few seconds."""

_MAX_DIAGRAMS = 3


def publish(search: Search) -> None:
    """Write the files of a search; the page and the calibration once it has ended.

    Raises:
        RunError: the folder cannot be written.
    """
    assert search.out is not None, "a search without a folder publishes nothing"
    ranked = rank_search(search)
    write_candidates(ranked, search.out)
    by_formula = polymorphs(search, ranked)
    write_polymorphs(by_formula, search.out)
    calibrations = None if search.ending is None else _calibrations(search, search.out)
    summary = _summary(search, ranked, calibrations or [])
    write_json(search.out / SUMMARY_NAME, summary)
    page = render_page(_page_content(search, ranked, calibrations or [], summary, by_formula))
    write_text(search.out / PAGE_NAME, page)


def rank_search(search: Search) -> list[RankedCandidate]:
    """Return the candidates of a search, the best first."""
    return rank_candidates(
        search.history.candidates, search.tools.judges[0].hull, search.tools.settings.below
    )


def _summary(
    search: Search, ranked: Sequence[RankedCandidate], calibrations: Sequence[Calibration]
) -> dict[str, Any]:
    """Return the contents of `search.json`."""
    history, tools = search.history, search.tools
    statistics = history.statistics
    return {
        "summary": summarize(search, ranked),
        "ending": None if search.ending is None else search.ending.name.lower(),
        "rounds": len(history.rounds),
        "seconds": round(search.seconds, 1),
        "settings": search.identity,
        "funnel": [asdict(step) for step in funnel(history.outcomes)],
        "outcomes": {
            outcome.label: count
            for outcome, count in Counter(history.outcomes.values()).most_common()
        },
        "missed_conditions": dict(_missed_conditions(search).most_common()),
        "arms": [
            {
                "arm": arm,
                "texts": count,
                "successes": round(statistics.successes.get(arm, 0.0), 1),
                "failures": round(statistics.failures.get(arm, 0.0), 1),
                "lowest_e_above_hull": statistics.energies.get(arm),
            }
            for arm, count in sorted(statistics.texts.items(), key=lambda item: -item[1])
        ],
        "judges": [
            {
                "name": judge.name,
                "corrections": judge.correction.value,
                "hull": judge.hull.summary(),
                "calibration": next(
                    (asdict(x) for x in calibrations if x.judge == judge.name), None
                ),
            }
            for judge in tools.judges
        ],
        "known": [
            {"title": known.title, "crystals": len(known)} for known in tools.known_crystals.sets
        ],
        "known_again": known_again(search),
        "unseated": {
            system: [asdict(phase) for phase in phases]
            for system, phases in unseated_by_system(
                history.candidates, tools.judges[0].hull
            ).items()
        },
        "provenance": collect_provenance().model_dump(mode="json"),
    }


def _missed_conditions(search: Search) -> Counter[str]:
    """Return how many texts missed each condition; one may miss several."""
    texts = search.history.texts.values()
    missed = [x.message for x in texts if x.outcome is Outcome.CONDITION]
    return Counter(name for message in missed for name in missed_conditions(message))


def known_again(search: Search) -> list[dict[str, Any]]:
    """Return the known crystals that were drawn, or reached by relaxing, each once.

    Those that were reached have an energy above the hull; the others are not relaxed.
    """
    met: dict[str, dict[str, Any]] = {}
    history = search.history
    for text in history.texts.values():
        if text.outcome is Outcome.KNOWN:
            met.setdefault(text.message, {"formula": text.formula, "e_above_hull": None})
    for row in history.relaxed:
        if row.outcome is Outcome.RELAXED_KNOWN and row.nearest_known is not None:
            formula = history.texts[row.index].formula
            met[row.nearest_known] = {"formula": formula, "e_above_hull": row.above_hull}
    return [{"known": name, **values} for name, values in sorted(met.items())]


def _calibrations(search: Search, out: Path) -> list[Calibration]:
    """Return the judges' errors for known crystals of the search's elements, computed once."""
    path = out / CALIBRATION_NAME
    names = [judge.name for judge in search.tools.judges]
    if path.is_file():
        try:
            stored = [Calibration(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError):
            stored = []
        if [row.judge for row in stored] == names:
            return stored
    elements = _elements(search)
    known = search.tools.known_crystals.formation_energies(elements, _MAX_CALIBRATION_CRYSTALS)
    found = [calibrate(judge, known, search.workers) for judge in search.tools.judges]
    calibrations = [calibration for calibration in found if calibration is not None]
    if len(calibrations) == len(names):
        write_json(path, [asdict(calibration) for calibration in calibrations])
    return calibrations


def _elements(search: Search) -> list[str]:
    """Return the elements of the search: those required, else those of the candidates."""
    conditions = search.tools.settings.conditions
    found = {symbol for x in search.history.candidates for symbol in x.crystal.symbols}
    return sorted({*conditions.required_elements, *conditions.only} or found)


def _page_content(
    search: Search,
    ranked: Sequence[RankedCandidate],
    calibrations: Sequence[Calibration],
    summary: dict[str, Any],
    by_formula: Sequence[FormulaPolymorphs],
) -> PageContent:
    hull = search.tools.judges[0].hull
    requested = search.tools.settings.conditions.chemical_system
    systems = dict.fromkeys(["-".join(sorted(requested))] if requested else [])
    systems |= dict.fromkeys(chemical_system(row.candidate.crystal) for row in ranked)
    diagrams: list[PhaseDiagram] = []
    for system in systems:
        if len(diagrams) == _MAX_DIAGRAMS:
            break
        extended = extended_hull(system, search.history.candidates, hull)
        diagram = draw_phase_diagram(system, ranked, extended)
        if diagram is not None:
            diagrams.append(diagram)
    return PageContent(search, ranked, calibrations, summary, diagrams, by_formula, chances(search))
