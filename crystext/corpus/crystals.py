"""Sources of crystals as documents: what is read, and in which form it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from crystext.corpus.documents import Document, Dropped
from crystext.corpus.prose import prose
from crystext.corpus.recipe import PROSE, SourceSettings
from crystext.data.descriptions import describe
from crystext.data.shipped import is_shipped_training, read_shipped_training, shipped_set
from crystext.data.source import open_source
from crystext.data.store import STORE_FILE, Dataset, read_metadata, read_store
from crystext.data.textbook import TEXTBOOK, is_textbook, read_textbook, textbook_file
from crystext.errors import InputError, SettingError
from crystext.io.read.parse import Piece, parse_piece
from crystext.io.read.tables import SPLIT_NAMES
from crystext.io.write.cif_text import cif
from crystext.runtime.files import file_digest
from crystext.runtime.progress import StartProgress
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record
from crystext.tasks.representations import get_representation

CRYSTALS_PER_CHUNK = 1024


class CrystalChunk(NamedTuple):
    """What one process reads at a time."""

    items: list[Piece | Record]


class CrystalSource(NamedTuple):
    """A source of crystals that exists."""

    items: Callable[[], Iterator[Piece | Record]]
    """Reads it, once."""
    fingerprint: Any
    """JSON value that changes with the contents."""

    def chunks(self) -> Iterator[CrystalChunk]:
        """Yield the source in parts of `CRYSTALS_PER_CHUNK`."""
        items = self.items()
        while some := list(islice(items, CRYSTALS_PER_CHUNK)):
            yield CrystalChunk(some)


def open_crystals(path: str, source: SourceSettings, begin: StartProgress) -> CrystalSource:
    """Open one path of a source of crystals: anything that `crystext data prepare` reads, or wrote.

    Of a store, the split `train` is read.

    Raises:
        InputError: there is nothing of this name, or it cannot be read.
    """
    folder = Path(path)
    if is_shipped_training(folder):
        about = file_digest(shipped_set(path))
        return CrystalSource(lambda: _records(_named_set(path)), about)
    if is_textbook(folder):
        about = file_digest(textbook_file("train"))
        return CrystalSource(lambda: _records(_named_set(path)), about)
    if (folder / STORE_FILE).exists():
        return CrystalSource(
            lambda: _records(read_store(folder, "train")), dict(read_metadata(folder))
        )
    opened = open_source(path, source.where, begin)
    return CrystalSource(opened.pieces, opened.describe())


@lru_cache(maxsize=1)
def _named_set(name: str) -> Dataset:
    """Return crystals that ship with the package: several sources read them, which takes time."""
    return read_textbook("train") if name == TEXTBOOK else read_shipped_training()["train"]


def _records(dataset: Dataset) -> Iterator[Record]:
    return (dataset[i] for i in range(len(dataset)))


def read_crystal_chunk(
    chunk: CrystalChunk, source: SourceSettings
) -> Iterator[tuple[Document, Record] | Dropped]:
    """Yield each crystal of a chunk as a document, with its record."""
    write = _writer(source.form)
    for item in chunk.items:
        records = [item] if isinstance(item, Record) else parse_piece(item, lenient=source.lenient)
        for record in records:
            yield _document(record, write)


def _document(
    record: Record, write: Callable[[Record], str | None]
) -> tuple[Document, Record] | Dropped:
    name = record.name or "a crystal"
    if record.crystal is None:
        return Dropped(f"cannot be read ({record.message or 'no structure'})", name)
    split = SPLIT_NAMES.get(record.split.lower(), "")
    if split in ("validation", "test"):
        return Dropped(f"of the source's split {split}", name)
    try:
        text = write(record)
    except (InputError, SettingError) as error:
        return Dropped(f"cannot be written ({error})", name)
    if not text:
        return Dropped("cannot be described in this form", name)
    return Document(text, formula=reduced_formula(record.crystal)), record


def _writer(form: str) -> Callable[[Record], str | None]:
    if form == PROSE:
        return prose
    if form == "cif":
        return _cif
    if form == "description":
        return _description
    representation = get_representation(form)
    return partial(representation.write, rng=None)


def _cif(record: Record) -> str:
    """Return a CIF in P 1, always of the same layout, whatever the source wrote."""
    crystal = record.require_crystal()
    return cif(crystal, name=reduced_formula(crystal))


def _description(record: Record) -> str:
    given = record.texts.get("description")
    return describe(record.require_crystal()) if given is None else given
