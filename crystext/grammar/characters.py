"""The automaton read character by character: for the vocabulary of any language model.

Tokens of a general vocabulary may hold a digit, a whole number, or the end of one field and the
start of the next. A token is allowed if each of its characters is, so whatever is generated is the
start of a text that `codec.decode` takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.codec import Format
from crystext.crystal import Ints
from crystext.elements import SYMBOLS
from crystext.errors import ModelError
from crystext.grammar.automaton import Automaton
from crystext.grammar.fields import END, Kind, field_at, value_texts
from crystext.grammar.geometry import Bools

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@cache
def _values_by_prefix(kind: Kind, fmt: Format) -> dict[str, Ints]:
    """Return, for each start of a value's text, the values that start so."""
    found: dict[str, list[int]] = {}
    for value, text in enumerate(value_texts(kind, fmt)):
        if text:
            for end in range(len(text) + 1):
                found.setdefault(text[:end], []).append(value)
    return {prefix: np.array(values) for prefix, values in found.items()}


class TextReader:
    """How far one text has come, and which characters can follow."""

    def __init__(self, automaton: Automaton) -> None:
        """Start with an automaton of one crystal at its first field."""
        self.automaton = automaton
        self._typed = ""
        self._opened = automaton.field.separator == ""
        self._mask: Bools | None = None

    def copy(self) -> TextReader:
        """Return a reader in the same state that goes its own way."""
        twin = object.__new__(TextReader)
        twin.__dict__.update(self.__dict__)
        return twin

    @property
    def may_end(self) -> bool:
        """Whether the text so far is a whole crystal."""
        field = self.automaton.field
        return field.kind is Kind.COORDINATE and field.axis == 2 and self._value() is not None

    def step(self, character: str) -> TextReader | None:
        """Return the reader behind one more character, or None if it cannot follow."""
        if not self._opened:
            if character != self.automaton.field.separator:
                return None
            twin = self.copy()
            twin._opened = True
            return twin
        values = self._table().get(self._typed + character)
        if values is not None and self._allowed()[values].any():
            twin = self.copy()
            twin._typed += character
            return twin
        value = self._value()
        if value is None or character != field_at(self.automaton.place + 1).separator:
            return None
        twin = self.copy()
        twin.automaton = self.automaton.copy()
        twin.automaton.push(np.array([value]))
        twin._typed, twin._opened, twin._mask = "", True, None
        return twin if np.delete(twin._allowed(), END).any() or not twin._at_element() else None

    def read(self, text: str) -> TextReader | None:
        """Return the reader behind more text, or None if some character of it cannot follow."""
        reader: TextReader | None = self
        for character in text:
            reader = reader.step(character) if reader else None
        return reader

    def _at_element(self) -> bool:
        return self.automaton.field.kind is Kind.ELEMENT

    def _table(self) -> dict[str, Ints]:
        return _values_by_prefix(self.automaton.field.kind, self.automaton.format)

    def _allowed(self) -> Bools:
        if self._mask is None:
            self._mask = self.automaton.allowed()[0]
        return self._mask

    def _value(self) -> int | None:
        """Return the value whose whole text has been typed, if it is allowed."""
        if not self._opened:
            return None
        texts = value_texts(self.automaton.field.kind, self.automaton.format)
        for value in self._table().get(self._typed, np.array([], dtype=np.int64)).tolist()[:1]:
            # Values are in order of their text's length and digits: the typed one comes first.
            if texts[value] == self._typed and self._allowed()[value]:
                return int(value)
        return None


@dataclass
class _Node:
    """A place in the tree of token texts."""

    tokens: list[int] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


