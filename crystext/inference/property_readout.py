"""Read the distribution of property answers from a model, without sampling.

With levels, one pass over a text and its questions gives the distribution of every property: the
answers are single tokens, so the probabilities stand in one row of logits for each question. They
are taken over the answers of the property alone. Answers in digits are read by `digit_readout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.errors import ModelError
from crystext.inference.answer_distribution import AnswerDistribution
from crystext.inference.answer_readout import AnswerReadout
from crystext.inference.digit_readout import DigitReadout
from crystext.structures.crystal import Floats
from crystext.tasks.answer_scales import AnswerScale
from crystext.tasks.prompts import PromptSet
from crystext.tasks.property_prediction import question
from crystext.tokenization.encode import completion_ids

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BATCH_TOKENS = 16_384
"""Tokens of a pass; more do not make it faster on a CPU."""


def read_distributions(
    network: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: PromptSet,
    scales: Mapping[str, AnswerScale],
    texts: Sequence[str],
    names: Sequence[str] | None = None,
) -> dict[str, AnswerDistribution]:
    """Return the distributions of some properties, or of all, for each text.

    Args:
        network: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        prompts: its prompts, with the template `predict`.
        scales: the answers of each property, in the order of the questions.
        texts: representations of records.
        names: properties; None is all.

    Raises:
        ModelError: a text takes more positions than the model has.
    """
    asked = [name for name in scales if names is None or name in names]
    by_level = {name: scales[name] for name in asked if has_single_tokens(tokenizer, scales[name])}
    by_digits = {name: scales[name] for name in asked if name not in by_level}
    found: dict[str, AnswerDistribution] = {}
    if by_level:
        found |= LevelReadout(network, tokenizer, prompts, by_level).read(texts, list(by_level))
    if by_digits:
        readout = DigitReadout(network, tokenizer, prompts, by_digits)
        found |= {name: readout.read(texts, name) for name in by_digits}
    return {name: found[name] for name in asked}


def has_single_tokens(tokenizer: PreTrainedTokenizerBase, scale: AnswerScale) -> bool:
    """Return whether every answer of a scale is one token."""
    return bool(scale.choices) and all(
        len(completion_ids(tokenizer, text)) == 1 for text in scale.choices
    )


class LevelReadout(AnswerReadout):
    """Reads answers that are levels: single tokens."""

    def _find_tokens(self) -> None:
        """Look up the tokens of questions and answers.

        Raises:
            ModelError: an answer or a question is not a single token.
        """
        self._answers = {
            name: torch.tensor([self._single(text) for text in scale.choices])
            for name, scale in self.scales.items()
        }
        for scale in self.scales.values():
            self._single(question(self.prompts, scale.target))

    def _single(self, text: str) -> int:
        ids = completion_ids(self.tokenizer, text)
        if len(ids) != 1:
            raise ModelError(
                f"the model's vocabulary has no token for {text!r}, which it answers or is asked "
                "with; the folder's tokenizer and properties.json belong to different models"
            )
        return ids[0]

    @torch.inference_mode()
    def read(self, texts: Sequence[str], names: Sequence[str]) -> dict[str, AnswerDistribution]:
        """Return the distributions of some properties for each text.

        Args:
            texts: representations of records.
            names: properties; their order is that of `scales`, whatever the order here.

        Raises:
            ModelError: a text takes more positions than the model has.
        """
        asked = [name for name in self.scales if name in names]
        rows = self._prompts(texts, asked)
        self._check_lengths(rows)
        found: dict[str, Floats] = {
            name: np.empty((len(texts), len(self._answers[name]))) for name in asked
        }
        for batch in _equal_lengths(rows):
            logits_B_Q_V = self._logits([rows[i] for i in batch], len(asked))
            for i, name in enumerate(asked):
                chosen = logits_B_Q_V[:, i, self._answers[name].to(logits_B_Q_V.device)]
                found[name][batch] = chosen.float().softmax(dim=-1).double().cpu().numpy()
        return {
            name: AnswerDistribution(np.array(self.scales[name].levels), found[name])
            for name in asked
        }

    def _logits(self, rows: list[list[int]], questions: int) -> torch.Tensor:
        device = next(self.network.parameters()).device
        ids_B_T = torch.tensor(rows, device=device)
        logits: torch.Tensor = self.network(
            input_ids=ids_B_T, use_cache=False, logits_to_keep=questions
        ).logits
        return logits

    def _check_lengths(self, rows: list[list[int]]) -> None:
        known = getattr(self.network.config, "max_position_embeddings", None)
        longest = max(map(len, rows), default=0)
        if known is not None and longest > known:
            raise ModelError(
                f"a text takes {longest} tokens, questions included, but the model has {known} "
                "positions; predict from the composition, or leave out the largest crystals"
            )


def _equal_lengths(rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the indices of rows of the same length: they need neither padding nor a mask."""
    by_length: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(i)
    for length, indices in sorted(by_length.items()):
        size = max(1, _BATCH_TOKENS // length)
        for start in range(0, len(indices), size):
            yield indices[start : start + size]
