"""Rejection sampling: texts are sampled again until their crystals satisfy the conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from crystext.conditions import Conditions
from crystext.generation.sampling_run import SamplingRun
from crystext.inference.generate import Sampler, TextGenerator
from crystext.inference.threads import single_thread_if_small
from crystext.inference.types import Attempt, Request
from crystext.text import Format

NO_CRYSTAL = "no_crystal"
"""Why a text is refused that is not a crystal."""


def sample_until_satisfied(
    sampler: Sampler,
    request: Request,
    conditions: Conditions,
    indices: Sequence[int],
    *,
    fmt: Format,
    constrained: bool = True,
    max_attempts_per_sample: int = 1,
    wanted: int | None = None,
) -> list[Attempt]:
    """Sample one text for each index, and record which conditions its crystal satisfies.

    Args:
        sampler: samples the texts.
        request: made from the conditions.
        conditions: conditions that crystals are checked for.
        indices: indices of the crystals.
        fmt: the model's own format, used unless the request names another.
        constrained: whether the sampler enforces the request's constraints.
        max_attempts_per_sample: a crystal that fails a condition is sampled again, with new random
            numbers, up to this many texts. The text that satisfies most conditions is returned; of
            equals the first. Each records how many of its texts were refused, and for what.
        wanted: how many samples are returned, of the first indices; None is all. The others are
            part of the batches, so that a sample does not depend on this number.
    """
    fmt = fmt if request.format is None else request.format
    constrained = constrained and fmt.grammar is not None
    best: dict[int, Attempt] = {}
    refused: dict[int, Counter[str]] = {index: Counter() for index in indices}
    left = indices
    # A text that is sampled again is so in a batch with all others that are.
    finished = wanted if max_attempts_per_sample == 1 else None
    looked_at = conditions.can_be_checked
    enforced = {*fmt.enforces, *(["oxidation"] if request.constraints.charges else [])}
    for redraw in range(max_attempts_per_sample):
        for drawn in sampler.draw(request, left, redraw=redraw, wanted=finished):
            read = looked_at and drawn.failure is None
            crystal = fmt.decode(drawn.text).crystal if read else None
            records = conditions.check(
                crystal, constrained=constrained, enforced_by_format=enforced
            )
            fresh = replace(drawn, conditions=records, checked_crystal=crystal)
            known = best.get(drawn.index)
            kept = fresh if known is None or _merit(fresh) > _merit(known) else known
            refused[drawn.index].update(_missed(fresh))
            best[drawn.index] = replace(kept, attempts=redraw + 1)
        left = [index for index in left if index in best and not best[index].satisfied]
        if not left:
            break
    asked = indices[:wanted]
    if max_attempts_per_sample == 1:
        return [best[index] for index in asked]
    return [replace(best[i], refused=tuple(sorted(refused[i].items()))) for i in asked]


def iter_attempts(
    run: SamplingRun, request: Request, generator: TextGenerator
) -> Iterator[Attempt]:
    """Yield the samples of a run with one request, sampled in this process, batch by batch.

    Args:
        run: the run to sample.
        request: made from the run's conditions.
        generator: a generator with the run's settings.
    """
    (conditions,) = run.conditions
    for batch in run.iter_batches():
        with single_thread_if_small(generator.network):
            attempts = sample_until_satisfied(
                generator,
                request,
                conditions,
                range(batch.start, batch.start + batch.size),
                fmt=generator.format,
                constrained=run.settings.constrained,
                max_attempts_per_sample=run.max_attempts_per_sample,
                wanted=run.n - batch.start,
            )
        yield from attempts


def _missed(attempt: Attempt) -> list[str]:
    """Return why a text is refused: the conditions that it misses; none if it is not."""
    if attempt.failure is not None:
        return [NO_CRYSTAL]
    return [record.name for record in attempt.conditions if record.satisfied is False]


def _merit(attempt: Attempt) -> tuple[bool, int]:
    return attempt.failure is None, sum(record.satisfied is True for record in attempt.conditions)
