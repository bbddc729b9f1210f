"""Figures of the quality of the shipped model's samples."""

from __future__ import annotations

from evaluation.documents.sources import (
    PLAIN_WEIGHTS,
    REPORT,
    current,
    figure,
    independent,
    interval,
    made_by,
    named,
    newest,
    percent,
    published,
    read,
    report_values,
    table,
)
from evaluation.result_file import INDEPENDENT


@figure("quality.table")
def quality() -> str:
    """The main table: the shipped model beside LLaMA-2 70B."""
    found = {name: row["value"] for name, row in report_values().items()}
    theirs = published("gruver2024.yaml", "LLaMA-2 70B, T 0.7")
    relaxed = report_values()["stability.metastable"]["total"]

    def both(first: str, second: str) -> str:
        return f"{percent(found[first])} and {percent(found[second])}"

    def distances(first: float, second: float) -> str:
        return f"{first:.2f} and {second:.2f}"

    ours = distances(
        found["distributions.wasserstein_density_g_per_cm3"],
        found["distributions.wasserstein_n_elements"],
    )
    rows = [
        ("parsed", percent(found["funnel.parsed"]), ""),
        (
            "structurally valid (no two atoms within 0.5 Å, volume above 0.1 Å³)",
            percent(found["validity.structure_valid"]),
            percent(theirs["structure_valid"]),
        ),
        (
            "composition valid (SMACT14 table, alloy shortcut as in CDVAE)",
            percent(found["validity.composition_valid"]),
            percent(theirs["composition_valid"]),
        ),
        (
            "composition valid, without the alloy shortcut",
            percent(found["validity.composition_valid_smact14_no_alloys"]),
            "",
        ),
        ("unique by StructureMatcher", percent(found["novelty.unique"]), ""),
        ("matching a training structure", percent(1 - found["novelty.novel"]), ""),
        ("distinct formulas", percent(found["novelty.unique_formulas"]), ""),
        (
            "coverage of MP-20 test, recall and precision (cutoffs 0.4 and 10)",
            both("coverage.recall", "coverage.precision"),
            f"{percent(theirs['recall'])} and {percent(theirs['precision'])}",
        ),
        (
            "Wasserstein distance to MP-20 test, density (g/cm³) and number of elements",
            ours,
            distances(theirs["density"], theirs["n_elements"]),
        ),
        (
            "space group P1 (MP-20 test: 1.8%)",
            percent(found["distributions.space_group_p1"]),
            "",
        ),
        (
            f"below 0.1 eV/atom above the hull, of the first {relaxed:,}, relaxed with M3GNet",
            percent(found["stability.metastable"]),
            percent(theirs["metastable"]),
        ),
        ("below the hull, likewise", percent(found["stability.stable"]), ""),
        (
            "below 0.1 eV/atom, unique and not in the training set, likewise",
            percent(found["funnel.msun"]),
            "",
        ),
    ]
    return table(["", "shipped model", "LLaMA-2 70B, temperature 0.7 (published)"], rows)


@figure("quality.summary")
def summary() -> str:
    """The main figures in two sentences."""
    rows = report_values()
    rate = {name: percent(row["value"]) for name, row in rows.items() if row["value"] is not None}
    sampled, relaxed = rows["validity.composition_valid"]["total"], rows["funnel.msun"]["total"]
    return (
        f"Of {sampled:,} samples of the shipped model with default settings, "
        f"{rate['validity.structure_valid']} are structurally valid, "
        f"{rate['validity.composition_valid']} have a valid composition, "
        f"{rate['novelty.unique']} are unique, and {rate['novelty.novel']} match no training "
        f"crystal. Of the first {relaxed:,}, relaxed with M3GNet, {rate['funnel.msun']} are "
        f"unique, novel and less than 0.1 eV/atom above the hull ({named(REPORT)})."
    )


@figure("quality.intervals")
def intervals() -> str:
    """All proportions with their 95% intervals."""
    found = report_values()
    names = {
        "parsed": "funnel.parsed",
        "structurally valid, self-images included or not": "validity.structure_valid_self_images",
        "composition valid, smact14": "validity.composition_valid",
        "composition valid, smact14, no alloy shortcut": (
            "validity.composition_valid_smact14_no_alloys"
        ),
        "composition valid, icsd24": "validity.composition_valid_icsd24",
        "composition valid, icsd24, no alloy shortcut": (
            "validity.composition_valid_icsd24_no_alloys"
        ),
        "unique": "novelty.unique",
        "not in the training set": "novelty.novel",
        "unique and not in the training set": "novelty.unique_and_novel",
        "unique formulas": "novelty.unique_formulas",
        "space group P1": "distributions.space_group_p1",
        "coverage of MP-20 test, recall": "coverage.recall",
        "coverage of MP-20 test, precision": "coverage.precision",
        "below 0.1 eV/atom above the hull": "stability.metastable",
        "below the hull": "stability.stable",
        "below 0.1 eV/atom, unique and not in the training set": "funnel.msun",
    }
    rows = []
    for title, name in names.items():
        row = found[name]
        # The number of unique formulas is no proportion of independent samples.
        ends = "" if row["low"] is None else interval(row["low"], row["high"])
        rows.append((title, percent(row["value"]), ends, f"{row['total']:,}"))
    return table(["", "proportion", "95% interval", "of"], rows)


