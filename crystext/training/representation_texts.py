"""The texts of records as rows without labels: the task `representation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crystext.data.store import Records
from crystext.errors import SettingError
from crystext.tasks.property_prediction import PROPERTY
from crystext.tokenization.encoder_vocabulary import encoder_ids
from crystext.training.datasets import LENGTH_SAMPLE_SIZE, TrainingDatasets
from crystext.training.example_stream import ExampleStream, TrainingRow
from crystext.training.head_settings import RegressionHeadSettings
from crystext.training.objective_checks import REPRESENTATION_TASK
from crystext.training.recipe import Recipe
from crystext.training.text_reader import TextReader, tokenizer_and_reader

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MakeRow = Callable[[list[int], list[int], np.random.Generator], TrainingRow]
"""Makes a row of a text's ids, of the ids of the text to write for it (the same, if there is no
other), and of random numbers."""


class RepresentationTexts(ExampleStream):
    """The texts of records, in a new order in each epoch; those that are too long are left out."""

    data: Records

    def __init__(
        self,
        data: Records,
        texts: RepresentationReader,
        make_row: MakeRow,
        *,
        translate_probability: float,
        max_tokens: int,
        seed: int,
    ) -> None:
        """Set up a stream; see `ExampleStream`."""
        super().__init__(data, max_tokens=max_tokens, seed=seed)
        self.texts, self.make_row = texts, make_row
        self.translate_probability = translate_probability

    @property
    def tasks(self) -> list[str]:
        """The task `representation` alone."""
        return [REPRESENTATION_TASK]

    def rows(self, positions: range) -> list[TrainingRow]:
        """Return the rows of the records with texts that are short enough."""
        return [
            self.make_row(ids, answer, rng)
            for ids, answer, rng in self._tokens(positions)
            if max(len(ids), len(answer)) <= self.max_tokens
        ]

    def lengths(self, positions: range) -> list[int]:
        """Return the token counts of the texts, of the longer one where there is an answer."""
        return [max(len(ids), len(answer)) for ids, answer, _ in self._tokens(positions)]

    def _tokens(
        self, positions: range
    ) -> Iterator[tuple[list[int], list[int], np.random.Generator]]:
        reader, answers, tokenizer = self.texts.reader, self.texts.answers, self.texts.tokenizer
        texts, rngs = [], []
        for position in positions:
            index, epoch = self._place(position)
            rng, record = self._rng(index, epoch), self.data[index]
            text = reader.sampled(record, rng, self.translate_probability)
            answer = text if answers is None else answers.preferred(record)
            if text and answer:
                texts.append((text, answer))
                rngs.append(rng)
        ids = encoder_ids(tokenizer, [text for text, _ in texts])
        written = ids if answers is None else encoder_ids(tokenizer, [x for _, x in texts])
        yield from zip(ids, written, rngs, strict=True)


class RepresentationReader:
    """The texts of a recipe's task `representation`, and their tokenizer."""

    def __init__(self, recipe: Recipe, train: Records) -> None:
        """Read the base's tokenizer, or learn one from the training texts.

        Raises:
            ModelError: the base is unavailable, or damaged.
        """
        settings = recipe.representations
        assert settings is not None, "the recipe's check requires it"
        head = RegressionHeadSettings(equivalent_texts=settings.equivalent_texts)
        self.answers: TextReader | None = None
        if settings.answer is not None:
            task = replace(PROPERTY, inputs={settings.answer: 1.0})
            self.answers = TextReader(task, head, spells_formulas=False)
        self.tokenizer: PreTrainedTokenizerBase
        self.tokenizer, self.reader = tokenizer_and_reader(
            recipe.model, replace(PROPERTY, inputs=settings.inputs), head, train, self.answers
        )

    def datasets(
        self, recipe: Recipe, splits: Mapping[str, Records], make_row: MakeRow
    ) -> TrainingDatasets:
        """Return the examples of a run; validation has the texts of the validation records.

        Raises:
            SettingError: no record of a split has a text that is short enough.
        """

        def stream(split: str, translate_probability: float, seed: int) -> RepresentationTexts:
            return RepresentationTexts(
                splits[split],
                self,
                make_row,
                translate_probability=translate_probability,
                max_tokens=recipe.optim.max_tokens,
                seed=seed,
            )

        train = stream("train", recipe.translate_probability, recipe.seed)
        validation = stream("validation", 0.0, 0)
        count = min(recipe.data.validation_crystals, len(validation.data))
        lengths = train.lengths(range(LENGTH_SAMPLE_SIZE))
        for split, found in (
            ("training", lengths),
            ("validation", validation.lengths(range(count))),
        ):
            self._check_lengths(recipe, split, found)
        return TrainingDatasets(train, {REPRESENTATION_TASK: validation}, lengths, [])

    def _check_lengths(self, recipe: Recipe, split: str, lengths: list[int]) -> None:
        most, settings = recipe.optim.max_tokens, recipe.representations
        assert settings is not None
        if not lengths:
            wanted = " or ".join(settings.inputs)
            wanted += "" if settings.answer is None else f", and {settings.answer}"
            raise SettingError(
                f"none of the first {split} records has a text ({wanted}); give other "
                "representations.inputs, or check the columns of the data"
            )
        if min(lengths) > most:
            raise SettingError(
                f"none of the first {len(lengths)} {split} texts has at most {most:,} tokens (the "
                f"shortest has {min(lengths):,}); raise optim.max_tokens"
            )
