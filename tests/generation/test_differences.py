"""Settings that tell two campaigns apart."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from crystext.conditions import Conditions
from crystext.generation.differences import setting_differences
from crystext.generation.sampling_run import SamplingRun
from crystext.inference.types import SamplingSettings
from tests.conftest import Run


def test_a_setting_that_one_side_lacks_is_not_given_there() -> None:
    there, here = {"element_temperature": 1.56, "seed": 0}, {"seed": 0, "space_group": 225}
    assert setting_differences(there, here) == [
        "space_group (--space-group): not given there, 225 asked for",
        "element_temperature (--element-temperature): 1.56 there, not given here",
    ]


def test_the_same_weights_in_another_place_are_no_difference() -> None:
    there = {"model": "a", "model_sha256": "1"}
    assert setting_differences(there, {"model": "b", "model_sha256": "1"}) == []
    assert len(setting_differences(there, {"model": "a", "model_sha256": "2"})) == 1


def test_every_option_that_is_named_exists(cli: Run, tiny_model: Path) -> None:
    campaign = SamplingRun(1, str(tiny_model), SamplingSettings(seed=0), format="plain")
    settings = {**campaign.identity(), "n": 1, "conditions": 1}
    settings |= {field.name: 1 for field in fields(Conditions)}
    lines = setting_differences({}, dict.fromkeys(settings, 1))
    named = {option for line in lines for option in re.findall(r"--[a-z-]+", line)}
    assert len(named) > 15
    shown = cli("sample", "--help").stdout
    assert [option for option in named if not re.search(rf"{option}\b", shown)] == []
