"""Deviations from a protocol: the sets, models and settings used in place of the protocol's.

Published values are compared by the protocol's name; a value measured with another hull or
reference has that name but is another quantity. A set given as a file counts as another one, even
if it holds the same crystals, because the two are not compared. Samples of which only the best
were kept are a deviation too: published values are of samples as they come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from crystext.evaluate.protocol import Protocol, load_protocol, protocol_names
from crystext.evaluate.reference_sets import ReferenceSets
from crystext.evaluate.report import ProtocolDeviation, Report
from crystext.evaluate.stages.base import EvaluationOptions
from crystext.evaluate.stages.registry import STAGES, loadable_stages
from crystext.generation.selection import SelectionSummary
from crystext.runtime.wording import format_count

CHOSEN_SAMPLES = "selection"
"""What a deviation is called whose samples were chosen: all values of samples depend on it."""


def protocol_deviations(
    protocol: Protocol,
    options: EvaluationOptions,
    reference_sets: ReferenceSets,
    done: Collection[str],
    n_samples: int,
    cache: Path | None = None,
    selection: SelectionSummary | None = None,
) -> list[ProtocolDeviation]:
    """Return the deviations of an evaluation.

    Args:
        protocol: the protocol.
        options: options given in place of its own.
        reference_sets: the sets used for comparison.
        done: names of the measured stages.
        n_samples: number of samples.
        cache: what stages share (`StageContext.cache`); None if there is no such folder.
        selection: what the samples are, if they were chosen among others.
    """
    deviations = [
        *_deviation_of_samples(selection, n_samples),
        *_deviations_of_protocol(protocol),
        *_deviations_of_sets(protocol, reference_sets),
    ]
    for name, settings in protocol.stages.items():
        if name in done:
            deviations += STAGES[name].deviations(settings, options, n_samples, cache)
    return deviations


def deviations_affecting(report: Report, metric: str | None) -> list[ProtocolDeviation]:
    """Return the deviations that a value depends on.

    Args:
        report: the report with the value.
        metric: where the report has it; see `published.PublishedColumn`.
    """
    parts = set((metric or "").split("."))
    everything = {"protocol"}
    if not any(stage.name in parts for stage in loadable_stages() if not stage.uses_samples):
        everything.add(CHOSEN_SAMPLES)
    return [
        deviation
        for deviation in report.protocol_deviations
        if deviation.what in everything or _affected_names(deviation.what) & parts
    ]


def deviation_letters(
    report: Report, metrics: Iterable[str | None]
) -> dict[ProtocolDeviation, str]:
    """Return the deviations that values shown together depend on, marked a, b, c without a gap.

    Args:
        report: the report with the values.
        metrics: where the report has them; see `published.PublishedColumn`.
    """
    touched = {deviation for name in metrics for deviation in deviations_affecting(report, name)}
    shown = [x for x in report.protocol_deviations if x in touched]
    return dict(zip(shown, "abcdefghijklmnopqrstuvwxyz", strict=False))


def _affected_names(what: str) -> frozenset[str]:
    """Return the names of stages, metrics and funnel steps that depend on something."""
    affected = (stage.affected_by.get(what, frozenset()) for stage in loadable_stages())
    return frozenset().union(*affected)


def _deviation_of_samples(
    selection: SelectionSummary | None, n_samples: int
) -> Iterator[ProtocolDeviation]:
    if selection is not None:
        text = f"chosen samples: {selection.title_of(n_samples)}, in place of all"
        yield ProtocolDeviation(what=CHOSEN_SAMPLES, text=text)


def _deviations_of_protocol(protocol: Protocol) -> Iterator[ProtocolDeviation]:
    if protocol.name not in protocol_names():
        return
    shipped = load_protocol(protocol.name)
    parts = [
        part
        for part in ("reference", "training", *protocol.stages)
        if getattr(protocol, part) not in (None, getattr(shipped, part, None))
    ]
    if parts:
        yield ProtocolDeviation(
            what="protocol",
            text=f"a protocol named {protocol.name} that differs from the shipped one: its "
            f"{', '.join(parts)} {'differs' if len(parts) == 1 else 'differ'}",
        )


def _deviations_of_sets(
    protocol: Protocol, reference_sets: ReferenceSets
) -> Iterator[ProtocolDeviation]:
    for role, expected, title in (
        ("reference", protocol.reference, "reference"),
        ("training", protocol.training, "training set"),
    ):
        taken, opened = reference_sets.specs.get(role), reference_sets.opened.get(role)
        if expected is None or taken is None or opened is None:
            continue
        if (taken.source, taken.split) != (expected.source, expected.split):
            size = format_count(len(opened), "crystal")
            text = f"{title}: {opened.title} ({size}) in place of {expected.title}"
            yield ProtocolDeviation(what=role, text=text)
