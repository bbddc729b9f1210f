"""The weight of numbers in the loss, relative to other tokens.

Whether a formula or a space group is satisfied depends on the few tokens between a crystal's
numbers. With a smaller weight of numbers, these contribute more to the gradient. The price is
slightly worse numbers: see `evaluation/LOG.md`.
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
    """Weights for the targets of a packed row.

    Works for vocabularies with decimal numbers of one or two tokens, the second of which follows
    the point, as in `crystext.tokenization.crystal_vocabulary`.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, weight: float, device: torch.device
    ) -> None:
        """Scan the vocabulary.

        Raises:
            SettingError: the tokenizer splits numbers into more pieces.
        """
        for text in _NUMBER_EXAMPLES:
            pieces = token_texts(tokenizer, completion_ids(tokenizer, text))
            if sum(_POINT in piece for piece in pieces) * 2 < len(pieces):
                raise SettingError(
                    f"number_weight {weight:g}: the tokenizer splits {text!r} into {pieces}; "
                    "expected numbers of one or two tokens, as in the shipped vocabulary. Give "
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
