"""Which attempts are unique, which are in the training set already, and how often formulas recur.

Without a training set uniqueness is measured all the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from crystext.errors import CrystextError
from crystext.evaluate import protocol
from crystext.evaluate.reference_sets import Known
from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Stage
from crystext.evaluate.stages.drawn import drawn_fingerprints
from crystext.metrics.coverage import distances
from crystext.metrics.novelty import matches_in
from crystext.metrics.novelty_by_fingerprint import is_novel
from crystext.metrics.unique_formulas import repetition
from crystext.metrics.uniqueness import duplicates_of


class Novelty(Stage):
    """Uniqueness, novelty and repetition."""

    name, title = "novelty", "uniqueness and novelty"
    columns = ("unique", "duplicate_of", "novel", "training_match")
    needs = ("formula",)
    version = 2
    libraries = ("pymatgen",)

    def settings(self, context: Context) -> dict[str, Any]:
        """Return the checksum of the training set, where there is one."""
        training, _ = _training(context)
        return {"training": None if training is None else training.sha256}

    def measure(self, context: Context, found: Findings) -> None:
        """Match crystals with each other and with the training set."""
        rules = context.protocol.novelty
        assert rules is not None
        n, indices = len(context), list(context.crystals)
        crystals = list(context.crystals.values())
        matcher = f"StructureMatcher ltol {rules.ltol:g}, stol {rules.stol:g}, {rules.angle_tol:g}°"
        repeats = duplicates_of(
            crystals, tolerances=rules.tolerances, workers=context.workers, report=context.report
        )
        unique = context.spread([earlier is None for earlier in repeats])
        found.columns["unique"] = unique
        found.columns["duplicate_of"] = context.spread(
            [None if earlier is None else indices[earlier] for earlier in repeats]
        )
        found.share("unique", "unique", sum(x is True for x in unique), n, better="higher",
                    source=rules.source, note=matcher)  # fmt: skip
        self._repetition(context, found)
        training, problem = _training(context)
        if training is None:
            found.note = f"novelty is not known: {problem}"
            found.columns["novel"] = found.columns["training_match"] = [None] * n
            return
        matches = matches_in(
            crystals,
            training.data,
            tolerances=rules.tolerances,
            workers=context.workers,
            report=context.report,
        )
        novel = context.spread([match is None for match in matches])
        found.columns["novel"] = novel
        found.columns["training_match"] = context.spread(
            [None if match is None else training.name(match) for match in matches]
        )
        found.share("novel", f"not in {training.title}", sum(x is True for x in novel), n,
                    better="higher", source=rules.source, note=matcher)  # fmt: skip
        both = sum(u is True and v is True for u, v in zip(unique, novel, strict=True))
        found.share("unique_and_novel", "unique and novel", both, n, better="higher",
                    source=rules.source, note=matcher)  # fmt: skip
        if rules.by_fingerprint:
            self._by_fingerprint(context, found, training, rules)

    def _repetition(self, context: Context, found: Findings) -> None:
        n = len(context)
        formulas = [formula for formula in context.columns["formula"] if formula is not None]
        seen = repetition(formulas)
        # How many are different is no sum over attempts, so that a share's interval says nothing.
        found.number("unique_formulas", "different formulas", seen.unique_formulas / n, of=n,
                     better="higher")  # fmt: skip
        found.share("most_frequent_formula", "the most frequent formula's share",
                    seen.most_frequent_count, n, better="lower",
                    note=seen.most_frequent or "")  # fmt: skip
        found.counts("formulas", "most frequent formulas", Counter(formulas), of=n, most=20)

    def _by_fingerprint(
        self, context: Context, found: Findings, training: Known, rules: protocol.Novelty
    ) -> None:
        known = training.fingerprints(context.workers, context.report)
        far = distances(drawn_fingerprints(context), known)
        novel = is_novel(
            far,
            structure_distance=rules.structure_distance,
            composition_distance=rules.composition_distance,
        )
        found.columns["novel_by_fingerprint"] = context.spread(novel.tolist())
        found.share(
            "novel_by_fingerprint", f"far from all of {training.title} by fingerprint",
            int(novel.sum()), len(context), better="higher",
            source="Gruver et al., arXiv:2402.04379",
            note=f"structure beyond {rules.structure_distance:g} or composition beyond "
            f"{rules.composition_distance:g}",
        )  # fmt: skip


def _training(context: Context) -> tuple[Known | None, str]:
    """Return the training set, or why there is none."""
    try:
        return context.sets.get("training"), ""
    except CrystextError as error:
        return None, str(error)
