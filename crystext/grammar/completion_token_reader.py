"""Token ids of the field values of completions, in the crystal vocabulary.

The tokenization of a completion depends on which lines follow each other: an element's newlines
belong to its token in some places, and are separate tokens in others. So a completion with the same
lines and known values is tokenized, and the tokens of each field are those at its position, with
other values substituted.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from crystext.errors import ModelError
from crystext.grammar.fields import Field, FieldKind, value_texts
from crystext.structures.crystal import Ints
from crystext.text import Format
from crystext.tokenization.encode import completion_ids

if TYPE_CHECKING:
    from crystext.tokenization.encode import AnyTokenizer

_EXAMPLES = {
    FieldKind.LENGTH: "5.64",
    FieldKind.ANGLE: "90.00",
    FieldKind.ELEMENT: "Na",
    FieldKind.COORDINATE: "0.125",
}
"""Values of the completion that is tokenized, in the format of the crystal vocabulary."""


class CompletionTokenReader:
    """Token ids of the values of each field of a completion."""

    def __init__(self, tokenizer: AnyTokenizer, fmt: Format, fields: list[Field]) -> None:
        """Look up the ids.

        Args:
            tokenizer: one that has the crystal vocabulary.
            fmt: the format of the text.
            fields: of the completion, its end last.

        Raises:
            ModelError: the tokenizer splits texts differently than that of the crystal vocabulary.
        """
        known = tokenizer.get_vocab()
        pieces = {i: piece for piece, i in known.items()}
        text, places = "", []
        for field in fields[:-1]:
            text += field.separator
            places.append((len(text), len(text) + len(_EXAMPLES[field.kind])))
            text += _EXAMPLES[field.kind]
        ends = [end for _, end in places]
        self._forced_tokens: list[list[int]] = [[] for _ in fields]
        self._tokens: list[list[Ints]] = [[] for _ in fields]
        at = 0
        for i in completion_ids(tokenizer, text):
            piece = pieces[i]
            # A piece belongs to the first field that ends after the start of the piece.
            place = bisect_right(ends, at)
            start, end = places[place]
            if text[at : at + len(piece)] != piece or at + len(piece) > min(
                [x for x, _ in places[place + 1 :]], default=len(text)
            ):
                raise _vocabulary_error(piece)
            if at + len(piece) <= start:
                self._forced_tokens[place].append(i)
            else:
                before, behind = text[at : max(start, at)], text[end : at + len(piece)]
                part = len(self._tokens[place])
                self._tokens[place].append(
                    _token_ids(known, fields[place].kind, fmt, part, before, behind)
                )
            at += len(piece)
        end_of_text = np.array([tokenizer.eos_token_id], dtype=np.int64)
        self._tokens[-1] = [end_of_text]
        for field, tokens in zip(fields, self._tokens, strict=True):
            if len(tokens) != (2 if field.kind in (FieldKind.LENGTH, FieldKind.ANGLE) else 1):
                raise _vocabulary_error(_EXAMPLES[field.kind])
            if field.kind is FieldKind.ELEMENT and tokens[0] is not end_of_text:
                tokens[0] = np.concatenate([end_of_text, tokens[0]])
        self.max_tokens = sum(map(len, self._forced_tokens)) + sum(map(len, self._tokens))
        """Of a whole completion, its end included."""

    def forced_tokens(self, field_index: int) -> list[int]:
        """Return the ids that precede a field for any of its values."""
        return self._forced_tokens[field_index]

    def tokens_at(self, field_index: int) -> list[Ints]:
        """Return the ids that spell a field: one array for each of its tokens.

        The first id of an element field is that of the end; after the last field it is the only
        one.
        """
        return self._tokens[field_index]


def _token_ids(
    vocabulary: dict[str, int], kind: FieldKind, fmt: Format, part: int, before: str, behind: str
) -> Ints:
    """Return the ids of one of the tokens that spell a field, for each of its values."""
    texts = [text for text in value_texts(kind, fmt) if text]
    if kind in (FieldKind.LENGTH, FieldKind.ANGLE):
        split = [text.partition(".") for text in texts]
        texts = list(dict.fromkeys(a + dot if part == 0 else b for a, dot, b in split))
    spelled = [before + text + behind for text in texts]
    if missing := [piece for piece in spelled if piece not in vocabulary]:
        raise _vocabulary_error(missing[0])
    return np.array([vocabulary[piece] for piece in spelled], dtype=np.int64)


def _vocabulary_error(piece: str) -> ModelError:
    return ModelError(
        f"the tokenizer does not split a completion into one or two tokens per field, at "
        f"{piece!r}; it is not a crystal vocabulary"
    )
