"""The texts of a study's records, each written once, and the vocabularies learned from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crystext.errors import CrystextError
from crystext.structures.record import Record
from crystext.study.cells import Vocabulary, VocabularyKey
from crystext.study.grid import Grid, TokenizerSpec
from crystext.study.study_records import amount
from crystext.tasks.representations import get_representation
from crystext.text.formats import FORMATS
from crystext.text.wyckoff import WyckoffFormat
from crystext.tokenization.encoder_vocabulary import encoder_ids
from crystext.tokenization.new_tokenizers import TokenizerKind, new_tokenizer

_TOKENIZERS: Mapping[str, TokenizerKind] = {
    "byte_bpe": "bpe", "characters": "characters", "crystal": "crystal",
}  # fmt: skip
"""What recipes call tokenizers."""

_MEASURED_TEXTS = 1000
"""Texts whose mean length is taken."""


@dataclass(frozen=True)
class WrittenRecords:
    """Records, and the same with a text of theirs.

    A crystal's text by symmetry takes tens of milliseconds, and all cells of a text need it.
    """

    records: tuple[Record, ...]
    _written: dict[str, tuple[Record, ...]] = field(default_factory=dict)

    def with_text(self, text: str) -> tuple[Record, ...]:
        """Return the records with the text of a representation, where they have one."""
        if text not in self._written:
            self._written[text] = tuple(_with_text(record, text) for record in self.records)
        return self._written[text]

    def texts(self, text: str, count: int | None = None) -> list[str]:
        """Return the texts of the first records, without those that have none."""
        return [x.texts[text] for x in self.with_text(text)[:count] if text in x.texts]


def tokenizer_kind(spec: TokenizerSpec) -> TokenizerKind:
    """Return what a recipe calls a grid's tokenizer."""
    return _TOKENIZERS[spec.kind]


def learned_vocabularies(grid: Grid, train: WrittenRecords) -> dict[VocabularyKey, Vocabulary]:
    """Return what each tokenizer is, learned as the pretrainings of its cells learn it."""
    found: dict[VocabularyKey, Vocabulary] = {}
    for name, spec in grid.tokenizers.items():
        kind = tokenizer_kind(spec)
        # The crystal vocabulary reads no texts.
        whole = new_tokenizer([], kind) if kind == "crystal" else None
        for text in grid.texts:
            for data in grid.data.sizes:
                texts = train.texts(text, amount(data))
                tokenizer = whole or new_tokenizer(texts, kind, spec.vocabulary)
                rows = encoder_ids(tokenizer, texts[:_MEASURED_TEXTS], grid.pretraining.max_tokens)
                mean = sum(map(len, rows)) / max(1, len(rows))
                found[name, text, data] = Vocabulary(len(tokenizer), mean)
    return found


def _with_text(record: Record, text: str) -> Record:
    fmt = FORMATS.get(text)
    try:
        if isinstance(fmt, WyckoffFormat) and record.wyckoff is not None:
            written = fmt.encode_wyckoff(record.wyckoff)
        else:
            found = get_representation(text).write(record)
            if found is None:
                return record
            written = found
    except CrystextError:
        # Such as a cell that the format has no room for.
        return record
    return replace(record, texts={**record.texts, text: written})
