"""Figures of the predictor that ships."""

from __future__ import annotations

from evaluation.documents.sources import Json, current, figure, made_by, newest, percent, table

_UNITS = {"formation_energy": "eV/atom", "band_gap": "eV", "density": "g/cm³",
          "e_above_hull": "eV/atom"}  # fmt: skip
_TITLES = {"formation_energy": "formation energy", "band_gap": "band gap", "density": "density",
           "e_above_hull": "energy above hull"}  # fmt: skip


def _value(part: Json, name: str, metric: str) -> float:
    found = part[name][metric]
    return float(found["value"] if isinstance(found, dict) else found)


def _ranking(part: Json, metric: str) -> float:
    """Return a metric of the expected rank; of the expected value for what has no ranks."""
    own = {
        "spearman_of_expected_value": "spearman_of_expected_rank",
        "auc_above_0.025": "auc_above_0.025_of_expected_rank",
    }[metric]
    found = part["e_above_hull"]
    return float(found.get(own, found[metric]))


@figure("predictor.table")
def errors() -> str:
    """Errors and coverage on MP-20 validation, beside the baselines."""
    report = current("predictor")
    parts = [report["structure"], report["composition"], report["baselines"]["forest"],
             report["baselines"]["mean"]]  # fmt: skip
    rows = [
        [
            f"{title}, mean absolute error ({_UNITS[name]})",
            *(f"{_value(part, name, 'mae'):.3f}" for part in parts),
        ]
        for name, title in _TITLES.items()
    ]
    rows.append(
        [
            "metal or not, area under the ROC curve",
            *(f"{_value(part, 'is_metal', 'roc_auc'):.3f}" for part in parts),
        ]
    )
    rows.append(
        [
            "energy above hull, Spearman's rank correlation",
            *(f"{_ranking(part, 'spearman_of_expected_value'):.2f}" for part in parts[:3]),
            "",
        ]
    )
    rows.append(
        [
            "energy above hull over 0.025 eV/atom or not, area under the ROC curve",
            *(f"{_ranking(part, 'auc_above_0.025'):.2f}" for part in parts[:3]),
            "",
        ]
    )
    rows += [
        [
            f"90% interval of the {_TITLES[name]} holds the value",
            *(percent(part[name]["interval_90"]["coverage"]) for part in parts[:2]),
            "",
            "",
        ]
        for name in _TITLES
    ]
    return table(["", "from the structure", "from the composition", "random forest, composition",
                  "mean"], rows)  # fmt: skip


@figure("predictor.samples")
def samples() -> str:
    """What the ranking says of samples."""
    report = current("predictor")
    found, path = report["samples"], newest("predictor")
    best, every = found["best tenth by prediction"], found["all"]
    worst = found["worst tenth by prediction"]
    return (
        f"Of {found['samples']:,} samples relaxed with M3GNet, {percent(every['share'])} lie below "
        f"0.1 eV/atom above the hull; of the tenth ranked lowest by predicted energy above hull "
        f"{percent(best['share'])}, of the tenth ranked highest {percent(worst['share'])} "
        f"{made_by(path, 'measure.predictor')}."
    )


@figure("predictor.distance")
def distance() -> str:
    """Errors and intervals near the training data and far from them."""
    report = current("predictor")["structure"]["formation_energy"]["interval_90"]
    near, far = (
        report["by_distance_percentile"]["0 to 50"],
        report["by_distance_percentile"]["90 to 100"],
    )
    return (
        "For compositions near the training data (distance percentile below 50), the mean "
        f"absolute error of the formation energy is {near['mae']:.3f} eV/atom, and the 90% "
        f"interval, {near['mean_width']:.2f} eV/atom wide, holds {percent(near['coverage'])}; far "
        f"from them (above 90) {far['mae']:.3f}, {far['mean_width']:.2f} and "
        f"{percent(far['coverage'])}."
    )
