"""Measure the predictor that ships: errors, ranking, intervals, and what they say of samples.

    python -m evaluation.measure.predictor --out predictor.json
    python -m evaluation.measure.predictor --run run --energies energies.csv --out predictor.json

The test set is MP-20's validation split as it ships, whose labels neither trained nor calibrated
the predictor. Each crystal is read as Wyckoff text, and again as a composition alone. A random
forest on element features, fitted to the published labels of the shipped training set, and the mean
stand beside it; `--baselines` takes their figures from an earlier result file.

With `--run`, the samples of a run are ranked by predicted energy above hull, and compared with
their energies above hull after relaxing: the table of `crystext hull` on the relaxed run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crystext.data.shipped import read_shipped_set, read_shipped_training, shipped_set
from crystext.metrics.classification import classification_scores, roc_auc
from crystext.metrics.interval_coverage import interval_scores
from crystext.metrics.regression import regression_scores, spearman
from crystext.metrics.scores import Score
from crystext.predict.base import Predictions, Predictor
from crystext.predict.language import SHIPPED, LanguagePredictor
from crystext.predict.methods import METHODS
from crystext.predict.sources import read_records
from crystext.runtime.shipped_files import shipped_predictor
from crystext.structures.crystal import Floats
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record
from crystext.tasks.property_prediction import property_value
from evaluation.result_file import Report, current_results, rounded, share, write_result

HULL_THRESHOLD = 0.025
"""Energy above hull in eV/atom above which a crystal counts as off the hull: no label of
`training.parquet` is higher."""

LOW_ENERGY = 0.1
"""Energy above hull in eV/atom below which a relaxed sample counts as low."""

_DISTANCES = ((0, 50), (50, 90), (90, 100.01))
"""Ranges of the distance percentile."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=SHIPPED)
    parser.add_argument("--out", type=Path, default=current_results() / "predictor.json")
    parser.add_argument("--run", type=Path, help="samples, with --energies")
    parser.add_argument("--energies", type=Path, help="their table by `crystext hull`")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--baselines", type=Path, help="a result file that has their figures")
    options = parser.parse_args(arguments)
    chosen = [x for x in (options.run, options.energies, options.baselines) if x is not None]
    return write_result(
        options.out,
        lambda: measure(
            options.model,
            options.run,
            options.energies,
            options.baselines or not options.no_baselines,
        ),
        script=__file__,
        arguments=sys.argv[1:] if arguments is None else arguments,
        packages=("torch", "transformers", "scikit-learn"),
        model=shipped_predictor() if options.model == SHIPPED else options.model,
        data=[shipped_set("mp20_val"), *chosen],
    )


def measure(model: str, run: Path | None, energies: Path | None, baselines: Path | bool) -> Report:
    """Return all figures.

    Args:
        model: what is measured.
        run: see `ranked_samples`.
        energies: likewise.
        baselines: whether they are fitted, or a result file that has their figures.
    """
    predictor = LanguagePredictor.open(model)
    records = [_labelled(x) for x in read_shipped_set(shipped_set("mp20_val"), wyckoff=True)]
    formulas = [_formula_alone(predictor, record) for record in records]
    far = predictor.applicability(records)
    percentiles = np.zeros(len(records)) if far is None else far.percentiles
    report: Report = {
        "crystals": len(records),
        "structure": figures(predictor, records, percentiles),
        "composition": figures(predictor, formulas, percentiles),
    }
    if isinstance(baselines, Path):
        report["baselines"] = json.loads(baselines.read_text(encoding="utf-8"))["baselines"]
    elif baselines:
        report["baselines"] = _baselines(predictor, formulas)
    if run is not None and energies is not None:
        report["samples"] = ranked_samples(predictor, run, energies)
    return report


def _labelled(record: Record) -> Record:
    labels = {**record.labels, "is_metal": record.labels["band_gap"] == 0}
    return Record(record.crystal, labels, record.name, record.wyckoff)


def _formula_alone(predictor: Predictor, record: Record) -> Record:
    formula = reduced_formula(record.require_crystal())
    return Record(labels=_all_labels(predictor, record), texts={"formula": formula})


def _all_labels(predictor: Predictor, record: Record) -> dict[str, Any]:
    found = ((name, property_value(x, record)) for name, x in predictor.properties.items())
    return {name: value for name, value in found if value is not None}


def figures(predictor: Predictor, records: Sequence[Record], percentiles: Floats) -> Report:
    """Return the figures of each property.

    Args:
        predictor: what is measured.
        records: with labels.
        percentiles: (N,) distance of each record to the training compositions.
    """
    found = predictor.predict(records)
    report = {}
    for name, predictions in found.items():
        values = [property_value(predictions.target, record) for record in records]
        truth = np.array([np.nan if x is None else x for x in values])
        report[name] = _figures_of(predictions, truth, percentiles)
    return report