class TokenTree:
    """The tokens of a vocabulary that can occur in a crystal's text, by their characters."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Gather the tokens.

        Raises:
            ModelError: a character that a crystal's text needs is no token of its own.
        """
        self._root = _Node()
        starts = {symbol[:1] for symbol in SYMBOLS} | {"", *SYMBOLS}
        ends = {symbol[1:] for symbol in SYMBOLS} | {"", *SYMBOLS}
        for token, text in _token_texts(tokenizer):
            letters = text.strip("0123456789. \n")
            possible = letters in starts or letters in ends
            if text and possible and set(text) - set(letters) <= set("0123456789. \n"):
                self._add(token, text)
        needed = set("0123456789. \n") | {symbol[0] for symbol in SYMBOLS}
        if missing := needed - self._root.children.keys():
            raise ModelError(
                f"the tokenizer has no token that starts with {sorted(missing)[0]!r}; "
                "it cannot write a crystal"
            )

    def _add(self, token: int, text: str) -> None:
        node = self._root
        for character in text:
            node = node.children.setdefault(character, _Node())
        node.tokens.append(token)

    def allowed(self, reader: TextReader) -> list[int]:
        """Return the tokens that can follow."""
        found: list[int] = []
        pending: list[tuple[_Node, TextReader]] = [(self._root, reader)]
        while pending:
            node, state = pending.pop()
            for character, child in node.children.items():
                if (after := state.step(character)) is not None:
                    found.extend(child.tokens)
                    if child.children:
                        pending.append((child, after))
        return found


class GrammarProcessor:
    """A logits processor for `transformers`' generate: every completion is a crystal's text.

    Rows may be reordered between calls (beam search): a row is known by what it has generated. The
    texts all start behind the same number of prompt tokens, so pad prompts on the left.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt_tokens: int,
        automaton: Automaton,
        tree: TokenTree | None = None,
    ) -> None:
        """Set up for prompts of that many tokens.

        Args:
            tokenizer: the model's.
            prompt_tokens: length of the (padded) prompts.
            automaton: of one crystal, at its first field.
            tree: the tokenizer's tokens, to share among processors.
        """
        self.tree = tree if tree is not None else TokenTree(tokenizer)
        self.prompt_tokens = prompt_tokens
        self._texts = dict(_token_texts(tokenizer))
        self._end = int(tokenizer.eos_token_id)  # type: ignore[arg-type]
        self._readers: dict[tuple[int, ...], TextReader] = {(): TextReader(automaton)}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, V) with those of tokens that cannot follow at minus infinity."""
        return scores.masked_fill(~self.mask(input_ids[:, self.prompt_tokens :], scores.shape[1]), -torch.inf)

    def mask(self, generated_B_T: torch.Tensor, vocabulary: int) -> torch.Tensor:
        """Return which tokens can follow what each row has generated: shape (B, vocabulary)."""
        mask = torch.zeros(len(generated_B_T), vocabulary, dtype=torch.bool)
        readers: dict[tuple[int, ...], TextReader] = {}
        for row, generated in enumerate(generated_B_T.tolist()):
            key = tuple(generated)
            if self._end in key:
                mask[row, self._end] = True
                continue
            readers[key] = reader = self._reader(key)
            mask[row, self.tree.allowed(reader)] = True
            if reader.may_end:
                mask[row, self._end] = True
        self._readers = readers or self._readers
        return mask.to(generated_B_T.device)

    def _reader(self, key: tuple[int, ...]) -> TextReader:
        if key in self._readers:
            return self._readers[key]
        reader = self._readers[key[:-1]].read(self._texts[key[-1]])
        assert reader is not None, "a token was generated that the mask did not allow"
        return reader


def _token_texts(tokenizer: PreTrainedTokenizerBase) -> Iterable[tuple[int, str]]:
    """Yield each token with what it adds to a text, special tokens left out.

    Decoded behind another token, since some tokenizers drop a space at the start of a text.
    """
    anchor: Sequence[int] = tokenizer("0", add_special_tokens=False)["input_ids"][-1:]
    start = len(tokenizer.decode(anchor, clean_up_tokenization_spaces=False))
    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(len(tokenizer)) if i not in special]
    texts = tokenizer.batch_decode([[*anchor, i] for i in ids], clean_up_tokenization_spaces=False)
    return zip(ids, (text[start:] for text in texts), strict=True)
