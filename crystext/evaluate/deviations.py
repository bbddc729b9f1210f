"""What an evaluation took in place of what its protocol names.

Published figures are compared by the protocol's name; what was measured with another hull or
another reference keeps that name and is another figure. A set that is given as a file counts as
another one, even where it holds the same crystals: nobody has compared them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from crystext.energies.potentials import PotentialSource, potential_name
from crystext.evaluate.protocol import STAGE_NAMES, Protocol, load_protocol, protocol_names
from crystext.evaluate.reference_sets import ReferenceSets
from crystext.evaluate.report import ProtocolDeviation, Report
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.runtime.wording import format_count

_ENERGY_METRICS = frozenset({"stability", "metastable", "stable", "msun", "sun", "candidates"})

_AFFECTED: dict[str, frozenset[str]] = {
    "reference": frozenset({"coverage", "distributions", "ipt"}),
    "training": frozenset(
        {"novel", "unique_and_novel", "novel_by_fingerprint", "msun", "sun", "candidates"}
    ),
    "potential": _ENERGY_METRICS,
    "hull": _ENERGY_METRICS,
    "relaxed": _ENERGY_METRICS,
}
"""Stages, figures and steps of the funnel that depend on it; a protocol touches all."""


def protocol_deviations(
    protocol: Protocol,
    options: EvaluationOptions,
    reference_sets: ReferenceSets,
    done: Collection[str],
    n_samples: int,
    potential: PotentialSource | None = None,
) -> list[ProtocolDeviation]:
    """Return the departures that a figure depends on.

    Args:
        protocol: the protocol.
        options: what was asked for in place of its own.
        reference_sets: those that were compared with.
        done: names of the stages that were measured.
        n_samples: how many there are.
        potential: what relaxed, where that was chosen and not asked for.
    """
    found = [*_deviations_of_protocol(protocol), *_deviations_of_sets(protocol, reference_sets)]
    if protocol.stability is not None and "stability" in done:
        found += _deviations_of_energies(protocol, options, n_samples, potential)
    return found


def deviations_affecting(report: Report, metric: str | None) -> list[ProtocolDeviation]:
    """Return the departures that a figure depends on.

    Args:
        report: has the figure.
        metric: where it has it; see `published.PublishedColumn`.
    """
    parts = set((metric or "").split("."))
    return [x for x in report.departures if x.what == "protocol" or _AFFECTED[x.what] & parts]


def deviation_letters(
    report: Report, metrics: Iterable[str | None]
) -> dict[ProtocolDeviation, str]:
    """Return the departures that figures shown together depend on, marked a, b, c without a gap.

    Args:
        report: has the figures.
        metrics: where it has them; see `published.PublishedColumn`.
    """
    touched = {departure for name in metrics for departure in deviations_affecting(report, name)}
    return dict(zip([x for x in report.departures if x in touched], "abcdef", strict=False))


def _deviations_of_protocol(protocol: Protocol) -> Iterator[ProtocolDeviation]:
    if protocol.name not in protocol_names():
        return
    shipped = load_protocol(protocol.name)
    parts = [
        part
        for part in ("reference", "training", *STAGE_NAMES)
        if getattr(protocol, part) not in (None, getattr(shipped, part))
    ]
    if parts:
        yield ProtocolDeviation(
            what="protocol",
            text=f"a protocol that is called {protocol.name} and is not the one that ships: its "
            f"{', '.join(parts)} {'differs' if len(parts) == 1 else 'differ'}",
        )


def _deviations_of_sets(
    protocol: Protocol, reference_sets: ReferenceSets
) -> Iterator[ProtocolDeviation]:
    for role, known, title in (
        ("reference", protocol.reference, "reference"),
        ("training", protocol.training, "training set"),
    ):
        taken, opened = reference_sets.specs.get(role), reference_sets.opened.get(role)
        if known is None or taken is None or opened is None:
            continue
        if (taken.source, taken.split) != (known.source, known.split):
            held = format_count(len(opened), "crystal")
            text = f"{title}: {opened.title} ({held}) in place of {known.title}"
            yield ProtocolDeviation.model_validate({"what": role, "text": text})


def _deviations_of_energies(
    protocol: Protocol,
    options: EvaluationOptions,
    n_samples: int,
    potential: PotentialSource | None,
) -> Iterator[ProtocolDeviation]:
    stability = protocol.stability
    assert stability is not None
    source = options.potential if potential is None else potential
    if source is not None:
        taken, named = potential_name(source), potential_name(stability.potential)
        if taken != named:
            yield ProtocolDeviation(what="potential", text=f"potential {taken} in place of {named}")
    if options.hull not in (None, stability.hull):
        text = f"hull {Path(str(options.hull)).name} in place of {stability.hull}"
        yield ProtocolDeviation(what="hull", text=text)
    asked = n_samples if stability.crystals is None else min(stability.crystals, n_samples)
    relaxed = asked if options.relax is None else min(options.relax, n_samples)
    if relaxed != asked:
        text = f"energies of the first {relaxed:,} attempts in place of {asked:,}"
        yield ProtocolDeviation(what="relaxed", text=text)
