"""The texts of records as a network reads them, and the tokenizer of the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from crystext.data.store import Records
from crystext.errors import CrystextError
from crystext.models.encoder import read_base_tokenizer
from crystext.models.settings import ModelSettings
from crystext.structures.record import Record
from crystext.tasks.property_prediction import PropertyPrediction
from crystext.tasks.representations import preferred_text
from crystext.text.descriptions import TextPreparation
from crystext.tokenization.encoder_vocabulary import ignores_case
from crystext.tokenization.new_tokenizers import new_tokenizer
from crystext.training.example_stream import augment_crystal
from crystext.training.head_settings import RegressionHeadSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TextReader:
    """Writes the texts of records as an encoder reads them."""

    def __init__(
        self, task: PropertyPrediction, head: RegressionHeadSettings, *, spells_formulas: bool
    ) -> None:
        self.task, self.equivalent_texts = task, head.equivalent_texts
        self.preparation = TextPreparation.of(head.descriptions, spells_formulas=spells_formulas)

    def preferred(self, record: Record) -> str:
        """Return the text that a predictor reads; empty if there is none."""
        name, text, _ = preferred_text(record, list(self.task.inputs))
        return self.preparation.prepare(name, text)

    def sampled(
        self, record: Record, rng: np.random.Generator, translate_probability: float = 0.0
    ) -> str:
        """Return one of a record's texts, by their weights; empty if there is none."""
        if record.failure is not None:
            return ""
        if self.equivalent_texts:
            record = augment_crystal(record, rng, translate_probability)
        try:
            name, text = self.task.sample_text(record, rng, equivalent=self.equivalent_texts)
        except CrystextError:
            return ""
        return self.preparation.prepare(name, text)


def tokenizer_and_reader(
    model: ModelSettings,
    task: PropertyPrediction,
    head: RegressionHeadSettings,
    train: Records,
    answer: TextReader | None = None,
) -> tuple[PreTrainedTokenizerBase, TextReader]:
    """Return the base's tokenizer, or one that is learned, and how texts are prepared for it.

    Args:
        model: the recipe's.
        task: with the representations to read.
        head: how they are prepared.
        train: the training records, of whose texts a tokenizer is learned.
        answer: writes further texts to learn it of.

    Raises:
        ModelError: the base is unavailable, or damaged.
    """
    if model.base is not None:
        tokenizer = read_base_tokenizer(model.base)
        spells = ignores_case(tokenizer) if head.spell_formulas is None else head.spell_formulas
        return tokenizer, TextReader(task, head, spells_formulas=spells)
    assert model.new_network is not None
    # A learned tokenizer does not ignore case.
    reader = TextReader(task, head, spells_formulas=bool(head.spell_formulas))

    def texts() -> Iterator[str]:
        for i in range(len(train)):
            yield reader.preferred(train[i])
            if answer is not None:
                yield answer.preferred(train[i])

    network = model.new_network
    return new_tokenizer(texts(), network.tokenizer, network.vocabulary), reader
