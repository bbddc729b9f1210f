"""Token ids of the field values of coordinate texts, in the crystal vocabulary.

Every crystal of a batch is at the same token slot, so a sampler needs the logits of that slot's
tokens only. A coordinate or an element is one token; a length or an angle is two, whole part and
decimals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import ModelError
from crystext.grammar.fields import Field, FieldKind, field_at
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import PLAIN, Format
from crystext.text.formats import MAX_ANGLE, MAX_LENGTH
from crystext.tokenization.crystal_vocabulary import element_line

if TYPE_CHECKING:
    from crystext.tokenization.encode import AnyTokenizer

DECIMALS = 100
"""Values of the token that holds the decimals of a length or an angle."""


class CoordinateTokenReader:
    """Token ids of the values of each field, for a tokenizer that has the crystal vocabulary."""

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        """Look up the ids; raise `ModelError` if the tokenizer lacks one."""
        known = tokenizer.get_vocab()

        def ids(pieces: list[str]) -> Ints:
            missing = [piece for piece in pieces if piece not in known]
            if missing:
                raise ModelError(
                    f"the tokenizer has no token {missing[0]!r}; it is not a crystal vocabulary"
                )
            return np.array([known[piece] for piece in pieces], dtype=np.int64)

        self._decimals = ids([f"{i:02d}" for i in range(DECIMALS)])
        self._wholes = {
            (kind, separator): ids([f"{separator}{i}." for i in range(end)])
            for kind, separator, end in (
                (FieldKind.LENGTH, "", MAX_LENGTH),
                (FieldKind.LENGTH, " ", MAX_LENGTH),
                (FieldKind.ANGLE, "\n", MAX_ANGLE),
                (FieldKind.ANGLE, " ", MAX_ANGLE),
            )
        }
        self._coordinates = {
            "\n": ids([f"0.{i:03d}" for i in range(1000)]),
            " ": ids([f" 0.{i:03d}" for i in range(1000)]),
        }
        lines = ids([element_line(symbol) for symbol in SYMBOLS])
        end = np.array([tokenizer.eos_token_id], dtype=np.int64)
        self._elements = np.concatenate([end, lines])

    def forced_tokens(self, field_index: int) -> list[int]:
        """Return the ids that precede a field for any of its values: none, here."""
        return []

    def tokens_at(self, field_index: int) -> list[Ints]:
        """Return the ids that spell the field at an index of the text."""
        return self.tokens(field_at(field_index))

    def tokens(self, field: Field) -> list[Ints]:
        """Return the ids that spell a field: one array for each of its tokens."""
        if field.kind is FieldKind.ELEMENT:
            return [self._elements]
        if field.kind is FieldKind.COORDINATE:
            return [self._coordinates[field.separator]]
        return [self._wholes[field.kind, field.separator], self._decimals]


def has_crystal_vocabulary(tokenizer: AnyTokenizer, fmt: Format) -> bool:
    """Return whether a tokenizer splits this format into one or two tokens per field."""
    if fmt != PLAIN:
        return False
    try:
        CoordinateTokenReader(tokenizer)
    except ModelError:
        return False
    return True


def allowed_whole_parts(allowed: Bools) -> Bools:
    """Return which whole parts lead to an allowed value: shape (B, V) to (B, V / 100)."""
    return np.asarray(allowed.reshape(len(allowed), -1, DECIMALS).any(axis=2))


def allowed_decimals(allowed: Bools, wholes: NDArray[np.int64]) -> Bools:
    """Return which decimals are allowed after the chosen whole parts: shape (B, 100)."""
    by_whole = allowed.reshape(len(allowed), -1, DECIMALS)
    decimals: Bools = by_whole[np.arange(len(allowed)), wholes]
    return decimals
