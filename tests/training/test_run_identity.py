from __future__ import annotations

from pathlib import Path

import pytest

from crystext.errors import RunError
from crystext.training.recipe import Recipe, load_recipe
from crystext.training.run_identity import check_run_identity


def identity(recipe: Recipe) -> dict[str, object]:
    """Return what `run_identity` records of a recipe, without digests."""
    fixed = recipe.model_dump(mode="json", exclude={"data", "sample_checks"})
    return {"recipe": fixed, "crystals": 10, "sequences": 2, "digests": {}}


def test_a_run_that_version_0_1_began_is_the_same_run() -> None:
    current = identity(load_recipe("smoke"))
    saved = identity(load_recipe("smoke"))
    assert isinstance(saved["recipe"], dict)
    saved["recipe"]["translate_share"] = saved["recipe"].pop("translate_probability")
    assert check_run_identity(Path("run"), saved, current) == []
    saved["recipe"]["translate_share"] = 0.5
    with pytest.raises(RunError, match=r"translate_probability was 0\.5 and is 0\.25"):
        check_run_identity(Path("run"), saved, current)
