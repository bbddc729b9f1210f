"""The measurement of structure prediction, on draws small enough to count by hand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest

from crystext.inference.types import Attempt
from evaluation.measure.structure_prediction import (
    choose_energy,
    choose_ranking,
    ground_states,
    misses,
)
from evaluation.proposals import (
    FORMAT,
    Drawn,
    Group,
    TextTemperatures,
    Weights,
    _group,
    _read,
)
from tests.example_crystals import NACL, crystal

CSCL = crystal([3.4] * 3, [90] * 3, [("Na", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5])])
SMALL_SALT = crystal([3.99] * 3, [60] * 3, [("Na", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5])])


def group(draws: int, rms: float | None = None, **changes: float) -> Group:
    values = {"log_probability": -10.0, "predicted": 0.0, **changes}
    return Group(tuple(range(draws)), f"{draws} {rms} {changes}", rms=rms, valid=True, **values)


def drawn(*groups: Group, n_atoms: int = 2) -> Drawn:
    return Drawn("x", n_atoms, True, sum(len(x.draws) for x in groups), groups)


def test_draws_that_fit_each_other_are_one_group_whose_most_probable_is_proposed() -> None:
    texts = [FORMAT.encode(x) for x in (CSCL, SMALL_SALT, SMALL_SALT, CSCL, SMALL_SALT)]
    values = (-5.0, -9.0, -7.0, -6.0, -8.0)
    attempts = [
        Attempt(i, text, None, value, 9)
        for i, (text, value) in enumerate(zip(texts, values, strict=True))
    ]
    found = {tuple(members): (text.index, rms) for text, _, members, rms in _group(attempts, NACL)}
    assert found.keys() == {(1, 2, 4), (0, 3)}
    assert found[0, 3] == (0, None)
    index, rms = found[1, 2, 4]
    assert index == 2
    assert rms == pytest.approx(0, abs=1e-3)


def test_groups_are_ranked_by_texts_likelihood_and_energies() -> None:
    many, likely, low = group(4), group(1, log_probability=-1.0), group(2, predicted=-1.0)
    some = drawn(many, likely, low)
    assert Weights().ranked(some, {})[0] == many
    assert Weights(likelihood=1.0).ranked(some, {})[0] == likely
    assert Weights(predicted_tau=0.1).ranked(some, {})[0] == low
    energies = {many.text: -3.0, low.text: -3.1}
    # A group without an energy comes after all that have one.
    assert Weights(energy_tau=0.05).ranked(some, energies) == [low, many, likely]


def test_what_is_chosen_has_the_most_matches() -> None:
    tried = [drawn(group(5), group(1, 0.1, log_probability=-1.0)) for _ in range(3)]
    weights, matches = choose_ranking(tried)
    assert (weights.likelihood > 0, matches) == (True, 6)
    energies = {text: value for each in tried for text, value in zip(
        (x.text for x in each.groups), (-3.0, -3.5), strict=True)}  # fmt: skip
    chosen = choose_energy(tried, Weights(), energies)
    assert math.isfinite(chosen.energy_tau)
    assert chosen.ranked(tried[0], energies)[0].rms == 0.1


def test_ground_states_are_counted_by_size() -> None:
    matched, failed = drawn(group(1, 0.1), group(3)), drawn(group(4), n_atoms=9)
    found = ground_states([matched, drawn(group(4), n_atoms=8), failed], range(4))
    assert found["draws"] == [1, 2]
    small, large = found["sizes"]
    assert (small["crystals"], small["probability"]) == (2, [0.125, 0.25])
    assert (large["crystals"], large["probability"]) == (1, [0, 0])
    for low, value, high in zip(small["low"], small["probability"], small["high"], strict=True):
        assert 0 <= low < value < high <= 1
    # Texts of another temperature do not count.
    other = drawn(group(3), Group((3,), "x", 0, 0, 0.1, True))
    assert ground_states([other, failed], range(3))["sizes"][0]["probability"] == [0, 0]


def test_a_rate_that_misses_its_bar_is_told() -> None:
    rates = {name: {"share": 0.9} for name in ("at_1", "by_energy", "at_20")}
    assert not misses({"test": {"valid or not": rates}})
    assert misses({"test": {"valid or not": rates | {"at_1": {"share": 0.6}}}})


def test_a_torn_line_is_drawn_again(tmp_path: Path) -> None:
    some = drawn(group(2, 0.1), group(1))
    file = tmp_path / "draws.jsonl"
    file.write_text(json.dumps(asdict(some)) + "\n" + '{"target": "y", "n_at')
    assert list(_read(file)) == [some]
    assert file.read_text().endswith("]}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("own", (None, None, None)),
        ("0.7", (0.7, None, None)),
        ("0.7:0.5:0.2", (0.7, 0.5, 0.2)),
    ],
)
def test_temperatures_are_read(text: str, expected: tuple[float | None, ...]) -> None:
    assert TextTemperatures.parse(text) == expected