def _figures_of(predictions: Predictions, truth: Floats, percentiles: Floats) -> Report:
    if predictions.target.kind == "boolean":
        return _written(classification_scores(truth, predictions.values))
    report = _written(
        regression_scores(truth, predictions.values, means=predictions.means),
        "mae", "rmse", "r2", "mad_over_mae", "spearman",
    )  # fmt: skip
    if predictions.target.name == "e_above_hull":
        off = (truth > HULL_THRESHOLD).astype(float)
        for kind, ranking in _rankings(predictions).items():
            name = "" if kind == "value" else f"_of_expected_{kind}"
            report[f"spearman_of_expected_{kind}"] = rounded(spearman(truth, ranking))
            report[f"auc_above_{HULL_THRESHOLD}{name}"] = rounded(roc_auc(off, ranking))
    for level, bounds in predictions.intervals.items():
        scores = interval_scores(truth, bounds, level)
        report[f"interval_{100 * level:.0f}"] = {
            "coverage": rounded(scores["coverage"].value),
            "mean_width": rounded(scores["width"].value),
            "by_distance_percentile": {
                f"{low:.0f} to {min(high, 100):.0f}": _near_and_far(
                    predictions, truth, bounds, (percentiles >= low) & (percentiles < high)
                )
                for low, high in _DISTANCES
            },
        }
    return report


def _rankings(predictions: Predictions) -> dict[str, Floats]:
    """Return what orders records: the expected value, and the expected rank if there is one."""
    value = predictions.values if predictions.means is None else predictions.means
    return {"value": value, "rank": value if predictions.ranks is None else predictions.ranks}


def _near_and_far(
    predictions: Predictions, truth: Floats, bounds: Floats, chosen: np.ndarray[Any, Any]
) -> Report:
    chosen = chosen & np.isfinite(truth) & predictions.is_valid
    if not chosen.any():
        return {"n": 0}
    inside = (bounds[chosen, 0] <= truth[chosen]) & (truth[chosen] <= bounds[chosen, 1])
    return {
        "n": int(chosen.sum()),
        "mae": rounded(float(np.abs(predictions.values - truth)[chosen].mean())),
        "coverage": rounded(float(inside.mean())),
        "mean_width": rounded(float((bounds[chosen, 1] - bounds[chosen, 0]).mean())),
    }


def _written(scores: dict[str, Score], *names: str) -> Report:
    return {
        name: {
            "value": rounded(found.value),
            "bootstrap_95": None if not np.isfinite(found.low) else
            [rounded(found.low), rounded(found.high)],
            "n_valid": found.n_valid,
            "n": found.n,
        }
        for name, found in scores.items()
        if not names or name in names
    }  # fmt: skip


def _baselines(predictor: Predictor, test: Sequence[Record]) -> Report:
    """Return the figures of the forest and the mean, by composition, on the same crystals."""
    data = read_shipped_training()["train"]
    train = [_formula_alone(predictor, data[i]) for i in range(len(data))]
    nowhere = np.full(len(test), np.nan)
    report = {}
    for name in ("mean", "forest"):
        fitted = METHODS[name].fit(train, [], predictor.properties, seed=0)
        report[name] = {
            key: {x: y for x, y in value.items() if not x.startswith("interval")}
            for key, value in figures(fitted, test, nowhere).items()
        }
    return report


def ranked_samples(predictor: LanguagePredictor, run: Path, energies: Path) -> Report:
    """Return how often samples are low in energy, by their predicted energy above hull.

    Args:
        predictor: what is measured.
        run: of `crystext sample`.
        energies: the table of `crystext hull` on a part of it; `name` is the index of a sample.
    """
    table = pd.read_csv(energies)
    above = dict(zip(table["name"].astype(int), table["e_above_hull_ev_per_atom"], strict=True))
    records = [x for x in read_records(run) if x.name.isdigit() and int(x.name) in above]
    found = predictor.predict(records, ["e_above_hull"])["e_above_hull"]
    rankings = _rankings(found)
    truth = np.array([above[int(record.name)] for record in records], dtype=float)
    return _parts(truth, rankings["rank"]) | {"by expected value": _parts(truth, rankings["value"])}


def _parts(truth: Floats, ranking: Floats) -> Report:
    low = truth < LOW_ENERGY  # What has no energy is not low.
    order = np.argsort(np.where(np.isfinite(ranking), ranking, np.inf), kind="stable")
    tenth = max(1, len(order) // 10)
    best, worst = low[order[:tenth]], low[order[-tenth:]]
    known = np.isfinite(truth) & np.isfinite(ranking)
    return {
        "samples": len(truth),
        "all": share(int(low.sum()), len(low)),
        "best tenth by prediction": share(int(best.sum()), tenth),
        "worst tenth by prediction": share(int(worst.sum()), tenth),
        "best tenth over all": rounded(best.mean() / max(low.mean(), 1e-9)),
        "spearman": rounded(spearman(truth[known], ranking[known])),
    }


if __name__ == "__main__":
    sys.exit(main())
