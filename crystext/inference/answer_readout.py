"""What the readers of answers share: a model with its prompts, and the questions about a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from crystext.tasks.answer_scales import AnswerScale
from crystext.tasks.prompts import PromptSet
from crystext.tasks.property_prediction import property_prompt
from crystext.tokenization.encode import prompt_ids

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class AnswerReadout(ABC):
    """Asks a model about properties of texts."""

    def __init__(
        self,
        network: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        prompts: PromptSet,
        scales: Mapping[str, AnswerScale],
    ) -> None:
        """Take a model and the answers that it gives.

        Args:
            network: a causal language model in evaluation mode.
            tokenizer: its tokenizer.
            prompts: its prompts, with the template `predict`.
            scales: the answers of each property, in the order of the questions.

        Raises:
            ModelError: the tokenizer has no token for a question or an answer.
        """
        self.network, self.tokenizer, self.prompts = network, tokenizer, prompts
        self.scales = dict(scales)
        self._find_tokens()

    @abstractmethod
    def _find_tokens(self) -> None:
        """Look up the tokens of questions and answers; raises `ModelError` if there are none."""

    def _prompts(self, texts: Sequence[str], names: Sequence[str]) -> list[list[int]]:
        """Return the token ids of a prompt for each text, with questions about some properties."""
        targets = [self.scales[name].target for name in names]
        return [
            prompt_ids(self.tokenizer, property_prompt(self.prompts, text, targets))
            for text in texts
        ]
