"""What an evaluation took in place of what its protocol names.

Published figures are compared by the protocol's name; what was measured with another hull or
another reference keeps that name and is another figure. A set that is given as a file counts as
another one, even where it holds the same crystals: nobody has compared them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from crystext.energies.potentials import Source, name_of
from crystext.evaluate.protocol import NAMES, Protocol, load_protocol, protocol_names
from crystext.evaluate.reference_sets import Sets
from crystext.evaluate.report import Departure, Report
from crystext.evaluate.stages.base import Options
from crystext.runtime.wording import counted

_ENERGIES = frozenset({"stability", "metastable", "stable", "msun", "sun", "candidates"})

_TOUCHED: dict[str, frozenset[str]] = {
    "reference": frozenset({"coverage", "distributions", "ipt"}),
    "training": frozenset(
        {"novel", "unique_and_novel", "novel_by_fingerprint", "msun", "sun", "candidates"}
    ),
    "potential": _ENERGIES,
    "hull": _ENERGIES,
    "relaxed": _ENERGIES,
}
"""Stages, figures and steps of the funnel that depend on it; a protocol touches all."""


def departures(
    rules: Protocol,
    options: Options,
    sets: Sets,
    done: Collection[str],
    attempts: int,
    potential: Source | None = None,
) -> list[Departure]:
    """Return the departures that a figure depends on.

    Args:
        rules: the protocol.
        options: what was asked for in place of its own.
        sets: those that were compared with.
        done: names of the stages that were measured.
        attempts: how many there are.
        potential: what relaxed, where that was chosen and not asked for.
    """
    found = [*_of_rules(rules), *_of_sets(rules, sets)]
    if rules.stability is not None and "stability" in done:
        found += _of_energies(rules, options, attempts, potential)
    return found


def departed(report: Report, ours: str | None) -> list[Departure]:
    """Return the departures that a figure depends on.

    Args:
        report: has the figure.
        ours: where it has it; see `published.Column`.
    """
    parts = set((ours or "").split("."))
    return [x for x in report.departures if x.what == "protocol" or _TOUCHED[x.what] & parts]


def lettered(report: Report, ours: Iterable[str | None]) -> dict[Departure, str]:
    """Return the departures that figures shown together depend on, marked a, b, c without a gap.

    Args:
        report: has the figures.
        ours: where it has them; see `published.Column`.
    """
    touched = {departure for name in ours for departure in departed(report, name)}
    return dict(zip([x for x in report.departures if x in touched], "abcdef", strict=False))


def _of_rules(rules: Protocol) -> Iterator[Departure]:
    if rules.name not in protocol_names():
        return
    shipped = load_protocol(rules.name)
    parts = [
        part
        for part in ("reference", "training", *NAMES)
        if getattr(rules, part) not in (None, getattr(shipped, part))
    ]
    if parts:
        yield Departure(
            what="protocol",
            text=f"a protocol that is called {rules.name} and is not the one that ships: its "
            f"{', '.join(parts)} {'differs' if len(parts) == 1 else 'differ'}",
        )


def _of_sets(rules: Protocol, sets: Sets) -> Iterator[Departure]:
    for role, known, title in (
        ("reference", rules.reference, "reference"),
        ("training", rules.training, "training set"),
    ):
        taken, opened = sets.specified.get(role), sets.opened.get(role)
        if known is None or taken is None or opened is None:
            continue
        if (taken.source, taken.split) != (known.source, known.split):
            held = counted(len(opened), "crystal")
            text = f"{title}: {opened.title} ({held}) in place of {known.title}"
            yield Departure.model_validate({"what": role, "text": text})


def _of_energies(
    rules: Protocol, options: Options, attempts: int, potential: Source | None
) -> Iterator[Departure]:
    stability = rules.stability
    assert stability is not None
    source = options.potential if potential is None else potential
    if source is not None:
        taken, named = name_of(source), name_of(stability.potential)
        if taken != named:
            yield Departure(what="potential", text=f"potential {taken} in place of {named}")
    if options.hull not in (None, stability.hull):
        text = f"hull {Path(str(options.hull)).name} in place of {stability.hull}"
        yield Departure(what="hull", text=text)
    asked = attempts if stability.crystals is None else min(stability.crystals, attempts)
    relaxed = asked if options.relax is None else min(options.relax, attempts)
    if relaxed != asked:
        text = f"energies of the first {relaxed:,} attempts in place of {asked:,}"
        yield Departure(what="relaxed", text=text)
