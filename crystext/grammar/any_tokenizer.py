"""Grammar-constrained sampling character by character, for the vocabulary of any language model.

A token of a general vocabulary may contain a digit, a whole number, or the end of one field and the
start of the next. A token is allowed if each of its characters is, so the generated text is always
a prefix of a text that `text.decode` accepts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import ModelError
from crystext.grammar.field_automaton import ELEMENT_LETTERS, FieldAutomaton
from crystext.grammar.fields import END, FieldKind, value_texts
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import Format

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Spellings:
    """The texts of a field's values, and all prefixes of these texts."""

    value_of: dict[str, int]
    """The value of each complete text; the end of a crystal has no text."""
    prefix_index: dict[str, int]
    """An index for each prefix of a text."""
    prefixes: Ints
    """Prefix indices of each text, padded with that of the whole text: (texts, longest length)."""
    common_prefixes: frozenset[str]
    """The prefixes that all texts share."""

    def allowed_prefixes(self, allowed: Bools) -> Bools:
        """Return which prefixes lead to an allowed value: shape (prefixes,)."""
        leads = np.zeros(len(self.prefix_index), dtype=np.bool_)
        # The end (value 0 of an element field) is the only value without a text.
        leads[self.prefixes[allowed[-len(self.prefixes) :]]] = True
        return leads


@cache
def _spellings(kind: FieldKind, fmt: Format) -> _Spellings:
    value = {text: i for i, text in enumerate(value_texts(kind, fmt)) if text}
    longest = max(map(len, value))
    starts = [[text[:end] for end in range(1, longest + 1)] for text in value]
    index = {start: i for i, start in enumerate(dict.fromkeys(x for row in starts for x in row))}
    numbers = np.array([[index[start] for start in row] for row in starts])
    return _Spellings(value, index, numbers, frozenset.intersection(*map(frozenset, starts)))


class _FieldReader:
    """One field of one text, while it is being written."""

    def __init__(self, automaton: FieldAutomaton) -> None:
        self._automaton, self.field = automaton, automaton.field
        self._spellings = _spellings(self.field.kind, automaton.format)

    @cached_property
    def _allowed(self) -> Bools:
        return np.asarray(self._automaton.allowed()[0])

    @cached_property
    def _allowed_prefixes(self) -> list[bool]:
        return list(self._spellings.allowed_prefixes(self._allowed).tolist())

    @property
    def can_hold_value(self) -> bool:
        """Whether some value is allowed; an element field may allow nothing but the end."""
        return self.field.kind is not FieldKind.ELEMENT or any(self._allowed_prefixes)

    @property
    def may_end_here(self) -> bool:
        """Whether the text may end in place of this field."""
        return self.field.kind is FieldKind.ELEMENT and bool(self._allowed[END])

    def accepts_prefix(self, text: str) -> bool:
        """Return whether the text of an allowed value starts with this prefix."""
        # A prefix that all texts share needs no check of the atoms, which is the costly part.
        if text in self._spellings.common_prefixes:
            return True
        number = self._spellings.prefix_index.get(text)
        return number is not None and self._allowed_prefixes[number]

    def value(self, text: str) -> int | None:
        """Return the value with this text, or None if none has it or it is not allowed."""
        value = self._spellings.value_of.get(text)
        return value if value is not None and self._allowed[value] else None

    def separator_after(self, value: int) -> str:
        """Return the separator that has to follow this value, if any."""
        return self._automaton.separator_after(value)

    def after_value(self, value: int) -> _FieldReader:
        """Return the reader of the next field."""
        automaton = self._automaton.copy()
        automaton.push(np.array([value]))
        return _FieldReader(automaton)


class TextReader:
    """The state of one text, and which characters can follow. Immutable."""

    __slots__ = ("_turn", "_typed")

    def __init__(self, field_reader: _FieldReader, typed: str = "") -> None:
        self._turn, self._typed = field_reader, typed

    @classmethod
    def at_start(cls, automaton: FieldAutomaton) -> TextReader:
        """Return the reader of an empty text, given an automaton of one crystal at its start."""
        return cls(_FieldReader(automaton.copy()))

    @property
    def may_end(self) -> bool:
        """Whether the text so far is a whole crystal, or a whole completion."""
        value = self._turn.value(self._typed)
        return value is not None and self._turn.after_value(value).may_end_here

    def step(self, character: str) -> TextReader | None:
        """Return the reader after one more character, or None if it cannot follow."""
        turn, typed = self._turn, self._typed + character
        if turn.accepts_prefix(typed):
            return TextReader(turn, typed)
        if character not in _SEPARATORS or (value := turn.value(self._typed)) is None:
            return None
        if character != turn.separator_after(value):
            return None
        after = turn.after_value(value)
        return TextReader(after) if after.can_hold_value else None

    def read(self, text: str) -> TextReader | None:
        """Return the reader after more text, or None if some character of it cannot follow."""
        reader: TextReader | None = self
        for character in text:
            if reader is not None:
                reader = reader.step(character)
        return reader


