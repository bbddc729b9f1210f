"""A run goes on under a later version, whose recipes may have more settings."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from crystext.errors import RunError
from crystext.runtime.run_folder import RunFolder
from crystext.training.recipe import load_recipe
from crystext.training.run_identity import check_run_identity, run_identity
from crystext.training.trainer import Trainer


def test_a_setting_that_did_not_exist_has_its_default(tmp_path: Path) -> None:
    recipe = load_recipe("shipped", ["data=textbook", "properties=null"])
    trainer = Trainer(recipe, tmp_path / "run")
    current = run_identity(recipe, trainer.initial_model, trainer.data, trainer.batch_size)
    saved = copy.deepcopy(current)
    for name in ("embedding_size", "tied", "element_features"):
        del saved["recipe"]["model"]["new"][name]
    del saved["recipe"]["properties"]
    folder = RunFolder(tmp_path / "run", "a training run")
    assert check_run_identity(folder, copy.deepcopy(saved), current, recipe) == []
    other = load_recipe("shipped", ["data=textbook", "model.new.tied=false"])
    changed = run_identity(other, trainer.initial_model, trainer.data, trainer.batch_size)
    with pytest.raises(RunError, match=r"model\.new\.tied: True there, False here"):
        check_run_identity(folder, saved, changed, other)