@figure("quality.geometry")
def geometry() -> str:
    """Raw geometry and what relaxing changes, with the reference's proportions beside."""
    rows = []
    for row in report_values().values():
        if row.get("stage") in ("geometry", "relaxation_change"):
            data = row["note"].removeprefix("of the reference ")
            value, ends = percent(row["value"]), interval(row["low"], row["high"])
            shown = data if data != row["note"] else ""
            rows.append((row["title"], value, ends, f"{row['total']:,}", shown))
    return table(["", "proportion", "95% interval", "of", "of MP-20 test"], rows)


@figure("quality.distances")
def distances() -> str:
    """Metrics other than proportions: distances of distributions, relaxation steps, perplexity."""
    found = {name: row["value"] for name, row in report_values().items()}
    crystals = report_values()["ipt.ipt"]["total"]
    return (
        "Wasserstein distance of the valid samples to MP-20 test: density "
        f"{found['distributions.wasserstein_density_g_per_cm3']:.2f} g/cm³, number of elements "
        f"{found['distributions.wasserstein_n_elements']:.2f}. Total variation distance of the "
        f"space groups: {found['distributions.space_groups']:.2f}. Relaxation took "
        f"{found['stability.steps']:.0f} steps on average (M3GNet, FIRE with cell, fmax 0.1 eV/Å, "
        "at most 500; MP2020 corrections; hull of Materials Project entries). The increase in "
        f"perplexity under translation, of the plain text of {crystals} crystals of MP-20 test in "
        f"standard cells, is {found['ipt.ipt']:.1f} on average and {found['ipt.ipt_median']:.1f} "
        f"in the median. All figures are in {named(REPORT)}."
    )


@figure("self_generated")
def self_generated() -> str:
    """How many samples match samples that the model was trained on."""
    found = current("own_draws")
    taught, shares = found["own_draws_taught"], found["shares"]
    new = shares["not in the training data"]["share"]
    newer = shares["and not like its own draws either"]["share"]
    msun = shares["and metastable, unique and not like its own draws"]["share"]
    low = shares["metastable, of those not like its own draws either"]["share"]
    return (
        f"The model was trained on {taught:,} of its own earlier samples, which M3GNet placed low "
        "in energy, the potential that judges the energies here. "
        f"{percent(new - newer)} of the samples match one of these and no crystal of "
        f"the data. Where these count as known too, {percent(newer)} of the samples are novel, "
        f"{percent(msun)} of those relaxed are below 0.1 eV/atom, unique and novel, and "
        f"{percent(low)} of the novel ones lie below 0.1 eV/atom "
        f"{made_by(newest('own_draws'), 'measure.own_draws')}."
    )


@figure("hull_evidence")
def hull_evidence() -> str:
    """How many samples below the hull have no rivals there."""
    found = independent("mp2020_hull_accuracy")["draws"]
    below = found["evidence_by_ev_per_atom_above_the_hull"]["below 0"]
    samples = sum(found["verdicts"].values())
    return (
        f"Of {samples} samples of earlier weights, {sum(below.values())} lie below the shipped "
        f"hull. For {below['none']} of these it has too few compounds of their elements to "
        "tell "
        f"{made_by(INDEPENDENT / 'mp2020_hull_accuracy.json', 'measure.hull_accuracy')}. The "
        "proportions below the hull in the table are by the number alone."
    )


@figure("quality.plain_text")
def plain_text() -> str:
    """The plain text, as the last weights wrote it that knew no other."""
    shares = read(PLAIN_WEIGHTS / "quality.json")["shares"]
    covered = read(PLAIN_WEIGHTS / "coverage.json")["shares"]
    stability = read(PLAIN_WEIGHTS / "stability.json")
    low = stability["shares"]["below 0.1 eV/atom"]["share"]
    below = stability["shares"]["below 0 eV/atom"]["share"]

    def value(name: str) -> str:
        return percent(shares[name]["share"])

    return (
        "The plain text of earlier weights (parts 1 to 4 of the training) had "
        f"{value('structurally valid')} structural and {value('composition valid, smact14')} "
        f"composition validity, {value('unique')} unique, "
        f"{value('matching a training structure')} matching a training structure, "
        f"{value('space group P1')} in P1, coverage of {percent(covered['recall']['share'])} "
        f"(recall) and {percent(covered['precision, of all attempts']['share'])} (precision), and "
        f"of {stability['attempts']} relaxed samples {percent(low)} below 0.1 eV/atom and "
        f"{percent(below)} below the hull (`quality.json`, `coverage.json` and `stability.json` in "
        f"{named(PLAIN_WEIGHTS)}; their scripts have since become `crystext evaluate`). The plain "
        "text of the shipped weights was not measured."
    )
