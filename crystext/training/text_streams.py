"""The training rows of texts: blocks of a corpus, conversations, and texts that are watched."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from crystext.corpus.packed import PackedPart
from crystext.errors import InputError, describe_error
from crystext.tokenization.conversation import ConversationTokens, conversation_tokens
from crystext.training.conversations import Conversation
from crystext.training.example_stream import ExampleStream, TrainingRow


class CorpusBlocks(ExampleStream):
    """The documents of a corpus block by block, in the order of the corpus.

    Order is part of a corpus: its stages follow each other, and in each the sources are mixed
    evenly. A document is a row of its own, so that attention ends where a document does.
    """

    data: PackedPart

    def __init__(self, data: PackedPart, *, task_names: Sequence[str], max_tokens: int) -> None:
        """Set up a stream.

        Args:
            data: a part of a corpus.
            task_names: what validation distinguishes, such as sources.
            max_tokens: of a block at most.
        """
        super().__init__(data, max_tokens=max_tokens, seed=0)
        self._names = sorted(task_names)

    @property
    def tasks(self) -> list[str]:
        """Names of what validation distinguishes."""
        return self._names

    def rows(self, positions: range) -> list[TrainingRow]:
        """Return the documents in these blocks, without those of a single token."""
        rows: list[TrainingRow] = []
        for position in positions:
            block = self.data.block(position % len(self.data))
            first = 0
            for length in block.document_lengths:
                ids = block.ids[first : first + length].tolist()
                first += length
                if length > 1:
                    rows.append((ids, ids))
        return rows

    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of these blocks."""
        return [len(self.data.block(p % len(self.data)).ids) for p in positions]


class ConversationStream(ExampleStream):
    """Conversations in a new order in each epoch; those that are too long are left out."""

    data: Sequence[Conversation]

    def __init__(
        self,
        data: Sequence[Conversation],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_tokens: int,
        seed: int,
    ) -> None:
        """Set up a stream; see `ExampleStream`."""
        super().__init__(data, max_tokens=max_tokens, seed=seed)
        self.tokenizer = tokenizer
        self._names = sorted({conversation.task for conversation in data})
        self._cache: dict[int, ConversationTokens] = {}

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks of the conversations."""
        return self._names

    def rows(self, positions: range) -> list[TrainingRow]:
        """Return the conversations at these positions of the stream."""
        return [row for row in self._rows(positions) if len(row[0]) <= self.max_tokens]

    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of the conversations, also of those that are too long."""
        return [len(row[0]) for row in self._rows(positions)]

    def _rows(self, positions: range) -> list[TrainingRow]:
        return [self._tokens(self._place(position)[0]) for position in positions]

    def _tokens(self, index: int) -> ConversationTokens:
        if index not in self._cache:
            messages = self.data[index].messages
            self._cache[index] = conversation_tokens(self.tokenizer, messages)
        return self._cache[index]


class WatchedText(ExampleStream):
    """The beginning of a text that is scored and never learned."""

    data: Sequence[TrainingRow]

    def __init__(
        self, path: Path, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int, count: int
    ) -> None:
        """Read as many blocks as are scored.

        Args:
            path: JSON lines with a field `text`, or a text file, of which every paragraph counts as
                a document; either may be compressed (.gz).
            tokenizer: the model's.
            max_tokens: of a block; a longer document is cut into several.
            count: number of blocks at most.

        Raises:
            InputError: the file cannot be read, or holds no text.
        """
        blocks = _blocks(path, tokenizer, max_tokens)
        try:
            rows: list[TrainingRow] = [(ids, ids) for ids in islice(blocks, count)]
        except (OSError, UnicodeDecodeError, EOFError) as error:
            raise InputError(f"{path} cannot be read: {describe_error(error, 'no text')}") from None
        if not rows:
            raise InputError(f"{path} holds no text to watch")
        super().__init__(rows, max_tokens=max_tokens, seed=0)

    @property
    def tasks(self) -> list[str]:
        """None: nothing of it is learned."""
        return []

    def rows(self, positions: range) -> list[TrainingRow]:
        """Return these blocks."""
        return [self.data[position] for position in positions]

    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of these blocks."""
        return [len(self.data[position][0]) for position in positions]


def _blocks(path: Path, tokenizer: PreTrainedTokenizerBase, size: int) -> Iterator[list[int]]:
    for text in _documents(path):
        ids = list(tokenizer(text, split_special_tokens=True)["input_ids"])
        for first in range(0, len(ids), size):
            # A single token has no next one to be scored by.
            if len(block := ids[first : first + size]) > 1:
                yield block


def _documents(path: Path) -> Iterator[str]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        if ".jsonl" not in path.suffixes:
            yield from (text for part in lines.read().split("\n\n") if (text := part.strip()))
            return
        for number, line in enumerate(lines, start=1):
            try:
                text = json.loads(line)["text"] if line.strip() else ""
            except (ValueError, KeyError, TypeError, RecursionError):
                raise InputError(
                    f'{path}, line {number:,} is not {{"text": "..."}}; expected JSON lines'
                ) from None
            if text:
                yield str(text)
