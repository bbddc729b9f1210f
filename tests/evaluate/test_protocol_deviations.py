"""Figures that were measured otherwise than their protocol says are told from the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.energies.potentials.m3gnet import M3GNET
from crystext.evaluate.protocol import Protocol, load_protocol
from crystext.evaluate.protocol_deviations import (
    deviation_letters,
    deviations_affecting,
    protocol_deviations,
)
from crystext.evaluate.reference_sets import ReferenceSets
from crystext.evaluate.report import ProtocolDeviation
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.stages.base import EvaluationOptions
from tests.evaluate.example_inputs import BRASS, ROCK_SALT, write_run, write_table
from tests.evaluate.html.example_report import report


def of_energies(rules: Protocol, options: EvaluationOptions, attempts: int = 10) -> dict[str, str]:
    found = protocol_deviations(rules, options, ReferenceSets({}), ["stability"], attempts)
    return {deviation.what: deviation.text for deviation in found}


def test_hull_potential_and_number_that_are_not_the_protocols_are_told() -> None:
    options = EvaluationOptions(hull="m3gnet", potential="chgnet", relax=4)
    assert of_energies(load_protocol("mp20"), options) == {
        "potential": f"potential CHGNet-0.3.0 in place of {M3GNET}",
        "hull": "hull m3gnet in place of mp2020",
        "relaxed": "energies of the first 4 samples in place of 10",
    }


@pytest.mark.parametrize(
    "options",
    [
        EvaluationOptions(),
        EvaluationOptions(hull="mp2020", potential="m3gnet", relax=10),
        EvaluationOptions(potential=f"somewhere/{M3GNET}", relax=11),
    ],
)
def test_what_the_protocol_would_take_is_no_deviation(options: EvaluationOptions) -> None:
    assert of_energies(load_protocol("mp20"), options) == {}


def test_energies_that_were_not_measured_depart_from_nothing() -> None:
    found = protocol_deviations(
        load_protocol("mp20"), EvaluationOptions(hull="x"), ReferenceSets({}), ["validity"], 10
    )
    assert found == []


def test_another_protocol_of_a_shipped_name_is_told_with_what_differs() -> None:
    shipped = load_protocol("mp20")
    assert shipped.stability is not None
    other = shipped.model_copy(
        update={"stability": shipped.stability.model_copy(update={"metastable": 0.2}), "ipt": None}
    )
    (found,) = protocol_deviations(other, EvaluationOptions(), ReferenceSets({}), [], 10)
    assert found.what == "protocol"
    assert found.text.endswith("its stability differs")


def test_a_set_in_place_of_the_protocols_marks_what_is_compared_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))
    run = write_run(tmp_path / "run")
    known = write_table(tmp_path / "two.parquet", [ROCK_SALT, BRASS])
    given = EvaluationOptions(reference=str(known), training=str(known))
    made = evaluate_samples(
        run, "mp20", tmp_path / "out", only=["validity", "novelty", "coverage"], options=given
    )
    assert [deviation.text for deviation in made.protocol_deviations] == [
        "reference: two.parquet (2 crystals) in place of MP-20 test",
        "training set: two.parquet (2 crystals) in place of MP-20 train",
    ]
    places = ("coverage.recall", "novelty.unique_and_novel", "funnel.msun", "validity.valid", None)
    reference, training = made.protocol_deviations
    expected = [[reference], [training], [training], [], []]
    assert [deviations_affecting(made, place) for place in places] == expected
    assert deviation_letters(made, places) == {reference: "a", training: "b"}


def test_letters_of_figures_shown_together_leave_no_gap() -> None:
    all_three = [
        ProtocolDeviation(what=what, text=what) for what in ("reference", "training", "hull")
    ]
    made = report().model_copy(update={"protocol_deviations": all_three})
    reference, training, hull = all_three
    assert deviation_letters(made, ["coverage.recall", None, "funnel.stable"]) == {
        reference: "a",
        hull: "b",
    }
    assert deviation_letters(made, ["novelty.novel"]) == {training: "a"}


@pytest.mark.parametrize("place", ["funnel.metastable", "formulas.metastable", "funnel.sun"])
def test_another_hull_marks_whatever_rests_on_energies(place: str) -> None:
    hull = ProtocolDeviation(what="hull", text="hull m3gnet in place of mp2020")
    made = report().model_copy(update={"protocol_deviations": [hull]})
    assert deviations_affecting(made, place) == [hull]
    assert deviations_affecting(made, "coverage.recall") == []
