"""Measure small language models on tables of compositions and molecules, beside a random forest.

    python -m evaluation.measure.property_tables ../shared/data --work runs \
        --out evaluation/results/independent_of_weights/property_tables.json
    python -m evaluation.measure.property_tables ../shared/data --work runs --tables jdft2d \
        --folds 0 --out jdft2d.json

Both learn the same folds: matbench's five of its tables, five random ones of the molecules. The
forest is that of `crystext.predict`: on Magpie's features, or RDKit's descriptors. Its error is
that of its expected value, which the published ones have, too; that of its median stands beside it.

`--work` keeps the predictions of every fold, `METHOD_TABLE_foldK.npz`: a fold that is there is not
computed again, and the result has the folds that are there. A bar that is missed, or a table that
has not all of its folds, is reported as such.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crystext.data.property_splits import Fold, leaks, matbench_folds, random_folds
from crystext.data.property_table import PropertyTable, read_property_table
from crystext.metrics.classification import roc_auc
from crystext.metrics.interval_coverage import INTERVAL_LEVELS
from crystext.metrics.regression import mae, r_squared
from crystext.predict.base import Method, Predictions
from crystext.predict.baselines.forest import FOREST
from crystext.predict.baselines.mean import MEAN
from crystext.predict.language_method import LanguageMethod
from crystext.runtime.files import write_npz
from evaluation.result_file import Report, rounded, write_result

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bar:
    """What the language models have to reach on a table, relative to the forest."""

    file: str
    metric: str
    """`mae` of the median, at most `limit` times the forest's; or `auc`, at least the forest's less
    `limit`."""
    limit: float
    r2: bool = False
    """Whether R2 of the expected value has to reach the forest's."""


BARS = {
    "expt_gap": Bar("compositions/expt_gap.csv", "mae", 0.80, r2=True),
    "elasticity_log10_k_vrh": Bar("compositions/elasticity_log10_k_vrh.csv", "mae", 0.98),
    "phonons": Bar("compositions/phonons.csv", "mae", 1.0),
    "jdft2d": Bar("compositions/jdft2d.csv", "mae", 1.0),
    "dielectric": Bar("compositions/dielectric.csv", "mae", 1.0),
    "steels_yield": Bar("compositions/steels_yield.csv", "mae", 1.0),
    "expt_is_metal": Bar("compositions/expt_is_metal.csv", "auc", 0.005),
    "glass": Bar("compositions/glass.csv", "auc", 0.005),
    "esol": Bar("molecules/esol.csv", "mae", 1.10),
    "freesolv": Bar("molecules/freesolv.csv", "mae", 1.10),
}
"""By table, in order of importance."""

FOLDS = 5


def folds_of(table: PropertyTable, name: str) -> list[Fold]:
    """Return the folds of a table: matbench's, or random ones of molecules."""
    if any("smiles" in record.texts for record in table.records):
        return random_folds(len(table), FOLDS, seed=0)
    return matbench_folds(table.records, name, table.targets[name])


def predict_fold(
    work: Path, method: Method, key: str, table: PropertyTable, name: str, fold: int
) -> None:
    """Fit a method on a fold and keep its predictions, unless they are there."""
    path = work / f"{method.name}_{key}_fold{fold}.npz"
    if path.is_file():
        return
    parts = folds_of(table, name)[fold]
    train, test = table.select(parts.train).records, table.select(parts.test).records
    cpu, started = time.process_time(), time.monotonic()
    found = method.fit(train, (), table.targets, seed=0).predict(test)[name]
    seconds = [time.process_time() - cpu, time.monotonic() - started]
    write_npz(
        path,
        **_arrays(found),
        test=np.asarray(parts.test),
        y=table.values(name)[parts.test],
        baseline=MEAN.fit(train, (), table.targets).predict(test)[name].values,
        seconds=np.array(seconds),
        leak=np.array(leaks(train, test).proportion),
    )
    print(f"{method.name}, {key}, fold {fold}: {seconds[0]:.0f} CPU s", file=sys.stderr, flush=True)


def _arrays(found: Predictions) -> dict[str, Floats]:
    arrays: dict[str, Floats | None]
    arrays = {"values": found.values, "means": found.means, "modes": found.modes}
    for level in INTERVAL_LEVELS:
        arrays[f"interval{100 * level:.0f}"] = found.intervals.get(level)
    return {name: x for name, x in arrays.items() if x is not None}


