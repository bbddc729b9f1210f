"""One round of a search: draw, check, rank, relax the most promising, check again.

The order of what is relaxed is told in `choice`, the checks in `checks` and `relaxing`, and where
texts are drawn in `arms`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from crystext.discover.arms import (
    EXPLORATION,
    Arm,
    choose_arms,
    exchange_arms,
    first_arms,
    narrowed_arms,
)
from crystext.discover.checks import first_failure
from crystext.discover.choice import choose, energies_as_drawn
from crystext.discover.exchanges import Exchange
from crystext.discover.history import History
from crystext.discover.records import Outcome, Round, SampledText
from crystext.discover.relaxing import ask_other_judges, assess_relaxed, relax_chosen
from crystext.discover.sampler import ArmSampler
from crystext.discover.tools import Report, SearchTools
from crystext.errors import SettingError
from crystext.inference.types import Attempt
from crystext.runtime.processes import Workers
from crystext.structures.properties import reduced_formula
from crystext.structures.space_groups import find_space_group

TEXTS_PER_BATCH = 20
"""Texts that one choice of an arm draws; fewer in small rounds, so that there are some choices."""


def run_round(history: History, tools: SearchTools, workers: Workers, report: Report) -> Round:
    """Do the next round; the history gets its texts, and the caller adds the round.

    Args:
        history: of all rounds before.
        tools: of the search.
        workers: processes that relax, or an executor; the result does not depend on them.
        report: called with the progress.

    Raises:
        CrystextError: the model cannot be sampled, or the potential fails.
    """
    number = len(history.rounds) + 1
    n_texts, n_relaxed = tools.settings.sizes(number)
    arms, texts = _draw_texts(history, tools, number, n_texts, report)
    waiting = history.waiting | {x.index: x for x in texts if x.outcome is Outcome.WAITING}
    unrelaxed = energies_as_drawn(waiting, history, tools, workers, report)
    chosen = choose(waiting, history.unrelaxed | unrelaxed, n_relaxed, history.hopeless_above)
    crystals = {text.index: history.crystal(text) for text in chosen}
    results = relax_chosen(crystals, tools, workers, report)
    relaxed = assess_relaxed(chosen, crystals, results, history, tools)
    relaxed = ask_other_judges(relaxed, tools, workers, report)
    return Round(
        number, tuple(arms), tuple(texts), tuple(sorted(unrelaxed.items())), tuple(relaxed)
    )


def _draw_texts(
    history: History, tools: SearchTools, number: int, n_texts: int, report: Report
) -> tuple[list[tuple[str, int]], list[SampledText]]:
    """Return the arms with their numbers of texts, and the texts, checked."""
    settings = tools.settings
    rng = np.random.default_rng([settings.seed, number])
    first = first_arms(settings.targets)
    narrowed = narrowed_arms(settings.targets[0], history.statistics, settings.below)
    others = [arm for arm in narrowed if _is_feasible(arm, tools.sampler)]
    others += [arm for arm in exchange_arms(settings.targets) if _exchanges(arm, 1, history, tools)]
    most = min(TEXTS_PER_BATCH, -(-n_texts // EXPLORATION))
    batches = [min(most, n_texts - start) for start in range(0, n_texts, most)]
    chosen = choose_arms(first, others, history.statistics, len(batches), rng)
    # All texts of an arm are drawn together: a step of the network takes as long for few.
    sizes: Counter[Arm] = Counter()
    for arm, size in zip(chosen, batches, strict=True):
        sizes[arm] += size
    texts: list[SampledText] = []
    report("drawing", 0, n_texts)
    for arm, size in sizes.items():
        texts += _draw_batch(arm, size, history.next_index + len(texts), history, tools)
        report("drawing", len(texts), n_texts)
    return [(arm.label, size) for arm, size in sizes.items()], texts


def _draw_batch(
    arm: Arm, size: int, start: int, history: History, tools: SearchTools
) -> list[SampledText]:
    """Return texts of an arm, checked; fewer at the end of the exchanges.

    Args:
        arm: to draw from.
        size: number of texts.
        start: index of the first.
        history: of all rounds before.
        tools: of the search.
    """
    if not arm.exchanges:
        attempts = tools.sampler.draw(arm.conditions, range(start, start + size))
        return [_check_text(attempt, arm.label, history, tools) for attempt in attempts]
    found = _exchanges(arm, size, history, tools)
    attempts = tools.exchanges.draw(arm.conditions, found, range(start, start + len(found)))
    return [
        replace(_check_text(attempt, arm.label, history, tools), origin=exchange.source)
        for attempt, exchange in zip(attempts, found, strict=True)
    ]


def _exchanges(arm: Arm, count: int, history: History, tools: SearchTools) -> list[Exchange]:
    """Return the next exchanges of an arm, in the order in which they are drawn."""
    start = history.statistics.texts.get(arm.label, 0)
    return tools.exchanges.next(arm.conditions, start, count)


def _is_feasible(arm: Arm, sampler: ArmSampler) -> bool:
    """Return whether the model can write a crystal of an arm, such as a formula in its group."""
    try:
        sampler.request(arm.conditions)
    except SettingError:
        return False
    return True


def _check_text(attempt: Attempt, arm: str, history: History, tools: SearchTools) -> SampledText:
    """Return a text with the first check that it fails; `WAITING` if it passes all."""
    text = SampledText(
        attempt.index,
        arm,
        attempt.text,
        attempt.log_probability,
        attempt.tokens,
        Outcome.NO_CRYSTAL,
        attempt.failure or "",
    )
    crystal = None if attempt.failure else history.text_format.decode(attempt.text).crystal
    if crystal is None:
        return text
    text = replace(
        text,
        formula=reduced_formula(crystal.numbers),
        n_atoms=len(crystal),
        space_group=find_space_group(crystal),
    )
    if (reason := tools.condition_check(crystal)) is not None:
        return replace(text, outcome=Outcome.CONDITION, message=reason)
    if (reason := first_failure(crystal, tools.checks)) is not None:
        return replace(text, outcome=Outcome.INVALID, message=reason)
    if (earlier := history.sampled_crystals.find(crystal)) is not None:
        return replace(text, outcome=Outcome.DUPLICATE, message=earlier)
    if (candidate := history.candidate_crystals.find(crystal)) is not None:
        return replace(text, outcome=Outcome.DUPLICATE, message=candidate)
    if (name := tools.known_crystals.match(crystal)) is not None:
        return replace(text, outcome=Outcome.KNOWN, message=name)
    history.sampled_crystals.add(str(text.index), crystal)
    return replace(text, outcome=Outcome.WAITING)
