"""Figures of searches for new crystals."""

from __future__ import annotations

from evaluation.documents.sources import Json, current, figure, made_by, table
from evaluation.result_file import current_results


@figure("discover.systems")
def systems() -> str:
    """What searches of some systems find."""
    found = current("discover")
    searches: Json = {"Li-P-O": found["first"], **found["systems"]}
    rows = [
        [
            system,
            str(row["candidates"]),
            str(row["by_all_judges"]),
            "" if row["first_candidate_s"] is None else f"{row['first_candidate_s']:.0f}",
            f"{row['seconds']:.0f}",
        ]
        for system, row in searches.items()
    ]
    header = [
        "system",
        "candidates",
        "of these by both judges",
        "first after (s)",
        "ended after (s)",
    ]
    return table(header, rows)


@figure("discover.summary")
def summary() -> str:
    """How a search compares with relaxing all samples, and what kills change."""
    found = current("discover")
    compared, kills = found["efficiency"], found["kills"]
    path = current_results() / "discover.json"
    minutes = found["efficiency_minutes"]
    cores = found["machine"]["cores"]
    same = "none differs" if not kills["differing"] else f"{len(kills['differing'])} differ"
    judges = " and ".join(found["first"]["judges"])
    return (
        f"Judged by {judges}; measured on a shared machine of {cores} cores "
        f"{made_by(path, 'measure.discover')}. In "
        f"searches of {minutes:g} minutes of {', '.join(compared['systems'])}, there are "
        f"{compared['search_per_cpu_hour']:.0f} candidates per CPU hour, start and report "
        "included. Relaxing every crystal of `crystext sample` in the same CPU time gives "
        f"{compared['everything_per_cpu_hour']:.0f}. Of {kills['files']} files of a search that "
        f"was killed {kills['killed']} times, {same} from those of one that was left alone."
    )
