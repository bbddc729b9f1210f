"""The counts of a corpus: as entries of the manifest, and as a summary for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crystext.corpus.document_table import EXACT, MATERIAL, NEAR, VALIDATION, DocumentTable
from crystext.corpus.mix import Mixture
from crystext.corpus.packed import PackedCorpus
from crystext.corpus.recipe import CorpusRecipe
from crystext.corpus.selection import Status
from crystext.corpus.source_parts import PartCounts
from crystext.runtime.wording import format_count

_DUPLICATES = {"exact": EXACT, "near": NEAR, "materials": MATERIAL}


def source_report(
    recipe: CorpusRecipe,
    table: DocumentTable,
    status: Status,
    counts: Sequence[PartCounts],
    mixture: Mixture,
    available: Sequence[int],
) -> dict[str, dict[str, Any]]:
    """Return the counts of each source, over all stages."""
    report = {}
    for i, name in enumerate(recipe.sources):
        of_source = [status[p.start : p.start + p.documents] for p in table.of_source(i)]
        statuses = np.bincount(np.concatenate(of_source), minlength=5).tolist()
        stages = [stage[name] for stage in mixture.counts if name in stage]
        report[name] = {
            "documents_read": counts[i].documents,
            "tokens_read": counts[i].tokens,
            "bytes_read": counts[i].bytes,
            "dropped": dict(sorted(counts[i].dropped.items())),
            "dropped_examples": dict(sorted(counts[i].examples.items())),
            "truncated": counts[i].truncated,
            "duplicates": {kind: statuses[code] for kind, code in _DUPLICATES.items()},
            "validation_documents": statuses[VALIDATION],
            "available_tokens": available[i],
            "train_documents": sum(stage.documents for stage in stages),
            "train_tokens": sum(stage.tokens for stage in stages),
            "divided": sum(stage.divided for stage in stages),
            "unfinished": int(name in mixture.unfinished),
        }
    return report


def stage_report(recipe: CorpusRecipe, mixture: Mixture) -> list[dict[str, Any]]:
    """Return what each stage took of each source."""
    report = []
    for stage, counts in zip(recipe.stages, mixture.counts, strict=True):
        total = sum(source.tokens for source in counts.values())
        report.append(
            {
                "until": stage.until,
                "tokens": total,
                "sources": {
                    name: {
                        "weight": weight,
                        **vars(counts[name]),
                        "proportion": round(counts[name].tokens / total, 6) if total else 0.0,
                    }
                    for name, weight in stage.weights.items()
                },
            }
        )
    return report


def summary(corpus: PackedCorpus) -> str:
    """Return what a corpus holds, in some lines."""
    about = corpus.manifest
    held_out = sum(part.n_tokens for part in corpus.validation.values())
    lines = [
        f"{corpus.folder}: {corpus.train.n_tokens:,} tokens for training in "
        f"{format_count(len(corpus.train), 'block')} of {corpus.context_tokens:,}, "
        f"{held_out:,} held out; vocabulary of {about['tokenizer']['vocabulary']:,}"
    ]
    for i, stage in enumerate(about["stages"]):
        if len(about["stages"]) > 1:
            lines.append(f"stage {i + 1}, until {stage['until']:g}: {stage['tokens']:,} tokens")
        lines += [
            f"  {name}: {source['proportion']:.2%} of the tokens (weight {source['weight']:g}), "
            f"{source['tokens']:,} in {format_count(source['documents'], 'document')}"
            for name, source in stage["sources"].items()
        ]
    deviation = max((phase["largest_deviation"] for phase in about["phases"]), default=0.0)
    window = about["recipe"]["window_tokens"]
    lines.append(
        f"  in any {window:,} tokens of a stage, no source is off by more than {deviation:.2%}"
    )
    for name, source in about["sources"].items():
        lines += _source_lines(name, source)
    lines += [_dry_line(dry) for dry in about["when_dry"]]
    return "\n".join(lines)


def _source_lines(name: str, source: dict[str, Any]) -> list[str]:
    duplicates, parts = source["duplicates"], []
    for count, what in (
        (duplicates["exact"], "exact duplicates"),
        (duplicates["near"], "near duplicates"),
        (duplicates["materials"], "crystals that match an earlier one"),
        *((n, reason) for reason, n in source["dropped"].items()),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    lines = [f"{name}: left out {', '.join(parts)}"] if parts else []
    lines += [
        f"  {place}" for places in source["dropped_examples"].values() for place in places[:1]
    ]
    if source["truncated"] or source["divided"]:
        lines.append(f"{name}: {source['truncated']:,} truncated, {source['divided']:,} divided")
    return lines


def _dry_line(dry: dict[str, Any]) -> str:
    name, policy = dry["source"], dry["policy"]
    if policy == "repeat":
        return f"{name} was repeated: it began again {format_count(dry['times'], 'time')}"
    if policy == "drop":
        return f"{name} ended at token {dry['token']:,}; the others share its weight from there"
    return f"{name} ended at token {dry['token']:,}, and the corpus with it"
