"""What a network has to restore: masked tokens, and masked parts of a text.

    C 1 = C C = C C = C 1            a text
    C 1 ? C C N C C = C 1            tokens: some are masked, and labels hold them
    C 1 = ? C = ?                    parts: each is a single mask, of whatever length it was

Both follow from the random numbers of an example, so that any process can make it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystext.errors import SettingError
from crystext.tokenization.encode import IGNORED_LABEL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MASKED, _RANDOM = 0.8, 0.1
"""Of the tokens to restore: those that the mask takes the place of, and those that another token
does; the others stay (Devlin et al., arXiv:1810.04805, section 3.1)."""


@dataclass(frozen=True)
class MaskVocabulary:
    """The tokens that masking needs to know."""

    mask: int
    special: frozenset[int]
    """Never masked, and never put in place of others."""
    others: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> MaskVocabulary:
        """Return those of a tokenizer.

        Raises:
            SettingError: it has no mask.
        """
        if tokenizer.mask_token_id is None:
            raise SettingError(
                "the tokenizer of model.base has no mask token; give a base that learned masked "
                "tokens or parts, or model.new_network"
            )
        special = frozenset(tokenizer.all_special_ids)
        others = tuple(i for i in range(len(tokenizer)) if i not in special)
        return cls(int(tokenizer.mask_token_id), special, others)

    def text_positions(self, ids: Sequence[int]) -> list[int]:
        """Return the indices of the tokens that are not special."""
        return [i for i, token in enumerate(ids) if token not in self.special]


def mask_tokens(
    ids: Sequence[int], vocabulary: MaskVocabulary, fraction: float, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Return a text with masked tokens, and labels: the tokens to restore, elsewhere none.

    Args:
        ids: of the text.
        vocabulary: of its tokenizer.
        fraction: of the tokens to restore; at least one is.
        rng: of the choice.
    """
    places = vocabulary.text_positions(ids)
    masked, labels = list(ids), [IGNORED_LABEL] * len(ids)
    if not places:
        return masked, labels
    count = max(1, round(fraction * len(places)))
    chosen = rng.choice(len(places), count, replace=False)
    kinds, replacements = rng.random(count), rng.integers(len(vocabulary.others), size=count)
    for choice, kind, replacement in zip(chosen.tolist(), kinds, replacements, strict=True):
        place = places[choice]
        labels[place] = ids[place]
        if kind < _MASKED:
            masked[place] = vocabulary.mask
        elif kind < _MASKED + _RANDOM:
            masked[place] = vocabulary.others[replacement]
    return masked, labels


def mask_parts(
    ids: Sequence[int],
    vocabulary: MaskVocabulary,
    fraction: float,
    mean_length: float,
    rng: np.random.Generator,
) -> list[int]:
    """Return a text with a single mask in place of each of some parts.

    The lengths of the parts follow Poisson's distribution; one of length 0 is a mask between two
    tokens (text infilling; Lewis et al., arXiv:1910.13461, section 2.2).

    Args:
        ids: of the text.
        vocabulary: of its tokenizer.
        fraction: of the tokens to mask; at least one is.
        mean_length: of the parts, in tokens.
        rng: of the choice.
    """
    places = vocabulary.text_positions(ids)
    if not places:
        return list(ids)
    first, last = places[0], places[-1] + 1
    left = max(1, round(fraction * (last - first)))
    lengths: list[int] = []
    unmasked = last - first - left
    while left:
        lengths.append(min(left, int(rng.poisson(mean_length))))
        left -= lengths[-1]
    # Parts and single tokens in a random order; -1 is a token that stays.
    steps = rng.permutation(np.array([*lengths, *[-1] * unmasked])).tolist()
    found, place = list(ids[:first]), first
    for length in steps:
        found.append(vocabulary.mask if length >= 0 else ids[place])
        place += length if length >= 0 else 1
    return [*found, *ids[last:]]