def fold_scores(saved: dict[str, Floats], bar: Bar) -> Report:
    """Return the scores of the predictions of one fold."""
    y, values = saved["y"], saved["values"]
    if bar.metric == "auc":
        scores = {"auc": roc_auc(y, values)}
    else:
        scores = {"mae_median": mae(y, values)}
        for kind, name in (("means", "mean"), ("modes", "mode")):
            if kind in saved:
                scores[f"mae_{name}"] = mae(y, saved[kind])
        if "means" in saved:
            scores["r2"] = r_squared(y, saved["means"])
        if "baseline" in saved:
            scores["mae_mean_predictor"] = mae(y, saved["baseline"])
        for level in ("50", "90"):
            if (ends := saved.get(f"interval{level}")) is not None:
                scores[f"coverage_{level}"] = float(((ends[:, 0] <= y) & (y <= ends[:, 1])).mean())
    if "seconds" in saved:
        scores["cpu_seconds"], scores["wall_seconds"] = (float(x) for x in saved["seconds"])
    if "leak" in saved:
        scores["leak"] = float(saved["leak"])
    return {name: rounded(x) for name, x in scores.items()}


def table_report(work: Path, key: str) -> Report | None:
    """Return the scores of a table over the folds that both methods have; None without any."""
    bar, folds = BARS[key], []
    for fold in range(FOLDS):
        paths = {m: work / f"{m}_{key}_fold{fold}.npz" for m in ("language", "forest")}
        if all(path.is_file() for path in paths.values()):
            saved = {m: dict(np.load(path)) for m, path in paths.items()}
            if not np.array_equal(saved["language"]["test"], saved["forest"]["test"]):
                raise ValueError(f"{key}, fold {fold}: the two methods have other test records")
            folds.append({"fold": fold, **{m: fold_scores(x, bar) for m, x in saved.items()}})
    if not folds:
        return None
    report: Report = {"n_folds": len(folds)}
    for m in ("language", "forest"):
        names = folds[0][m]
        report[m] = {x: rounded(float(np.mean([fold[m][x] for fold in folds]))) for x in names}
    language, forest = report["language"], report["forest"]
    if bar.metric == "auc":
        report["auc_over_forest"] = rounded(language["auc"] - forest["auc"])
        reached = language["auc"] >= forest["auc"] - bar.limit
        report["bar"] = f"AUC at least the forest's less {bar.limit:g}"
    else:
        expected = forest["mae_mean"]
        report["mae_median_over_forest_mean"] = rounded(language["mae_median"] / expected)
        report["mae_median_over_forest_median"] = rounded(
            language["mae_median"] / forest["mae_median"]
        )
        reached = language["mae_median"] <= bar.limit * expected
        report["bar"] = f"MAE of the median at most {bar.limit:g} of the forest's"
        if bar.r2:
            reached = reached and language["r2"] >= forest["r2"]
            report["bar"] += ", and R2 of the expected value at least the forest's"
    report["reached"] = bool(reached) if len(folds) == FOLDS else None
    return report | {"folds": folds}


def summarized(work: Path, keys: Sequence[str]) -> Report:
    """Return the reports of tables, and what is not measured."""
    found = {key: table_report(work, key) for key in keys}
    for key, report in found.items():
        if report is not None:
            print(f"{key}: {_line(report)}", file=sys.stderr)
    return {
        "tables": {key: report for key, report in found.items() if report is not None},
        "not_measured": [key for key, report in found.items() if report is None],
        "incomplete": [k for k, x in found.items() if x is not None and x["n_folds"] < FOLDS],
    }


def _line(report: Report) -> str:
    shown = {name: x for name, x in report.items() if isinstance(x, float | bool)}
    return f"{report['n_folds']} folds, {report['language']} against {report['forest']}; {shown}"


def measure(
    data: Path, work: Path, keys: Sequence[str], folds: Sequence[int], methods: Sequence[Method]
) -> Callable[[], Report]:
    """Return the function that measures tables, fold by fold."""

    def run() -> Report:
        work.mkdir(parents=True, exist_ok=True)
        for key in keys:
            table = read_property_table(data / BARS[key].file)
            (name,) = table.targets
            for fold in folds:
                for method in methods:
                    predict_fold(work, method, key, table, name, fold)
        return summarized(work, list(BARS))

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with compositions/ and molecules/")
    parser.add_argument("--out", type=Path, required=True, help="result file")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps predictions")
    parser.add_argument("--tables", nargs="*", choices=list(BARS), default=list(BARS))
    parser.add_argument("--folds", nargs="*", type=int, choices=range(FOLDS), default=range(FOLDS))
    parser.add_argument("--models", type=int, default=3, help="models of different seeds")
    parser.add_argument("--settings", nargs="*", default=[], help="KEY=VALUE of the recipes")
    given = parser.parse_args(words)
    language = LanguageMethod(models=given.models, overrides=tuple(given.settings))
    files = [given.data / BARS[key].file for key in given.tables]
    return write_result(
        given.out,
        measure(given.data, given.work, given.tables, given.folds, (FOREST, language)),
        script=__file__,
        arguments=words,
        packages=("torch", "transformers", "scikit-learn"),
        data=files,
        misses=lambda report: any(x["reached"] is False for x in report["tables"].values()),
    )


if __name__ == "__main__":
    sys.exit(main())
