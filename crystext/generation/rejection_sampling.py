"""Rejection sampling: texts are sampled again until their crystals satisfy the conditions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from crystext.conditions import Conditions
from crystext.generation.sampling_run import SampleBatch, SamplingRun
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
    best: dict[int, Attempt] = {}
    refused: dict[int, Counter[str]] = {index: Counter() for index in indices}
    left = indices
    # A text that is sampled again is so in a batch with all others that are.
    finished = wanted if max_attempts_per_sample == 1 else None
    for redraw in range(max_attempts_per_sample):
        for drawn in sampler.draw(request, left, redraw=redraw, wanted=finished):
            fresh = _checked(drawn, request, conditions, fmt, constrained)
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


def sample_batches(
    generator: TextGenerator,
    requests: Sequence[Request],
    conditions: Sequence[Conditions],
    batches: Iterable[SampleBatch | None],
    *,
    max_attempts_per_sample: int = 1,
    total: int | None = None,
) -> Generator[list[Attempt], None, None]:
    """Yield the samples of batches, in order, as `sample_until_satisfied` returns them.

    If texts are sampled once, those of later batches begin while earlier ones end.

    Args:
        generator: samples the texts.
        requests: of the run, each made from the conditions of its index.
        conditions: of each request.
        batches: parts of the run; None says that no other batch is there yet.
        max_attempts_per_sample: as of `sample_until_satisfied`.
        total: number of samples that are wanted: of the last batch, those before; None is all.
    """
    source = _Batches(batches)
    for first in source:
        if first is None:
            continue
        request, asked = requests[first.request_index], conditions[first.request_index]
        fmt, constrained = generator.format, generator.settings.constrained
        streaming = generator.streaming_sampler(request.format)
        if streaming is None or max_attempts_per_sample > 1:
            yield sample_until_satisfied(
                generator,
                request,
                asked,
                first.indices(),
                fmt=fmt,
                constrained=constrained,
                max_attempts_per_sample=max_attempts_per_sample,
                wanted=None if total is None else total - first.start,
            )
            continue
        source.put_back(first)
        for attempts in streaming.stream(request, source.indices_of(first.request_index, total)):
            yield [_checked(x, request, asked, fmt, constrained) for x in attempts]


class _Batches:
    """Batches, of which the next can be put back."""

    def __init__(self, batches: Iterable[SampleBatch | None]) -> None:
        self._source, self._next = iter(batches), deque[SampleBatch]()

    def __iter__(self) -> Iterator[SampleBatch | None]:
        return self

    def __next__(self) -> SampleBatch | None:
        return self._next.popleft() if self._next else next(self._source)

    def put_back(self, batch: SampleBatch) -> None:
        self._next.appendleft(batch)

    def indices_of(self, request_index: int, total: int | None) -> Iterator[Sequence[int] | None]:
        """Yield the indices of the batches of one request, up to the first of another."""
        for batch in self:
            if batch is not None and batch.request_index != request_index:
                self.put_back(batch)
                return
            yield None if batch is None else batch.indices(total)


def iter_attempts(
    run: SamplingRun, request: Request, generator: TextGenerator
) -> Iterator[Attempt]:
    """Yield the samples of a run with one request, sampled in this process, batch by batch.

    Args:
        run: the run to sample.
        request: made from the run's conditions.
        generator: a generator with the run's settings.
    """
    batches = sample_batches(
        generator,
        [request],
        run.conditions,
        run.iter_batches(),
        max_attempts_per_sample=run.max_attempts_per_sample,
        total=run.n,
    )
    while True:
        with single_thread_if_small(generator.network):
            attempts = next(batches, None)
        if attempts is None:
            return
        yield from attempts


def _checked(
    attempt: Attempt, request: Request, conditions: Conditions, fmt: Format, constrained: bool
) -> Attempt:
    """Return a text with its crystal, if that is looked at, and the conditions it satisfies."""
    fmt = fmt if request.format is None else request.format
    enforced = {*fmt.enforces, *(["oxidation"] if request.constraints.charges else [])}
    crystal = None
    if conditions.can_be_checked and attempt.failure is None:
        crystal = fmt.decode(attempt.text).crystal
    records = conditions.check(
        crystal, constrained=constrained and fmt.grammar is not None, enforced_by_format=enforced
    )
    return replace(attempt, conditions=records, checked_crystal=crystal)


def _missed(attempt: Attempt) -> list[str]:
    """Return why a text is refused: the conditions that it misses; none if it is not."""
    if attempt.failure is not None:
        return [NO_CRYSTAL]
    return [record.name for record in attempt.conditions if record.satisfied is False]


def _merit(attempt: Attempt) -> tuple[bool, int]:
    return attempt.failure is None, sum(record.satisfied is True for record in attempt.conditions)
