"""What a recipe must and must not have for its objective."""

from __future__ import annotations

from typing import NamedTuple

from crystext.models.layout import Objective
from crystext.models.settings import TEXT_OBJECTIVES, ModelSettings
from crystext.training.head_settings import RegressionHeadSettings
from crystext.training.property_settings import PropertySettings
from crystext.training.recipe_sections import OptimSettings, SampleCheckSettings
from crystext.training.representation_settings import RepresentationSettings
from crystext.training.reward.settings import RewardSettings

REPRESENTATION_TASK = "representation"
"""Name of the task whose settings are the section `representations`: texts of records alone."""


class RecipeParts(NamedTuple):
    """Those settings of a `recipe.Recipe` that go with some objectives only, by the same names."""

    objective: Objective
    tasks: dict[str, float]
    properties: PropertySettings | None
    representations: RepresentationSettings | None
    rewards: RewardSettings | None
    head: RegressionHeadSettings | None
    model: ModelSettings
    optim: OptimSettings
    dropout: float
    translate_probability: float
    loss_on_prompt: bool
    number_weight: float
    sample_format: str | None
    sample_checks: SampleCheckSettings


def objective_errors(recipe: RecipeParts) -> list[str]:
    """Return sentences on settings that do not go with a recipe's objective and its task."""
    learns_texts = recipe.tasks.get(REPRESENTATION_TASK, 0) > 0
    if learns_texts != (recipe.representations is not None):
        return [
            f"the task {REPRESENTATION_TASK} and the section representations belong together: give "
            "both or neither"
        ]
    reading = recipe.representations or recipe.head
    if reading is not None and not reading.equivalent_texts and recipe.translate_probability:
        return [
            "translate_probability makes equivalent texts, and equivalent_texts is false; leave "
            "one of them out"
        ]
    checks = _causal_errors if recipe.objective == "causal" else _other_errors
    errors = [*checks(recipe), *_network_errors(recipe), *_reward_errors(recipe)]
    return errors + (_representation_errors(recipe) if learns_texts else [])


def _causal_errors(recipe: RecipeParts) -> list[str]:
    errors = []
    if recipe.head is not None:
        errors.append("head needs objective: regression_head; give it, or leave head out")
    if recipe.model.new_network is not None:
        if recipe.representations is None:
            errors.append(
                f"model.new_network and the tasks {', '.join(recipe.tasks)} need objective: "
                "regression_head, or give model.new"
            )
        if recipe.dropout:
            errors.append("dropout (there is model.new_network.dropout); leave it out")
        if recipe.model.lora is not None:
            errors.append("model.new_network and model.lora exclude each other")
    return errors


def _other_errors(recipe: RecipeParts) -> list[str]:
    properties = recipe.properties
    own_dropout = "head.dropout" if recipe.objective == "regression_head" else "model.new_network"
    others = [name for name, weight in recipe.tasks.items() if weight > 0]
    task = "property" if recipe.objective == "regression_head" else REPRESENTATION_TASK
    excluded = {
        f"tasks other than {task}": others != [task],
        "model.new": recipe.model.new is not None,
        "model.lora": recipe.model.lora is not None,
        f"dropout (there is {own_dropout})": recipe.dropout > 0,
        "head": recipe.head is not None and recipe.objective != "regression_head",
        "loss_on_prompt": recipe.loss_on_prompt,
        "number_weight": recipe.number_weight != 1,
        "optim.optimizer muon": recipe.optim.optimizer == "muon",
        "properties.jitter": properties is not None and properties.jitter > 0,
        "sample_checks": _has_sample_checks(recipe),
    }
    wrong = [name for name, given in excluded.items() if given]
    if not wrong:
        return []
    return [f"the objective {recipe.objective} does not have {', '.join(wrong)}; leave that out"]


def _reward_errors(recipe: RecipeParts) -> list[str]:
    if recipe.rewards is None:
        return []
    excluded = {
        f"objective {recipe.objective}": recipe.objective != "causal",
        "the task property": recipe.properties is not None,
        "the task representation": recipe.representations is not None,
        "model.new (the samples are those of a base)": recipe.model.base is None,
        "model.lora (every weight is trained)": recipe.model.lora is not None,
        "loss_on_prompt": recipe.loss_on_prompt,
        "number_weight": recipe.number_weight != 1,
    }
    if wrong := [name for name, given in excluded.items() if given]:
        return [f"rewards do not go with {', '.join(wrong)}; leave that out"]
    return []


def _network_errors(recipe: RecipeParts) -> list[str]:
    network, objective = recipe.model.new_network, recipe.objective
    if network is None or objective == "regression_head":
        return []
    if TEXT_OBJECTIVES.get(network.architecture) == objective:
        return []
    able = [name for name, known in TEXT_OBJECTIVES.items() if known == objective]
    return [
        f"the objective {objective} is for {' and '.join(able)}, and model.new_network has the "
        f"architecture {network.architecture}"
    ]


def _representation_errors(recipe: RecipeParts) -> list[str]:
    settings, objective = recipe.representations, recipe.objective
    assert settings is not None
    excluded = {
        "model.new (there is model.new_network)": recipe.model.new is not None
        and objective == "causal",
        "other tasks": sum(weight > 0 for weight in recipe.tasks.values()) > 1,
        "loss_on_prompt": recipe.loss_on_prompt,
        "number_weight": recipe.number_weight != 1,
        "sample_format": recipe.sample_format is not None,
        "sample_checks": _has_sample_checks(recipe),
    }
    wrong = [name for name, given in excluded.items() if given]
    errors = (
        [f"the task {REPRESENTATION_TASK} does not have {', '.join(wrong)}; leave that out"]
        if wrong
        else []
    )
    if settings.answer is not None and objective != "sequence_to_sequence":
        errors.append("representations.answer is for objective: sequence_to_sequence")
    if settings.masked_fraction is not None and (
        objective == "causal" or settings.answer is not None
    ):
        errors.append("representations.masked_fraction: nothing is masked here; leave it out")
    return errors


def _has_sample_checks(recipe: RecipeParts) -> bool:
    checks = recipe.sample_checks
    return checks.ipt_crystals > 0 or checks.sampled_crystals > 0
