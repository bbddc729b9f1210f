"""What numbers weigh in the loss, beside all else that a text holds.

What decides whether a formula or a space group is met are the few tokens between a crystal's
numbers. Where numbers weigh less, the gradient is more of those. The price is that numbers are
guessed a little worse: see `evaluation/LOG.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from crystext.errors import SettingError
from crystext.tokenization.encode import completion_ids, token_texts
from crystext.training.packing import Packed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_NUMBER_EXAMPLES = ("4.91 5.40 90.00", "0.413 0.267")
_POINT = "."


class NumberWeights:
    """Gives each target of a packed row its weight.

    Works for vocabularies that have a number with a point in one token or two, the second of which
    follows the point, as `crystext.tokenization.crystal_vocabulary` has.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, weight: float, device: torch.device
    ) -> None:
        """Look through the vocabulary.

        Raises:
            SettingError: the tokenizer cuts numbers into more pieces.
        """
        for text in _NUMBER_EXAMPLES:
            pieces = token_texts(tokenizer, completion_ids(tokenizer, text))
            if sum(_POINT in piece for piece in pieces) * 2 < len(pieces):
                raise SettingError(
                    f"number_weight {weight:g}: the tokenizer cuts {text!r} into {pieces}; "
                    "expected numbers of one or two tokens, as the shipped vocabulary has. Give "
                    "number_weight=1"
                )
        texts = token_texts(tokenizer, range(len(tokenizer)))
        self._weight = weight
        self._has_point_V = torch.tensor([_POINT in text for text in texts], device=device)
        self._ends_with_point_V = torch.tensor(
            [text.endswith(_POINT) for text in texts], device=device
        )

    def __call__(self, packed: Packed) -> torch.Tensor:
        """Return the weights (K,) of a packed row's targets."""
        before_K = packed.ids_1_T[0, packed.logit_index_K]
        numbers_K = self._has_point_V[packed.targets_K] | self._ends_with_point_V[before_K]
        return torch.where(numbers_K, self._weight, 1.0)
