"""The training rows of texts: blocks of a corpus, and conversations."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from crystext.corpus.packed import PackedPart
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
