"""Build a corpus: encode, select, mix and pack.

    OUT/settings.json, starts.jsonl, lock     of the run (`runtime.run_folder`)
    OUT/tokenizer/                            1. copied, or trained on a sample
    OUT/work/SOURCE/000000.ids ...            2. the documents of each source, encoded (`parts`)
    OUT/train/, OUT/validation/               3. selected, mixed and packed
    OUT/corpus.json                           4. the manifest; a folder with it is complete

Each step writes files that are complete or absent, and the next one depends on them alone. So a
build that is killed at any moment continues where it was, and gives the same bytes. OUT/work is
removed at the end; until then it takes as much space as the corpus, if no source is left over.

Memory: a process holds a few megabytes of text at a time. For each document there are 36 bytes on
disk and one in memory, and tables of at most two million documents are sorted at once (some 250
MB). It does not grow with the length of the texts: 100 GB of papers of 5,000 tokens are five
million documents. The spans of a shard take 8 bytes each.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from crystext.corpus.crystals import CrystalChunk, CrystalSource, open_crystals
from crystext.corpus.document_table import DocumentTable
from crystext.corpus.documents import FileChunk, plan_chunks, source_files
from crystext.corpus.manifest import source_report, stage_report
from crystext.corpus.mix import Mixer, Mixture, available_tokens, corpus_length
from crystext.corpus.near_duplicates import require_minhash
from crystext.corpus.packed import (
    CORPUS_FORMAT,
    CORPUS_VERSION,
    MANIFEST_FILE,
    TOKENIZER_FOLDER,
    TRAIN_FOLDER,
    VALIDATION_FOLDER,
    PackedCorpus,
)
from crystext.corpus.parts import PartSettings, PartTask, make_part_writer, part_path
from crystext.corpus.recipe import CorpusRecipe, SourceSettings
from crystext.corpus.selection import Status, select_documents
from crystext.corpus.source_parts import PartCounts, check_counts, read_counts
from crystext.corpus.source_reader import held_out_documents
from crystext.corpus.tokenizer import TokenizerDescription, copy_tokenizer, describe_tokenizer
from crystext.corpus.tokenizer_sample import train_on_sample
from crystext.corpus.write_packed import PartWriter
from crystext.errors import CrystextError, InputError
from crystext.models.layout import find_folder
from crystext.runtime.files import json_digest, write_json
from crystext.runtime.processes import available_cores, environment_variable, run_in_order
from crystext.runtime.progress import Progress
from crystext.runtime.run_folder import SETTINGS_FILE, STARTS_FILE, RunFolder

WORK_FOLDER = "work"


@dataclass(frozen=True)
class OpenedSource:
    """A source whose files exist."""

    name: str
    settings: SourceSettings
    files: list[tuple[Path, int]]
    """Of a source of text, with sizes."""
    crystals: list[CrystalSource]

    def chunks(self) -> Iterator[FileChunk | CrystalChunk]:
        """Yield what processes read at a time."""
        if self.crystals:
            return chain.from_iterable(source.chunks() for source in self.crystals)
        return plan_chunks(self.settings, self.files)

    def fingerprint(self) -> str:
        """Return a digest that changes with the files: names, sizes and times of change."""
        files = [[str(path), size, path.stat().st_mtime_ns] for path, size in self.files]
        return json_digest([files, [source.fingerprint for source in self.crystals]])


class CorpusBuild:
    """One build."""

    def __init__(self, recipe: CorpusRecipe, out: str | Path, workers: int | None = None) -> None:
        """Check the folder; nothing is read or written.

        Raises:
            RunError: the folder holds something else.
        """
        self.recipe, self.out = recipe, Path(out)
        self.workers = available_cores() if workers is None else workers
        self.run_folder = RunFolder(
            self.out,
            "a corpus",
            owned=(
                SETTINGS_FILE,
                STARTS_FILE,
                MANIFEST_FILE,
                TOKENIZER_FOLDER,
                TRAIN_FOLDER,
                VALIDATION_FOLDER,
                WORK_FOLDER,
            ),
        )
        self.run_folder.check_contents()

    def run(self, bars: Progress) -> PackedCorpus:
        """Build the corpus, or continue; a complete one is opened.

        Raises:
            InputError: a source is empty, too small, or unreadable with `on_error: stop`.
            SettingError: a path is missing.
            ModelError: the tokenizer is missing, damaged or not a fast one.
            RunError: the folder holds another corpus, is in use, or cannot be written.
        """
        if self.recipe.duplicates.near is not None:
            require_minhash()
        sources = self._open_sources(bars)
        settings = {
            "recipe": self.recipe.model_dump(mode="json", exclude_defaults=True),
            "files": {source.name: source.fingerprint() for source in sources},
        }
        with self.run_folder.locked(), self.run_folder.writing():
            self.run_folder.check_settings(settings)
            if not (self.out / MANIFEST_FILE).exists():
                self.run_folder.write_settings(settings)
                self.run_folder.record_start({"workers": self.workers})
                self._build(sources, bars)
            shutil.rmtree(self.out / WORK_FOLDER, ignore_errors=True)
        return PackedCorpus.open(self.out)

    def _open_sources(self, bars: Progress) -> list[OpenedSource]:
        """Open all sources; all that are missing are in one error."""
        opened = []
        faults: list[str] = []
        for name, source in self.recipe.sources.items():
            try:
                if source.kind == "crystals":
                    crystals = [open_crystals(path, source, bars.begin) for path in source.paths]
                    opened.append(OpenedSource(name, source, [], crystals))
                else:
                    opened.append(OpenedSource(name, source, source_files(name, source), []))
            except CrystextError as error:
                text = str(error)
                faults.append(text if f"sources.{name}" in text else f"sources.{name}: {text}")
        if len(faults) == 1:
            raise InputError(faults[0])
        if faults:
            raise InputError("sources cannot be read:\n  " + "\n  ".join(faults))
        return opened

    def _build(self, sources: list[OpenedSource], bars: Progress) -> None:
        tokenizer = self._make_tokenizer(sources, bars)
        counts = [self._encode_source(source, tokenizer, bars) for source in sources]
        check_counts({source.name: x for source, x in zip(sources, counts, strict=True)})
        table = DocumentTable.of_sources(
            [(self._work(source), x.parts) for source, x in zip(sources, counts, strict=True)],
            tokenizer.ids_type,
        )
        status = select_documents(table, self.recipe, self.workers, bars.begin)
        available = available_tokens(table, status, len(sources))
        self._check_available(available)
        length = corpus_length(self.recipe, available)
        mixture, shards = self._write_train(table, status, tokenizer, length, bars)
        validation = self._write_validation(table, status, tokenizer)
        report = source_report(self.recipe, table, status, counts, mixture, available)
        manifest = {
            "format": CORPUS_FORMAT,
            "version": CORPUS_VERSION,
            "context_tokens": self.recipe.context_tokens,
            "tokenizer": tokenizer.as_dict(),
            "parts": {"train": shards, "validation": validation},
            "sources": report,
            "stages": stage_report(self.recipe, mixture),
            "phases": [phase.as_dict() for phase in mixture.phases],
            "when_dry": mixture.when_dry,
            "recipe": self.recipe.model_dump(mode="json"),
        }
        write_json(self.out / MANIFEST_FILE, manifest)

    def _work(self, source: OpenedSource) -> Path:
        return self.out / WORK_FOLDER / source.name

    def _make_tokenizer(self, sources: list[OpenedSource], bars: Progress) -> TokenizerDescription:
        settings, folder = self.recipe.tokenizer, self.out / TOKENIZER_FOLDER
        if folder.exists():
            name = settings.end_of_text
            return describe_tokenizer(folder, name)
        if settings.name is not None:
            return copy_tokenizer(find_folder(settings.name), folder, settings)
        doing = "training the tokenizer"
        bars.update(doing, 0, None, line=doing, due=True)
        chunks = {source.name: source.chunks() for source in sources}
        return train_on_sample(chunks, self.recipe, folder)

    def _encode_source(
        self, source: OpenedSource, tokenizer: TokenizerDescription, bars: Progress
    ) -> PartCounts:
        folder = self._work(source)
        folder.mkdir(parents=True, exist_ok=True)
        is_crystals = source.settings.kind == "crystals"
        settings = PartSettings(
            folder,
            source.settings,
            tokenizer,
            self.recipe.seed,
            signatures=self.recipe.duplicates.near is not None and not is_crystals,
            structures=self.recipe.duplicates.materials and is_crystals,
        )
        chunks = None if is_crystals else sum(1 for _ in source.chunks())
        advance = bars.begin(f"encoding {source.name}", chunks)
        n_parts = 0

        def missing() -> Iterator[PartTask]:
            nonlocal n_parts
            for number, chunk in enumerate(source.chunks()):
                n_parts = number + 1
                if part_path(folder, number, ".json").exists():
                    advance()
                else:
                    yield PartTask(number, chunk)

        for about in _run(partial(make_part_writer, settings), missing(), self.workers):
            advance()
            if about["examples"]:
                read_counts(folder, n_parts, source.name, source.settings)
        return read_counts(folder, n_parts, source.name, source.settings)

    def _check_available(self, available: list[int]) -> None:
        empty = [name for name, n in zip(self.recipe.sources, available, strict=True) if not n]
        if empty:
            raise InputError(
                f"nothing of {', '.join(empty)} is left for training: all documents are duplicates "
                "or held out; check whether two sources hold the same, or lower validation.fraction"
            )

    def _write_train(
        self,
        table: DocumentTable,
        status: Status,
        tokenizer: TokenizerDescription,
        length: int | None,
        bars: Progress,
    ) -> tuple[Mixture, dict[str, Any]]:
        def report(done: int) -> None:
            bars.update("mixing", done, length)

        folder = self.out / TRAIN_FOLDER
        with PartWriter(folder, tokenizer.ids_type, self.recipe.shard_size) as writer:
            mixture = Mixer(self.recipe, table, status, report).run(writer, length)
        return mixture, {"n_tokens": writer.n_tokens, "shards": writer.shards}

    def _write_validation(
        self, table: DocumentTable, status: Status, tokenizer: TokenizerDescription
    ) -> dict[str, Any]:
        parts = {}
        for i, name in enumerate(self.recipe.sources):
            folder = self.out / VALIDATION_FOLDER / name
            with PartWriter(folder, tokenizer.ids_type, self.recipe.shard_size) as writer:
                for ids in held_out_documents(table, status, i):
                    writer.append(ids, i)
            if writer.shards:
                parts[name] = {"n_tokens": writer.n_tokens, "shards": writer.shards}
        return parts


def build_corpus(
    recipe: CorpusRecipe,
    out: str | Path,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> PackedCorpus:
    """Build a corpus, or continue an interrupted build; a complete one is opened.

    Args:
        recipe: what it consists of.
        out: its folder.
        workers: processes; None starts one for each available core. A script that requests more
            than one needs an `if __name__ == "__main__":`. The corpus does not depend on it.
        progress: whether to show progress on standard error.

    Raises:
        CrystextError: see `CorpusBuild.run`.
    """
    build = CorpusBuild(recipe, out, workers)
    with Progress(bar=None if progress else False, lines=progress) as bars:
        return build.run(bars)


def _run(
    make_function: Callable[[], Callable[[PartTask], dict[str, Any]]],
    tasks: Iterator[PartTask],
    workers: int,
) -> Iterator[dict[str, Any]]:
    """Yield the counts of each part; here if there is only one, since processes take time."""
    first = list(islice(tasks, 2))
    # Processes share the cores, so the library must not start threads for all of them in each.
    with environment_variable("TOKENIZERS_PARALLELISM", "false"):
        if len(first) < 2 or workers == 1:
            do = make_function() if first else None
            for task in chain(first, tasks):
                assert do is not None
                yield do(task)
            return
        yield from run_in_order(make_function, chain(first, tasks), workers)
