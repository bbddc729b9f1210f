"""One round of a search: draw, check, rank, relax the most promising, check again.

The order of what is relaxed is told in `choice`, the checks in `checks` and `relaxing`, and where
texts are drawn in `arms`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crystext.discover.arms import Arm, choose_arms, first_arms, narrowed_arms
from crystext.discover.checks import first_failure
from crystext.discover.choice import SCREENED_PER_RELAXED, choose, predict, screen
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
"""Texts that one choice of an arm draws."""


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
    texts = predict(texts, history, tools.predictor)
    waiting = history.waiting | {x.index: x for x in texts if x.outcome is Outcome.WAITING}
    unrelaxed = screen(waiting, history, tools, SCREENED_PER_RELAXED * n_relaxed, workers, report)
    chosen = choose(waiting, history.unrelaxed | unrelaxed, n_relaxed, tools.settings.below)
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
    narrowed = []
    for target in settings.targets[:1]:
        arms = narrowed_arms(target, history.statistics, settings.below)
        narrowed += [arm for arm in arms if _is_feasible(arm, tools.sampler)]
    batches = [
        min(TEXTS_PER_BATCH, n_texts - start) for start in range(0, n_texts, TEXTS_PER_BATCH)
    ]
    chosen = choose_arms(first, narrowed, history.statistics, len(batches), rng)
    texts: list[SampledText] = []
    report("drawing", 0, n_texts)
    for arm, size in zip(chosen, batches, strict=True):
        start = history.next_index + len(texts)
        attempts = tools.sampler.draw(arm.conditions, range(start, start + size))
        texts += [_check_text(attempt, arm.label, history, tools) for attempt in attempts]
        report("drawing", len(texts), n_texts)
    return [(arm.label, size) for arm, size in zip(chosen, batches, strict=True)], texts


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
