"""Progress of sampling, on standard error."""

from __future__ import annotations

import time

from crystext.runtime.progress import Progress


class SamplingProgress(Progress):
    """A bar, or lines, with the samples in a second and the proportion of crystals."""

    def __init__(self, total: int) -> None:
        super().__init__(transient=False)
        self.total, self.crystals = total, 0
        self._start: tuple[int, float] | None = None

    def report(self, done: int, crystals: int) -> None:
        """Take the numbers of samples and of crystals on disk."""
        self.crystals, now = crystals, time.monotonic()
        self._start = self._start or (done, now)
        before, then = self._start
        note = "loading the model"
        if done > before:
            rate = (done - before) / max(now - then, 1e-9)
            note = f"{format_rate(rate)}, {crystals / done:.2%} crystals"
        self.update("sampling", done, self.total, note)


def format_rate(per_second: float) -> str:
    """Return a rate as `120/s`, `1.5/s`, or below one a second as `4.0 s each`."""
    if per_second >= 10:
        return f"{per_second:.0f}/s"
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"
