"""Figures of searches for new crystals."""

from __future__ import annotations

from evaluation.documents.sources import Json, current, figure, made_by, newest, table


@figure("discover.systems")
def systems() -> str:
    """What searches of some systems find."""
    found = current("discover")
    searches: Json = {
        **({"Li-P-O, for 10": found["first"]} if "first" in found else {}),
        **{f"{system}, for 5": row for system, row in found.get("systems", {}).items()},
    }
    rows = [
        [
            search,
            str(row["candidates"]),
            "" if row["first_candidate_s"] is None else f"{row['first_candidate_s']:.0f}",
            f"{row['seconds']:.0f}",
            row["ending"].replace("_", " "),
        ]
        for search, row in searches.items()
    ]
    return table(["search", "candidates", "first after (s)", "ended after (s)", "why"], rows)


@figure("discover.summary")
def summary() -> str:
    """How a search compares with relaxing all samples, and what kills change."""
    found = current("discover")
    parts = [_measured(found)]
    if "efficiency" in found:
        parts.append(_efficiency(found))
    if "kills" in found:
        parts.append(_kills(found["kills"]))
    return " ".join(parts)


def _measured(found: Json) -> str:
    searches = [*([found["first"]] if "first" in found else []), *found.get("systems", {}).values()]
    judges = dict.fromkeys(name for search in searches for name in search["judges"])
    path = newest("discover")
    return (
        f"The judge is {' and '.join(judges)}, and other programs shared the "
        f"{found['machine']['cores']} cores {made_by(path, 'measure.discover')}."
    )


def _efficiency(found: Json) -> str:
    compared = found["efficiency"]
    rows = compared["systems"].values()
    return (
        f"In searches of {found['efficiency_minutes']:g} min of {', '.join(compared['systems'])}, "
        f"there are {compared['search_per_cpu_hour']:.0f} candidates per CPU hour, start and "
        "report included. Relaxing every crystal of `crystext sample` in the same CPU time gives "
        f"{compared['everything_per_cpu_hour']:.0f} "
        f"({sum(x['search'] for x in rows)} and {sum(x['everything']['candidates'] for x in rows)} "
        "in all: few, so the ratio is rough)."
    )


def _kills(kills: Json) -> str:
    differing = kills["differing"]
    times = "once" if kills["killed"] == 1 else f"{kills['killed']} times"
    same = "none differs" if not differing else f"{len(differing)} differ"
    return (
        f"Of {kills['files']} files of a search that was killed {times}, {same} from those of one "
        "that was left alone."
    )
