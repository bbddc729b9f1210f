"""Texts that a run learns from in place of crystals: a corpus, or conversations.

A corpus is a folder that `crystext corpus build` wrote, for the task `text`. Conversations are a
folder that `crystext instruct build` wrote, or any other with such files (see `conversations`), for
the task `conversation`.

`data.watched` of a recipe names texts that are not learned: their loss tells what is forgotten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from crystext.corpus.packed import MANIFEST_FILE, PackedCorpus
from crystext.errors import InputError, SettingError
from crystext.models.network import read_tokenizer
from crystext.runtime.files import file_digest, text_digest
from crystext.tokenization.conversation import CHAT_TEMPLATE
from crystext.training.conversations import (
    FILES,
    Conversation,
    is_conversations,
    read_conversations,
)
from crystext.training.datasets import LENGTH_SAMPLE_SIZE, TrainingDatasets
from crystext.training.text_streams import ConversationStream, CorpusBlocks, WatchedText

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from crystext.training.recipe import Recipe


class TextData(ABC):
    """Texts in place of crystals."""

    task: ClassVar[str]
    """Name of the task in recipes."""
    unit: ClassVar[str]
    """What an epoch counts, in the plural."""
    tokenizer_folder: Path | None = None
    """Of the tokenizer that the texts are cut with already; None: any will do."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Of all that is learned from."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of units of an epoch."""

    @abstractmethod
    def learned(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> TrainingDatasets:
        """Return the examples that are learned, and validation examples of the same kinds.

        Raises:
            SettingError: they do not fit the tokenizer, or are all too long.
        """

    def datasets(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> TrainingDatasets:
        """Return the examples of a run, with the watched texts among those of validation.

        Raises:
            SettingError: see `learned`; or a watched text has the name of a source or a task.
            InputError: a watched text cannot be read, or is empty.
        """
        found, data = self.learned(recipe, tokenizer), recipe.data
        if taken := sorted(set(data.watched) & {*found.validation, *found.train.tasks}):
            raise SettingError(f"data.watched: {taken[0]!r} is learned; give another name")
        watched = {
            name: WatchedText(
                path, tokenizer, max_tokens=recipe.optim.max_tokens, count=data.validation_crystals
            )
            for name, path in data.watched.items()
        }
        return replace(found, validation={**found.validation, **watched})


@dataclass(frozen=True)
class CorpusData(TextData):
    """A corpus: the next token of every document is learned."""

    task: ClassVar[str] = "text"
    unit: ClassVar[str] = "blocks"

    corpus: PackedCorpus

    @property
    def tokenizer_folder(self) -> Path:  # type: ignore[override]
        """The corpus has its tokenizer with it."""
        return self.corpus.tokenizer

    @property
    def digest(self) -> str:
        """Of the corpus."""
        return self.corpus.digest

    def __len__(self) -> int:
        return len(self.corpus.train)

    def learned(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> TrainingDatasets:
        """Return the blocks; validation has those of each source apart."""
        corpus, most = self.corpus, recipe.optim.max_tokens
        if corpus.context_tokens > most:
            raise SettingError(
                f"the corpus has blocks of {corpus.context_tokens:,} tokens, and optim.max_tokens "
                f"is {most:,}; give optim.max_tokens={corpus.context_tokens}"
            )
        _check_tokenizer(corpus, tokenizer)
        train = CorpusBlocks(corpus.train, task_names=list(corpus.validation), max_tokens=most)
        validation = {
            name: CorpusBlocks(part, task_names=[name], max_tokens=most)
            for name, part in corpus.validation.items()
            if len(part)
        }
        if not validation:
            raise SettingError("the corpus holds no validation document; build it with some")
        lengths = train.lengths(range(LENGTH_SAMPLE_SIZE))
        unscored = [name for name in train.tasks if name not in validation]
        return TrainingDatasets(train, validation, lengths, unscored)


@dataclass(frozen=True)
class ConversationData(TextData):
    """Conversations: the assistant's turns are learned."""

    task: ClassVar[str] = "conversation"
    unit: ClassVar[str] = "conversations"

    splits: Mapping[str, Sequence[Conversation]]
    files_digest: str

    @property
    def digest(self) -> str:
        """Of the files."""
        return self.files_digest

    def __len__(self) -> int:
        return len(self.splits["train"])

    def learned(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> TrainingDatasets:
        """Return the conversations; validation has those of each task apart.

        A tokenizer without a chat template gets `CHAT_TEMPLATE`, which is saved with the model.
        """
        if not tokenizer.chat_template:
            tokenizer.chat_template = CHAT_TEMPLATE
        most = recipe.optim.max_tokens

        def stream(conversations: Sequence[Conversation]) -> ConversationStream:
            return ConversationStream(conversations, tokenizer, max_tokens=most, seed=recipe.seed)

        train = stream(self.splits["train"])
        lengths = train.lengths(range(LENGTH_SAMPLE_SIZE))
        if not any(length <= most for length in lengths):
            raise SettingError(
                f"none of the first {len(lengths)} conversations has at most {most:,} tokens (the "
                f"shortest has {min(lengths):,}); raise optim.max_tokens"
            )
        by_task: dict[str, list[Conversation]] = {}
        for conversation in self.splits["validation"]:
            by_task.setdefault(conversation.task, []).append(conversation)
        streams = {name: stream(found) for name, found in by_task.items()}
        count = recipe.data.validation_crystals
        validation = {
            name: examples
            for name, examples in streams.items()
            if examples.rows(range(min(count, len(examples.data))))
        }
        if not any(name in validation for name in train.tasks):
            raise SettingError(
                f"no validation conversation has at most {most:,} tokens; raise optim.max_tokens"
            )
        unscored = [name for name in train.tasks if name not in validation]
        return TrainingDatasets(train, validation, lengths, unscored)


def _check_tokenizer(corpus: PackedCorpus, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a model that reads other tokens than those of the corpus."""
    own = read_tokenizer(corpus.tokenizer)
    same = own.get_vocab() == tokenizer.get_vocab()
    if not same or int(tokenizer.eos_token_id) != corpus.end_of_text:
        raise SettingError(
            f"the corpus {corpus.folder} was cut by another tokenizer than that of the model "
            f"({len(own):,} tokens, and {len(tokenizer):,}); build it with the tokenizer of the "
            "model (tokenizer: FOLDER), or train a new one (model.new)"
        )


def read_text_data(folder: Path) -> TextData | None:
    """Return the texts in a folder; None if it holds something else.

    Raises:
        InputError: it holds texts that cannot be read, or none for validation.
    """
    if (folder / MANIFEST_FILE).is_file():
        return CorpusData(PackedCorpus.open(folder))
    if is_conversations(folder):
        paths = {split: folder / name for split, name in FILES.items()}
        if not paths["validation"].is_file():
            raise InputError(
                f"{folder} has no {FILES['validation']}; put some conversations aside in it, whose "
                "loss shows when training overfits"
            )
        splits = {split: read_conversations(path) for split, path in paths.items()}
        return ConversationData(splits, text_digest("".join(map(file_digest, paths.values()))))
    return None
