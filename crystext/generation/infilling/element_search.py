"""Which elements unknown atoms have: each is tried, and the most probable are sampled further.

A text lists its orbits by electronegativity, so an element that comes early is sampled before the
model has read the known atoms after it. Beside titanium in the group of rutile, lithium is a
frequent first element, and oxygen, which fits best, is hardly ever sampled. So each element gets
texts of its own, and these are compared by the probability of the whole text.

Where several parts of a crystal have an unknown element, they are decided one after the other, with
a beam of the most probable choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crystext.generation.infilling.clusters import Candidate
from crystext.generation.infilling.orbit_texts import OrbitTexts
from crystext.generation.infilling.wyckoff_task import WyckoffTask
from crystext.grammar.wyckoff.completion import OrbitGaps
from crystext.inference.types import SamplingSettings

MAX_TEXTS_PER_ELEMENT = 2
"""Texts in which an element is tried, for each part of the task."""

TEXTS_OF_SEARCH = 600
"""Texts that try elements, all parts together; more if there is not one for each element."""

MAX_CHOICES = 8
"""Choices of all elements that are sampled further, and those kept at each step before."""


class Choice(NamedTuple):
    """Gaps whose elements are chosen."""

    place: int
    """Index of the part of the task."""
    gaps: OrbitGaps


class _Ranked(NamedTuple):
    """A choice, in the order of what is sampled further."""

    too_close: bool
    negative_score: float
    elements: tuple[int, ...]
    place: int
    gaps: OrbitGaps


def probable_elements(
    texts: OrbitTexts, task: WyckoffTask, settings: SamplingSettings
) -> list[Choice]:
    """Return the gaps that are sampled further, in place of those of the parts of a task.

    Besides each of the most probable choices, a gap may take any of their elements, so that its
    orbits can differ in their element.

    Args:
        texts: that take the crystals which are tried on the way.
        task: what to complete.
        settings: of the sampler.
    """
    open_ = {i: part.gaps for i, part in enumerate(task.parts) if part.gaps.undecided}
    decided = [Choice(i, part.gaps) for i, part in enumerate(task.parts) if i not in open_]
    tried: list[_Ranked] = []
    for place, gaps in open_.items():
        share = TEXTS_OF_SEARCH // len(open_)
        tried += _try_elements(texts, Choice(place, gaps), settings, share)
    best = sorted(tried, key=lambda each: each[:4])[:MAX_CHOICES]
    chosen = [Choice(each.place, each.gaps) for each in best]
    for place in dict.fromkeys(each.place for each in best):
        mixed = _mixed(open_[place], [each.gaps for each in best if each.place == place])
        if mixed.undecided:
            chosen.append(Choice(place, mixed))
    return decided + chosen


def _try_elements(
    texts: OrbitTexts, part: Choice, settings: SamplingSettings, share: int
) -> list[_Ranked]:
    """Return the most probable choices of all elements of a part, after so many texts a step."""
    place, gaps = part
    decided: list[int] = []
    beam: dict[tuple[int, ...], OrbitGaps] = {(): gaps}
    ranked: list[_Ranked] = []
    for index in gaps.undecided:
        decided.append(index)
        tried: dict[tuple[int, ...], OrbitGaps] = {
            (*before, z): narrower.with_elements(index, (z,))
            for before, narrower in beam.items()
            for z in narrower.gaps[index].elements
        }
        each = min(MAX_TEXTS_PER_ELEMENT, max(1, share // len(tried)))
        sampled = texts.sample(place, list(tried.values()), settings, each * len(tried))
        texts.score(sampled)
        ranked = _rank(sampled, tried, decided, place)[:MAX_CHOICES]
        beam = {choice.elements: choice.gaps for choice in ranked}
    return ranked


def _rank(
    candidates: Sequence[Candidate],
    tried: dict[tuple[int, ...], OrbitGaps],
    decided: Sequence[int],
    place: int,
) -> list[_Ranked]:
    """Return choices by the most probable crystal of each, those with atoms too close last."""
    best: dict[tuple[int, ...], tuple[bool, float]] = {}
    for each in candidates:
        by_gap = {placed.gap: placed.orbit.atomic_number for placed in each.placements}
        elements = tuple(by_gap[index] for index in decided)
        key = each.too_close, -each.score
        best[elements] = min(best.get(elements, key), key)
    return sorted(_Ranked(*key, z, place, tried[z]) for z, key in best.items())


def _mixed(gaps: OrbitGaps, choices: Sequence[OrbitGaps]) -> OrbitGaps:
    """Return gaps that may have all elements of some choices."""
    mixed = gaps
    for index in gaps.undecided:
        elements = dict.fromkeys(each.gaps[index].elements[0] for each in choices)
        mixed = mixed.with_elements(index, tuple(elements))
    return mixed
