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
            note = f"{rate:.0f}/s, {crystals / done:.2%} crystals"
        self.update("sampling", done, self.total, note)
