"""Figures of several potentials that judge the same samples."""

from __future__ import annotations

from crystext.evaluate.report import Report, read_report
from evaluation.documents.sources import figure, interval, named, newest, percent, table

KINDS = {
    "metastable": "below 0.1 eV/atom above the hull",
    "msun": "likewise, unique and not in the training set",
    "stable": "below the hull",
}
"""Proportions of the stage, and what they are of."""


def _report() -> Report:
    return read_report(newest("judges"))


@figure("judges.table")
def judges() -> str:
    """What each judge says of the samples, and on what all agree."""
    found = {x.name: x for x in _report().metrics if x.stage == "judges"}
    names = [name.removesuffix("_metastable") for name in found if name.endswith("_metastable")]
    rows = []
    for name in names:
        title = found[f"{name}_metastable"].title.partition(", by ")[2]
        cells = []
        for kind in KINDS:
            row = found[f"{name}_{kind}"]
            assert row.value is not None
            assert row.low is not None
            assert row.high is not None
            cells.append(f"{percent(row.value)} ({interval(row.low, row.high)})")
        rows.append([title, *cells])
    return table(["judge", *KINDS.values()], rows)


@figure("judges.measured")
def measured() -> str:
    """Of how many samples, and where the report is."""
    found = {x.name: x for x in _report().metrics if x.stage == "judges"}
    total = found["all_metastable"].total
    return (
        f"These are the first {total:,} samples. M3GNet relaxes them; CHGNet and SevenNet-0, which "
        "taught the model nothing, relax them further, each by itself "
        f"({named(newest('judges'))}, a report of `crystext evaluate --potential "
        "m3gnet,chgnet,sevennet`)."
    )
