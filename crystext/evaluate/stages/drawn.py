"""What several stages need of the crystals that were drawn."""

from __future__ import annotations

from crystext.evaluate.stages.base import StageContext
from crystext.metrics.matminer.fingerprints import Fingerprints, fingerprints


def sample_fingerprints(context: StageContext) -> Fingerprints:
    """Return the fingerprints of all attempts that are crystals, computed once an evaluation.

    They are kept as they come, so that little is lost to a kill.
    """
    return fingerprints(
        list(context.crystals.values()),
        cache=context.cache / "fingerprints.npz",
        workers=context.workers,
        report=context.report_progress,
    )
