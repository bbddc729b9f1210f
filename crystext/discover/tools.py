"""What all rounds of a search use: model, judges, known crystals and checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crystext.discover.checks import Check
from crystext.discover.exchanges import ExchangeSampler
from crystext.discover.known_crystals import KnownCrystals
from crystext.discover.sampler import ArmSampler
from crystext.discover.settings import SearchSettings
from crystext.energies.judges import Judge

MAX_SECONDS = 3600.0
"""Time limit of a relaxation: none in practice, or results would depend on the machine."""

Report = Callable[[str, int, int], object]
"""Called with what is done, how much of it, and of how much."""


@dataclass(frozen=True)
class SearchTools:
    """What all rounds of a search use."""

    settings: SearchSettings
    sampler: ArmSampler
    exchanges: ExchangeSampler
    judges: Sequence[Judge]
    """The first relaxes and decides."""
    known_crystals: KnownCrystals
    condition_check: Check
    """Whether a crystal satisfies the conditions of the search, those of its arm aside."""
    checks: Sequence[Check]
    """What a crystal must be besides, before it is relaxed and after."""
