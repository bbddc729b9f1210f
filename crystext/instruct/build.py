"""Write a set of instructions from crystals: questions, answers, and how both were made.

    DIR/manifest.json       settings, digests, counts, and what was left out, by reason
    DIR/materials.parquet   the crystals, each with its part and its group
    DIR/PART.jsonl          questions of train, validation or test, with their right answers

A line has `id`, `task`, `material`, `reference` and `context`, and the words in one of two layouts:
`messages`, a conversation that ends with the right answer; or `system`, `prompt` and `completion`.
`crystext train` learns from the first, and benchmarks ask questions of either.

A question depends on its material, its task, the settings and the seed alone: other crystals and
tasks do not change it. The folder is written whole, or not at all; building starts over after a
kill, since it takes about as long as reading and comparing the crystals.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crystext.data.duplicates import SPLIT_TOLERANCES
from crystext.data.split import parse_fractions
from crystext.data.store import SPLITS
from crystext.errors import InputError, RunError, SettingError, did_you_mean
from crystext.instruct.base import InstructionTask
from crystext.instruct.materials import Materials, read_materials, split_materials
from crystext.instruct.printed import Writer
from crystext.instruct.registry import ALL, choose_tasks
from crystext.instruct.words import DEFAULT, InstructionWords, load_words
from crystext.io.write import write_crystals
from crystext.runtime.files import explain_os_errors, replace_folder, text_digest, write_json
from crystext.runtime.processes import available_cores, one_thread_per_process, run_in_order
from crystext.runtime.progress import Progress, StartProgress
from crystext.runtime.provenance import collect_provenance
from crystext.structures.matching import group_by_formula
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Failure, Record

FORMAT = 1
"""Written into manifests; incremented when older code cannot read a set."""

MANIFEST_FILE, MATERIALS_FILE = "manifest.json", "materials.parquet"

LAYOUTS = ("chat", "completion")
"""Ways to write the words of a question: a conversation, or a prompt and its completion."""

_CHUNK_SIZE = 32
"""Crystals whose questions are made together."""

_OWNED = (MANIFEST_FILE, MATERIALS_FILE, *(f"{part}.jsonl" for part in SPLITS))


@dataclass(frozen=True)
class BuildSettings:
    """What questions depend on, besides the crystals."""

    tasks: Sequence[str] = (ALL,)
    """Names of tasks; `all` is every default one."""
    split: str = "0.8/0.1/0.1"
    """Fractions of train, validation and test; a store keeps its own parts."""
    seed: int = 0
    writer: Writer = field(default_factory=Writer)
    words: str = DEFAULT
    """Prompt set: a name or a folder."""
    layout: str = "chat"
    """See `LAYOUTS`."""
    n: int | None = None
    """So many crystals, drawn by the seed; None is all."""
    lenient: bool = False
    """Whether files that contradict themselves are read if one reading exists."""


class BuildReport(NamedTuple):
    """What was written."""

    questions: dict[str, dict[str, int]]
    """Questions by part and task."""
    left_out: dict[str, dict[str, int]]
    """Crystals without a question, by task and reason."""
    unreadable: dict[str, int]
    """Structures of the source that could not be read, by reason."""
    n_materials: dict[str, int]
    """Crystals by part."""
    n_groups: int
    """Groups of equal crystals."""
    n_pairs: int
    """Pairs of crystals of one formula in different parts, none of which match."""


def build(
    source: str,
    out: Path,
    settings: BuildSettings = BuildSettings(),
    *,
    workers: int | None = None,
    progress: bool = False,
) -> BuildReport:
    """Write the questions about the crystals of a source.

    Args:
        source: any source of `crystext data prepare`, or a store.
        out: a folder; an older set of instructions in it is replaced.
        settings: see `BuildSettings`.
        workers: processes; None is one for each core.
        progress: whether to show progress on standard error.

    Raises:
        InputError: the source holds no crystal, or too few for the split.
        SettingError: a task, a format or a prompt set does not exist.
        RunError: the folder holds something else, or cannot be written.
    """
    fractions = parse_fractions(settings.split)
    tasks = choose_tasks(settings.tasks)
    words = load_words(settings.words, tasks)
    workers = available_cores() if workers is None else workers
    if workers < 1:
        raise SettingError(f"workers is {workers}; expected at least 1")
    if settings.layout not in LAYOUTS:
        raise SettingError(
            f"no layout is called {settings.layout!r}; there are {' and '.join(LAYOUTS)}."
            + did_you_mean(settings.layout, LAYOUTS)
        )
    check_output_folder(out)
    with Progress(bar=None if progress else False, lines=progress) as bars:
        materials = read_materials(
            source,
            n=settings.n,
            seed=settings.seed,
            lenient=settings.lenient,
            workers=workers,
            start_progress=bars.begin,
        )
        split_materials(materials, fractions, settings.seed, workers, bars.begin)
        maker = QuestionMaker(tasks, words, settings.writer, settings.seed, settings.layout)
        with explain_os_errors(out), replace_folder(out.resolve(), hidden=True) as folder:
            counts, left_out = _write_questions(folder, materials, maker, workers, bars.begin)
            report = BuildReport(
                counts,
                left_out,
                dict(materials.unreadable),
                {part: n for part in SPLITS if (n := materials.parts.count(part))},
                len(set(materials.groups)),
                _count_pairs(materials),
            )
            _write_materials(folder / MATERIALS_FILE, materials)
            write_json(folder / MANIFEST_FILE, _manifest(settings, words, materials, report))
    return report


def check_output_folder(out: Path) -> None:
    """Refuse a folder that holds anything but a set of instructions.

    Raises:
        RunError: it does, or it is a file.
    """
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for instructions")
    names = sorted(path.name for path in out.iterdir()) if out.exists() else []
    others = [name for name in names if name not in _OWNED]
    if others or (names and MANIFEST_FILE not in names):
        raise RunError(
            f"{out} holds other files ({', '.join((others or names)[:3])}); only a set of "
            "instructions is replaced. Give another --out"
        )


@dataclass(frozen=True)
class QuestionMaker:
    """Makes the questions about a crystal."""

    tasks: Sequence[InstructionTask]
    words: InstructionWords
    writer: Writer
    seed: int
    layout: str = LAYOUTS[0]

    def __call__(self, records: Sequence[Record]) -> list[list[dict[str, Any] | Failure]]:
        """Return for each record the line of each task, or why there is none."""
        return [[self.line(record, task) for task in self.tasks] for record in records]

    def line(self, record: Record, task: InstructionTask) -> dict[str, Any] | Failure:
        """Return the line of a task about a crystal; or why there is none."""
        rng = np.random.default_rng(
            [self.seed, int(text_digest(f"{task.name}\n{record.name}")[:16], 16)]
        )
        try:
            made = task.make(record, self.writer, rng)
        except InputError as error:
            return Failure("the crystal cannot be printed", str(error))
        if isinstance(made, Failure):
            return made
        system, prompt = self.words.system(rng), self.words.render(made, rng)
        line = {"id": f"{task.name}/{record.name}", "task": task.name, "material": record.name}
        answer = {"reference": made.reference, "context": dict(made.context)}
        if self.layout == "completion":
            words = {"system": system, "prompt": prompt, "completion": made.completion}
            return {**line, **words, **answer}
        turns = (("system", system), ("user", prompt), ("assistant", made.completion))
        messages = [{"role": role, "content": text} for role, text in turns if text]
        return {**line, "messages": messages, **answer}


def _write_questions(
    folder: Path,
    materials: Materials,
    maker: QuestionMaker,
    workers: int,
    start_progress: StartProgress,
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """Write the lines of all parts; return the questions by part, and what was left out."""
    names = [part for part in SPLITS if part in materials.parts]
    counts = {part: dict.fromkeys((task.name for task in maker.tasks), 0) for part in names}
    left_out: dict[str, Counter[str]] = {task.name: Counter() for task in maker.tasks}
    advance = start_progress("questions", len(materials.records))
    with ExitStack() as stack:
        files = {
            part: stack.enter_context(
                (folder / f"{part}.jsonl").open("w", encoding="utf-8", newline="\n")
            )
            for part in names
        }
        made = _lines(materials.records, maker, workers)
        for part, lines in zip(materials.parts, made, strict=True):
            for task, line in zip(maker.tasks, lines, strict=True):
                if isinstance(line, Failure):
                    left_out[task.name][line.kind] += 1
                    continue
                counts[part][task.name] += 1
                files[part].write(json.dumps(line, ensure_ascii=False) + "\n")
            advance(1)
    return counts, {name: dict(x.most_common()) for name, x in left_out.items() if x}


def _lines(
    records: Sequence[Record], maker: QuestionMaker, workers: int
) -> Iterator[list[dict[str, Any] | Failure]]:
    chunks = [records[i : i + _CHUNK_SIZE] for i in range(0, len(records), _CHUNK_SIZE)]
    if workers == 1 or len(chunks) < 4:
        for chunk in chunks:
            yield from maker(chunk)
        return
    # Registered tasks are imported again in each process: plugins need not be sent to it.
    make: Callable[[], Callable[[Sequence[Record]], list[Any]]] = partial(
        _make_maker,
        [task.name for task in maker.tasks],
        maker.words,
        maker.writer,
        maker.seed,
        maker.layout,
    )
    with one_thread_per_process():
        for answers in run_in_order(make, chunks, workers):
            yield from answers


def _make_maker(
    names: Sequence[str], words: InstructionWords, writer: Writer, seed: int, layout: str
) -> QuestionMaker:
    return QuestionMaker(choose_tasks(names), words, writer, seed, layout)


def _count_pairs(materials: Materials) -> int:
    """Return how many pairs of crystals of one formula lie in different parts."""
    numbers = [record.require_crystal().numbers for record in materials.records]
    count = 0
    for members in group_by_formula(numbers).values():
        sizes = Counter(materials.parts[i] for i in members).values()
        count += (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    return count


def _write_materials(path: Path, materials: Materials) -> None:
    crystals = [record.require_crystal() for record in materials.records]
    names = [record.name for record in materials.records]
    columns = {
        "material": names,
        "split": materials.parts,
        "group": [names[i] for i in materials.groups],
        "reduced_formula": [reduced_formula(crystal) for crystal in crystals],
    }
    write_crystals(zip(names, crystals, strict=True), path, "parquet", columns=columns)


def _manifest(
    settings: BuildSettings, words: InstructionWords, materials: Materials, report: BuildReport
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "source": dict(materials.source),
        "settings": {**asdict(settings), "tasks": list(settings.tasks)},
        "words_sha256": words.digest,
        "split": {
            "by": "material: crystals that match, directly or through others, are in one part",
            "tolerances": asdict(SPLIT_TOLERANCES),
            "groups": report.n_groups,
            "pairs_of_one_formula_in_different_parts": report.n_pairs,
            "matches_among_them": 0,
        },
        "materials": report.n_materials,
        "questions": report.questions,
        "left_out": report.left_out,
        "unreadable": report.unreadable,
        "provenance": collect_provenance().model_dump(),
    }
