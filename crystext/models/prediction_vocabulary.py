"""Prepare a model for property prediction: the prompt that shows a material, tokens for answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from crystext.errors import SettingError
from crystext.models.architectures.answer_tokens import extend_embeddings
from crystext.models.initialize import InitialModel
from crystext.tasks.answer_scales import AnswerScale
from crystext.tasks.prompts import PromptSet, load_prompts
from crystext.tasks.property_prediction import question
from crystext.tokenization.crystal_vocabulary import extend_tokenizer, is_crystal_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def extend_for_prediction(
    initial: InitialModel, scales: Mapping[str, AnswerScale], seed: int
) -> InitialModel:
    """Return a model whose vocabulary has a token for every question and every level.

    A model of another vocabulary, or one below an adapter, stays as it is; it answers by digits.

    Args:
        initial: the model that training starts from; its embeddings grow in place.
        scales: the answers of each property.
        seed: of the new embeddings.

    Raises:
        SettingError: the model cannot have tokens for levels.
    """
    prompts = _with_predict_template(initial.prompts)
    initial = replace(initial, prompts=prompts)
    answers = [scale.choices for scale in scales.values() if scale.choices]
    questions = [question(prompts, scale.target) for scale in scales.values()]
    phrases = [*prompts.prediction_phrases(), *questions]
    crystal_vocabulary = is_crystal_vocabulary(initial.tokenizer)
    if crystal_vocabulary and initial.base is None:
        network = cast("PreTrainedModel", initial.network)
        texts = [text for group in answers for text in group]
        tokenizer = extend_tokenizer(initial.tokenizer, _known_phrases(initial), phrases, texts)
        if len(tokenizer) > len(initial.tokenizer):
            extend_embeddings(network, tokenizer, answers, seed)
        return replace(initial, tokenizer=tokenizer)
    if any(scale.levels and not scale.is_boolean for scale in scales.values()):
        reason = (
            "an adapter trains no new tokens"
            if crystal_vocabulary
            else "the base does not have the crystal vocabulary"
        )
        raise SettingError(
            f"properties.answer is levels, which need a token each, and {reason}; give "
            "properties.answer=digits"
        )
    return initial


def _known_phrases(initial: InitialModel) -> list[str]:
    """Return the phrases that a crystal vocabulary has a token for."""
    vocabulary = initial.tokenizer.get_vocab()
    known = [*initial.prompts.phrases(), *initial.prompts.prediction_phrases()]
    return [phrase for phrase in known if phrase in vocabulary]


def _with_predict_template(prompts: PromptSet) -> PromptSet:
    if "predict" in prompts.templates:
        return prompts
    shipped = load_prompts().templates["predict"]
    return replace(prompts, templates={**prompts.templates, "predict": shipped})