@dataclass
class _TrieNode:
    """A node of the trie of token texts."""

    tokens: list[int] = field(default_factory=list)
    children: dict[str, _TrieNode] = field(default_factory=dict)


_DIGITS = "0123456789. \n"
_SEPARATORS = " \n"
_SYMBOL_PARTS = frozenset(["", *SYMBOLS]) | ELEMENT_LETTERS
"""The possible letters of a token of a crystal's text: elements are never adjacent."""


class TokenTrie:
    """The tokens of a vocabulary that can occur in a crystal's text, by their characters."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, letters: frozenset[str] = ELEMENT_LETTERS
    ) -> None:
        """Collect the tokens.

        Args:
            tokenizer: the model's.
            letters: letters that the texts can contain (`grammar.base.Grammar.letters`).

        Raises:
            ModelError: a character of a crystal's text is not a token, so that a text could reach
                a state without a valid next token; or the tokenizer has no end-of-sequence token.
        """
        if tokenizer.eos_token_id is None:
            raise ModelError(
                "the tokenizer has no end-of-sequence token, which closes a crystal's text; "
                "set its eos_token"
            )
        self.end = int(tokenizer.eos_token_id)
        parts = _SYMBOL_PARTS | letters
        self.texts = {
            token: text for token, text in _token_texts(tokenizer) if text.strip(_DIGITS) in parts
        }
        """The characters that each of these tokens adds to a text."""
        self._root = _TrieNode()
        for token, text in self.texts.items():
            node = self._root
            for character in text:
                node = node.children.setdefault(character, _TrieNode())
            node.tokens.append(token)
        known = {character for character, node in self._root.children.items() if node.tokens}
        if missing := sorted(letters.union(_DIGITS) - known):
            raise ModelError(
                f"the tokenizer has no token for {missing[0]!r} alone ({len(missing)} characters "
                "of a crystal's text are missing), so a text could not always be finished; try a "
                "tokenizer with bytes or with all ASCII characters"
            )

    def allowed(self, reader: TextReader) -> list[int]:
        """Return the tokens that can follow, except the end."""
        found: list[int] = []
        pending = [(self._root, reader)]
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

    Rows may be reordered between calls (beam search): a row is identified by its generated tokens.
    All texts start after the same number of prompt tokens, so pad prompts on the left.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt_tokens: int,
        automaton: FieldAutomaton,
        trie: TokenTrie | None = None,
    ) -> None:
        """Set up for prompts of the given length.

        Args:
            tokenizer: the model's.
            prompt_tokens: length of the (padded) prompts.
            automaton: of one crystal, at its first field.
            trie: the tokenizer's tokens, to share among processors.
        """
        self.trie = trie if trie is not None else TokenTrie(tokenizer)
        self.prompt_tokens = prompt_tokens
        self._start = TextReader.at_start(automaton)
        self._readers: dict[tuple[int, ...], TextReader] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, V), set to minus infinity for tokens that cannot follow."""
        return scores.masked_fill(
            ~self.mask(input_ids[:, self.prompt_tokens :], scores.shape[1]), -torch.inf
        )

    def mask(self, generated_B_T: torch.Tensor, vocabulary: int) -> torch.Tensor:
        """Return which tokens can follow each row's generated tokens: shape (B, vocabulary)."""
        mask = torch.zeros(len(generated_B_T), vocabulary, dtype=torch.bool)
        readers: dict[tuple[int, ...], TextReader] = {}
        for row, generated in enumerate(generated_B_T.tolist()):
            key = tuple(generated)
            if self.trie.end in key:
                mask[row, self.trie.end] = True
                continue
            readers[key] = reader = self._reader(key)
            mask[row, self.trie.allowed(reader)] = True
            mask[row, self.trie.end] = reader.may_end
        self._readers = readers
        return mask.to(generated_B_T.device)

    def _reader(self, key: tuple[int, ...]) -> TextReader:
        if key in self._readers:
            return self._readers[key]
        known = self._readers.get(key[:-1])
        reader, new = (self._start, key) if known is None else (known, key[-1:])
        for token in new:
            after = reader.read(self.trie.texts[token])
            assert after is not None, "a token was generated that the mask did not allow"
            reader = after
        return reader


def _token_texts(tokenizer: PreTrainedTokenizerBase) -> Iterable[tuple[int, str]]:
    """Yield each token with the characters it adds to a text; special tokens add none.

    Tokens are decoded after another token, since some tokenizers drop a leading space.
    """
    anchor: list[int] = tokenizer("0", add_special_tokens=False)["input_ids"][-1:]
    ids = list(range(len(tokenizer)))
    before, *texts = tokenizer.batch_decode(
        [anchor, *([*anchor, i] for i in ids)],
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
    return (
        (i, text.removeprefix(before))
        for i, text in zip(ids, texts, strict=True)
        if text.startswith(before) and text != before
    )
