"""How much of the reference was found, how much of what was drawn is like it, and how diverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Stage
from crystext.evaluate.stages.drawn import drawn_fingerprints
from crystext.metrics.coverage import coverage_at, distances
from crystext.metrics.diversity import mean_pairwise_distance
from crystext.metrics.intervals import Share
from crystext.runtime.wording import counted
from crystext.structures.crystal import Floats


class Coverage(Stage):
    """Coverage of the reference by fingerprints, and diversity."""

    name, title = "coverage", "coverage"
    columns = ("has_fingerprint", "nearest_structure", "nearest_composition", "covers_reference")
    libraries = ("pymatgen", "scipy")

    def settings(self, context: Context) -> dict[str, Any]:
        """Return the checksum of the reference."""
        return {"reference": context.reference.sha256}

    def measure(self, context: Context, found: Findings) -> None:
        """Compare fingerprints."""
        rules = context.protocol.coverage
        assert rules is not None
        reference, n = context.reference, len(context)
        known = reference.fingerprints(context.workers, context.report)
        made = drawn_fingerprints(context)
        far = distances(made, known)
        result = coverage_at(far, rules.cutoffs, attempts=n)
        spread = context.spread
        found.columns["has_fingerprint"] = spread(made.known.tolist())
        found.columns["nearest_structure"] = spread(far.structures_of_generated.tolist())
        found.columns["nearest_composition"] = spread(far.compositions_of_generated.tolist())
        found.columns["covers_reference"] = spread(far.precise(rules.cutoffs).tolist())
        cutoffs = f"structure {rules.structure:g}, composition {rules.composition:g}"

        def share(name: str, title: str, value: Share, note: str) -> None:
            found.share(name, title, value.count, value.of, better="higher", source=rules.source,
                        note=f"{cutoffs}; {note}")  # fmt: skip

        share(
            "recall", f"recall of {reference.title}", result.recall, f"by {counted(n, 'attempt')}"
        )
        share("precision", "precision, of all attempts", result.precision_of_all, "CDVAE's rule")
        if (fingerprinted := result.precision_of_fingerprinted) is not None:
            share("precision_of_fingerprinted", "precision, of those with a fingerprint",
                  fingerprinted, "the rule of Gruver et al.")  # fmt: skip

        def distance(name: str, title: str, values: Floats) -> None:
            found.mean(
                name, title, values.tolist(), nonnegative=True, better="lower", source=rules.source
            )

        distance("amsd_recall", "AMSD, recall", far.structures_of_reference)
        distance("amsd_precision", "AMSD, precision", far.structures_of_generated)
        distance("amcd_recall", "AMCD, recall", far.compositions_of_reference)
        distance("amcd_precision", "AMCD, precision", far.compositions_of_generated)
        for kind, rows, others in (
            ("structure", made.structures, known.structures),
            ("composition", made.compositions, known.compositions),
        ):
            value, own = mean_pairwise_distance(rows), mean_pairwise_distance(others)
            found.number(
                f"{kind}_diversity", f"diversity of {kind}s", value,
                of=int(np.isfinite(rows).all(axis=1).sum()), source=rules.source,
                note=f"mean pairwise distance; of the reference {own:.3f}",
            )  # fmt: skip
        missing, lacking = int((~made.known).sum()), int((~known.known).sum())
        if missing or lacking:
            found.note = (
                f"without a fingerprint: {counted(missing, 'drawn crystal')}, {lacking:,} of the "
                "reference"
            )
