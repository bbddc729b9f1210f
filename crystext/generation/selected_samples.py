"""The chosen samples in Python: `Samples` with their ranks, and what was chosen of how many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from crystext.generation.results import Sample, Samples
from crystext.generation.selection import SelectionSummary


@dataclass(frozen=True)
class SelectedSample(Sample):
    """A sample that was chosen among others."""

    rank: int = field(default=1, kw_only=True)
    """Among those kept, from 1."""
    log_probability_per_token: float = field(default=0.0, kw_only=True)
    """In nats."""
    predicted_e_above_hull: float | None = field(default=None, kw_only=True)
    """Expected value in eV/atom; None if the samples were chosen by something else."""
    prototype: str | None = field(default=None, kw_only=True)
    """Space group and Wyckoff letters, such as `225 a b`."""

    def row(self) -> dict[str, Any]:
        """Return what a table says of it: plain values by column."""
        values = {"rank": self.rank, "predicted_e_above_hull": self.predicted_e_above_hull}
        return {
            **{name: value for name, value in values.items() if value is not None},
            "log_probability_per_token": self.log_probability_per_token,
            "prototype": self.prototype,
            **super().row(),
        }


class SelectedSamples(Samples):
    """Chosen samples, the best first."""

    def __init__(self, results: Iterable[Sample], selection: SelectionSummary) -> None:
        super().__init__(results)
        self.selection = selection
        """What was chosen, of how many samples, by what, and what each rule left out."""

    def _same_kind(self, results: Iterable[Sample]) -> Self:
        return type(self)(results, self.selection)

    def _summary(self) -> str:
        return f"{super()._summary()}; {self.selection.title}"
