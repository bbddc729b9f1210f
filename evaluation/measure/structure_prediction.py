"""Measure structure prediction with the shipped model on formulas of MP-20 test.

    python -m evaluation.measure.structure_prediction --work /tmp/csp --potential chgnet \
        --out evaluation/results/YYYY-MM-DD_weights-DIGEST7/structure_prediction.json

Formula of the cell and number of atoms are given, as in the published protocol
(`evaluation/protocols/csp-mp20.yaml`). More texts than 20 are drawn for each formula, and equal
crystals are one proposal (`evaluation.proposals`), so the 20 proposals are different crystals; the
result says of how many texts. Proposals are ranked by

    score = ln(texts of the group) + a ln P(most probable text) - predicted / tau_p - E / tau_e

with the energy above the hull that the shipped predictor expects, and, for the rate by energy, the
energy per atom that the potential gives of the crystal as it was drawn. First a and tau_p, for the
most matches at 1 and at 20, then tau_e, for the most at 1, are chosen on formulas of MP-20
validation. Each temperature has its share of the texts, and the result has the rates of each on
validation. The test formulas are measured once.

The draws of each formula are a line of a file of `--work`: a measurement that was stopped goes on.
`--ground-states` writes the table of `crystext discover`: how probable it is that a crystal of
MP-20 validation is among so many texts at the model's own temperatures, by its number of atoms.

The exit status is 1 where a match rate misses `BARS`.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crystext.energies.potentials import choose_potential, potential_name
from crystext.metrics.intervals import mean_interval
from crystext.metrics.proposals import probability_among
from crystext.models.layout import SHIPPED
from crystext.runtime.files import write_json
from evaluation.proposals import (
    MAX_PROPOSALS,
    OWN,
    Drawn,
    TextTemperatures,
    Weights,
    draw_all,
    potential_energies,
    shipped_targets,
)
from evaluation.result_file import Report, progress, rounded, share, write_result

BARS = {"at_1": 0.62, "by_energy": 0.68, "at_20": 0.82}

LIKELIHOOD_WEIGHTS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
PREDICTED_TAUS = (math.inf, 0.4, 0.2, 0.1, 0.05)
ENERGY_TAUS = (0.4, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)
"""What is tried on validation; eV/atom."""

SIZES = ((1, 8), (9, 20))
"""Numbers of atoms of the table of ground states, first and last."""


def measure(given: argparse.Namespace) -> Report:
    """Return what is chosen on validation, and the rates on test."""
    given.work.mkdir(parents=True, exist_ok=True)
    tried, tested = _draw(given, "mp20_val"), _draw(given, "mp20_test")
    weights, _ = choose_ranking(tried)
    known = _energies(given, tried, weights, "validation")
    by_energy = choose_energy(tried, weights, known)
    if given.ground_states is not None:
        write_json(given.ground_states, ground_states(tried, _texts_of(given, OWN)))
    return {
        "potential": potential_name(choose_potential(given.potential).source),
        "draws": given.draws * len(given.temperatures),
        "temperatures": given.temperatures,
        "chosen": {
            "likelihood": weights.likelihood,
            "predicted_tau": rounded(weights.predicted_tau),
            "by_energy": {
                "likelihood": by_energy.likelihood,
                "predicted_tau": rounded(by_energy.predicted_tau),
                "energy_tau": by_energy.energy_tau,
            },
        },
        "validation": {
            **_rates(tried, weights, by_energy, known),
            "of_each_temperature": {
                text: _rates_of_texts(tried, _texts_of(given, text), both_valid=False)
                for text in given.temperatures
            },
        },
        "test": _rates(tested, weights, by_energy, _energies(given, tested, weights, "test")),
    }


def misses(report: Report) -> bool:
    """Return whether a match rate, valid or not, misses what it has to reach."""
    rates = report["test"]["valid or not"]
    return any(rates[name]["share"] < bar for name, bar in BARS.items())


def _draw(given: argparse.Namespace, data: str) -> list[Drawn]:
    return draw_all(
        shipped_targets(data, given.test if data == "mp20_test" else given.validation, seed=0),
        given.draws,
        [TextTemperatures.parse(text) for text in given.temperatures],
        given.work / f"{data}.jsonl",
        given.workers,
        progress(data),
    )


def _texts_of(given: argparse.Namespace, temperature: str) -> range:
    """Return the numbers of the texts that were drawn at one of the temperatures."""
    first = given.temperatures.index(temperature) * given.draws
    return range(first, first + given.draws)


def _energies(
    given: argparse.Namespace, drawn: Sequence[Drawn], weights: Weights, what: str
) -> dict[str, float]:
    return potential_energies(
        drawn,
        weights,
        given.potential,
        given.work / "energies.jsonl",
        given.workers,
        progress(f"energies, {what}"),
    )


def choose_ranking(drawn: Sequence[Drawn]) -> tuple[Weights, float]:
    """Return the ranking without energies with the most matches at 1 and 20, and their number."""
    tried = [Weights(a, tau) for a, tau in itertools.product(LIKELIHOOD_WEIGHTS, PREDICTED_TAUS)]

    def matches(weights: Weights) -> int:
        first = _best(drawn, weights, {}, 1)
        return sum(x is not None for x in [*first, *_best(drawn, weights, {}, MAX_PROPOSALS)])

    best = max(tried, key=matches)
    return best, matches(best)


def choose_energy(
    drawn: Sequence[Drawn], weights: Weights, energies: Mapping[str, float]
) -> Weights:
    """Return the ranking by energy with the most matches at 1."""
    tried = [
        Weights(a, tau, energy_tau)
        for a, tau, energy_tau in itertools.product(
            {0.0, weights.likelihood}, {math.inf, weights.predicted_tau}, ENERGY_TAUS
        )
    ]
    return max(
        sorted(tried),
        key=lambda x: sum(found is not None for found in _best(drawn, x, energies, 1)),
    )


def _best(
    drawn: Sequence[Drawn],
    weights: Weights,
    energies: Mapping[str, float],
    k: int,
    *,
    both_valid: bool = False,
) -> list[float | None]:
    """Return for each target the smallest distance among its first k proposals."""
    found: list[float | None] = []
    for each in drawn:
        first = weights.ranked(each, energies)[:k]
        distances = [each.distance(group, both_valid=both_valid) for group in first]
        found.append(min((x for x in distances if x is not None), default=None))
    return found


def _rates(
    drawn: Sequence[Drawn],
    weights: Weights,
    by_energy: Weights | None,
    energies: Mapping[str, float],
) -> Report:
    """Return match rates and RMSE, of all pairs and of pairs of valid crystals alone."""
    report: Report = {
        "targets": len(drawn),
        "valid_targets": share(sum(x.valid for x in drawn), len(drawn)),
    }
    for name, both_valid in (("valid or not", False), ("both valid", True)):
        rates: dict[str, Any] = {
            **_rates_of_texts(drawn, range(drawn[0].draws), both_valid=both_valid)
        }
        for key, ranking, k in (
            ("at_1", weights, 1),
            ("by_energy", by_energy, 1),
            ("at_20", weights, MAX_PROPOSALS),
        ):
            if ranking is None:
                continue
            found = _best(drawn, ranking, energies, k, both_valid=both_valid)
            fits = [x for x in found if x is not None]
            rates[key] = share(len(fits), len(found))
            rates[f"{key}_rmse"] = rounded(float(np.mean(fits)) if fits else None)
        report[name] = rates
    proposals = [len(each.groups) for each in drawn]
    report["different_crystals"] = rounded(float(np.mean(proposals)), 1)
    return report


def _rates_of_texts(drawn: Sequence[Drawn], texts: range, *, both_valid: bool) -> Report:
    """Return how often one of some texts matches, on average, and any of them."""
    matching = [x.matching(both_valid=both_valid, among=texts) for x in drawn]
    among_20 = [probability_among(m, len(texts), min(20, len(texts))) for m in matching]
    return {
        "texts": len(texts),
        "one_draw": rounded(float(np.mean(matching)) / len(texts)),
        "any_of_20_draws": rounded(float(np.mean(among_20))),
        "any_draw": share(sum(m > 0 for m in matching), len(drawn)),
    }


def ground_states(drawn: Sequence[Drawn], texts: range) -> Report:
    """Return how probable it is that a crystal is among so many texts, by its number of atoms."""
    draws = len(texts)
    counts = [count for count in (1, 2, 5, 10, 20, 40, 60, 100) if count <= draws]
    rows = []
    for low, high in SIZES:
        inside = [each for each in drawn if low <= each.n_atoms <= high]
        matching = [each.matching(both_valid=False, among=texts) for each in inside]
        chances = [
            mean_interval([probability_among(m, draws, count) for m in matching])
            for count in counts
        ]
        rows.append(
            {
                "atoms": [low, high],
                "crystals": len(inside),
                "probability": [rounded(x.value, 3) for x in chances],
                "low": [rounded(max(0.0, x.low), 3) for x in chances],
                "high": [rounded(min(1.0, x.high), 3) for x in chances],
            }
        )
    return {
        "made_by": "evaluation/measure/structure_prediction.py",
        "data": "MP-20 validation",
        "draws": counts,
        "sizes": rows,
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the draws")
    parser.add_argument("--validation", type=int, default=100, help="formulas to choose on")
    parser.add_argument("--test", type=int, default=500, help="formulas to measure")
    parser.add_argument("--draws", type=int, default=24, help="texts at each temperature")
    parser.add_argument(
        "--temperatures",
        type=lambda text: tuple(text.split(",")),
        default=(OWN, "0.7:0.2:0.2"),
        help="of the text, or of text:coordinates:cell; own is the model's",
    )
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--ground-states", type=Path, help="JSON file of crystext discover")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    if given.ground_states is not None and OWN not in given.temperatures:
        parser.error(f"--ground-states needs the temperature {OWN}")
    return write_result(
        given.out,
        lambda: measure(given),
        script=__file__,
        arguments=arguments,
        model=SHIPPED,
        misses=misses,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
