"""Options that a message about another run names."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from crystext.conditions import Conditions
from crystext.generation.run import run_folder
from crystext.generation.sampling_run import SamplingRun
from crystext.inference.types import SamplingSettings
from crystext.runtime.run_folder import setting_differences
from tests.conftest import Run


def test_every_option_that_is_named_exists(cli: Run, tiny_model: Path, tmp_path: Path) -> None:
    run = SamplingRun(1, str(tiny_model), SamplingSettings(seed=0), format="plain")
    settings = {**run.identity(), "n": 1, "conditions": 1}
    settings |= {field.name: 1 for field in fields(Conditions)}
    option_names = run_folder(tmp_path).option_names
    lines = setting_differences({}, dict.fromkeys(settings, 1), option_names)
    named = {option for line in lines for option in re.findall(r"--[a-z-]+", line)}
    assert len(named) > 15
    shown = cli("sample", "--help").stdout
    assert [option for option in named if not re.search(rf"{option}\b", shown)] == []
