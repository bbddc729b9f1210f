"""Drawing, looking at what came, and drawing again what does not have what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crystext.conditions import Conditions
from crystext.inference.samplers import Sampler
from crystext.inference.types import Attempt, Request
from crystext.text import Format, decode


def sample_until_satisfied(
    sampler: Sampler,
    request: Request,
    conditions: Conditions,
    indices: Sequence[int],
    *,
    fmt: Format,
    constrained: bool = True,
    max_attempts_per_sample: int = 1,
) -> list[Attempt]:
    """Draw one text for each index, and record which conditions its crystal keeps.

    Args:
        sampler: draws.
        request: made of the conditions.
        conditions: what is looked for.
        indices: of the crystals.
        fmt: the model's own format, in which texts are unless the request names another.
        constrained: whether the sampler sees to the request's constraints.
        max_attempts_per_sample: a crystal that lacks something is drawn again, with random numbers
            of its own, until that many texts were drawn. Of several, the one that keeps most is
            returned, of equals the first.
    """
    fmt = fmt if request.format is None else request.format
    best: dict[int, Attempt] = {}
    left = indices
    looked_at = conditions.can_be_checked
    for redraw in range(max_attempts_per_sample):
        for drawn in sampler.draw(request, left, redraw=redraw):
            read = looked_at and drawn.fault is None
            crystal = decode(drawn.text, format=fmt).crystal if read else None
            records = conditions.check(crystal, constrained=constrained, wyckoff=fmt.is_wyckoff)
            fresh = replace(drawn, conditions=records)
            known = best.get(drawn.index)
            kept = fresh if known is None or _merit(fresh) > _merit(known) else known
            best[drawn.index] = replace(kept, tries=redraw + 1)
        left = [index for index in left if not best[index].matched]
        if not left:
            break
    return [best[index] for index in indices]


def _merit(attempt: Attempt) -> tuple[bool, int]:
    return attempt.fault is None, sum(record.kept is True for record in attempt.conditions)
