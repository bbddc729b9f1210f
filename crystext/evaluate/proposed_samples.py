"""Which target a sample is a proposal for.

Samples of a file are proposals for the target whose name they have, or whose name they have before
`_` and a number, as in `mp-1234_7`; their order is that of the file. Where no sample has such a
name, and in a run of `crystext sample`, the samples of a target follow each other, as many for each
target: `crystext sample --formulas-of mp20_test --n 20` makes such a run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from crystext.conditions.parse import parse_condition
from crystext.errors import CrystextError, InputError
from crystext.evaluate.reference_sets import ReferenceSet
from crystext.evaluate.samples import SampleSet
from crystext.runtime.wording import format_count
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record

_NUMBERED = re.compile(r"(.+)_\d+")


def samples_by_target(samples: SampleSet, targets: ReferenceSet) -> list[list[int]]:
    """Return the indices of the samples that are proposals for each target, in their order.

    Raises:
        InputError: it is unclear which samples belong to which target, or a sample was requested
            with another formula or number of atoms than its target has.
    """
    by_name = None if samples.kind == "run" else _by_name(samples, targets)
    if by_name is not None:
        return by_name
    size, rest = divmod(len(samples.samples), len(targets))
    if rest or not size:
        names = "" if samples.kind == "run" else ", or samples named like the targets"
        raise InputError(
            f"{samples.path.name} holds {format_count(len(samples.samples), 'sample')} for "
            f"{format_count(len(targets), 'target')} of {targets.title}; expected as many for each "
            f"target, in the targets' order{names}. Try `crystext sample --formulas-of`, and the "
            "same crystals as --targets"
        )
    blocks = [list(range(i * size, (i + 1) * size)) for i in range(len(targets))]
    _check_requests(samples.samples, blocks, targets)
    return blocks


def _by_name(samples: SampleSet, targets: ReferenceSet) -> list[list[int]] | None:
    """Return the samples of each target by their names; None if none has the name of a target.

    Raises:
        InputError: some have, and some have not.
    """
    places = {targets.name(t): t for t in range(len(targets))}
    found: list[list[int]] = [[] for _ in range(len(targets))]
    strangers = []
    for index, sample in enumerate(samples.samples):
        numbered = _NUMBERED.fullmatch(sample.name)
        name = sample.name if sample.name in places or numbered is None else numbered[1]
        if (target := places.get(name)) is None:
            strangers.append(sample.name)
        else:
            found[target].append(index)
    if len(strangers) == len(samples.samples):
        return None
    if strangers:
        raise InputError(
            f"{format_count(len(strangers), 'sample')} of {samples.path.name} are named like no "
            f"target of {targets.title}, first {strangers[0]!r}; expected the name of a target, "
            "or that with _ and a number, for every sample or for none"
        )
    return found


def _check_requests(
    samples: Sequence[Record], blocks: Sequence[Sequence[int]], targets: ReferenceSet
) -> None:
    """Check that samples were requested with the formulas of their targets, where they say so."""
    for target, block in zip(targets.crystals, blocks, strict=True):
        formula, size = reduced_formula(target.numbers), len(target)
        for index in block:
            requested = samples[index].conditions
            composition, n_atoms = requested.get("composition"), requested.get("n_atoms")
            if (composition is not None and not _is_formula(str(composition), formula)) or (
                n_atoms is not None and not _includes(n_atoms, size)
            ):
                words = [str(composition or "any formula"), f"{n_atoms or 'any number of'} atoms"]
                raise InputError(
                    f"sample {samples[index].name} was requested as {', '.join(words)}, and its "
                    f"target is {formula} with {format_count(size, 'atom')}: the samples are of "
                    "other targets; give these with --targets"
                )


def _is_formula(text: str, formula: str) -> bool:
    try:
        return reduced_formula(text) == formula
    except CrystextError:
        return False


def _includes(requested: object, size: int) -> bool:
    try:
        low, high = parse_condition("n_atoms", requested)
    except CrystextError:
        return False
    return bool(low <= size <= high)
