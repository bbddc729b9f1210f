"""Measure methods on a suite: choose tasks and entries, run them, score, and write the results.

What goes wrong otherwise: a benchmark whose script is copied and changed measures something else
each time; here every choice stands in `results.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crystext.benchmark import compat
from crystext.benchmark.compat_prompts import (
    FEW_SHOT,
    CompatPrompts,
    PromptColumn,
    learn_compat_prompts,
)
from crystext.benchmark.data import SuiteData, column_names, read_columns
from crystext.benchmark.entries import (
    AnswersEntry,
    ChatEntry,
    Entry,
    MethodEntry,
    PretrainedEntry,
    Question,
    check_labels,
    is_model,
)
from crystext.benchmark.page import leak_rows, write_page
from crystext.benchmark.results import PAGE_FILE, RESULTS_FILE, BenchmarkResults
from crystext.benchmark.run import BenchmarkRun, RunSettings, Unit, UnitError, prepare_task
from crystext.benchmark.scores import failed_units, score_units
from crystext.benchmark.suite import (
    BenchmarkTask,
    SplitSpec,
    Suite,
    choose_input,
    dataset_files,
    load_suite,
    select_tasks,
)
from crystext.errors import InputError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from crystext.inference.text_models.open import CHAT_PREFIX, open_text_model
from crystext.predict.chat.predictor import ChatPredictor
from crystext.predict.chat.prompts import DEFAULT, ChatPrompts, Shot, load_chat_prompts
from crystext.predict.methods import METHODS
from crystext.runtime.files import write_text
from crystext.runtime.provenance import collect_provenance
from crystext.runtime.wording import format_count
from crystext.structures.property_schema import is_known
from crystext.tasks.representations import get_representation, text_and_problem

ReportProgress = Callable[[str, int, int, str], object]


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to measure, and how."""

    input: str | None = None
    """Type of input; None is the suite's first."""
    tasks: Sequence[str] = ()
    """Data sets or `DATASET/PROPERTY`; none is all whose files are there."""
    split: SplitSpec | None = None
    """Instead of the suite's, for data sets of one table."""
    few_shot: int = 0
    """Examples in prompts of chat models."""
    prompts: str = DEFAULT
    """Chat prompts: a set, or LLM4Mat-Bench's file of prompts."""
    decoding: ChatDecoding | None = None
    """Of chat models; None is greedy, or LLM4Mat-Bench's with `is_compat`."""
    is_compat: bool = False
    """Whether to parse and score answers as LLM4Mat-Bench does."""
    min_valid: int | None = None
    """Number of valid answers below which a task has no score; None is 10 with `is_compat`, else
    1."""
    settings: RunSettings = field(default_factory=RunSettings)


def benchmark(
    suite: Suite | str | Path,
    folder: Path,
    methods: Sequence[str],
    out: Path,
    options: BenchmarkOptions | None = None,
    *,
    answers: Sequence[Path] = (),
    progress: ReportProgress = lambda *_: None,
) -> BenchmarkResults:
    """Measure methods on a suite and write `results.json` and `report.html`.

    A run that was killed is resumed from its folder.

    Args:
        suite: a suite, its name, or the path of its file.
        folder: the user's folder of data.
        methods: names of methods, folders of predictors, or `chat:MODEL`.
        out: folder of the run.
        options: what to measure.
        answers: files of answers that were written elsewhere.
        progress: takes a unit's name, the records done, their number, and a note.

    Raises:
        InputError: files or columns are missing, or no unit has a result.
        SettingError: an option or the suite is invalid.
        RunError: the folder holds something else, or cannot be written.
    """
    options = options or BenchmarkOptions()
    suite = suite if isinstance(suite, Suite) else load_suite(suite)
    if not methods and not answers:
        raise SettingError("no method is given; name one with --method, or a file with --answers")
    notes: list[str] = []
    tasks = _tasks(suite, folder, options, notes)
    input_name = choose_input(suite, options.input)
    question = _question(suite, folder, input_name, options)
    entries = _entries(question, methods, answers, options)
    crystals = any(entry.reads_crystals for entry in entries)
    data = SuiteData(suite, folder, input_name, tasks, crystals=crystals)
    run = BenchmarkRun(suite, data, entries, out, options.settings)
    units: list[Unit] = []
    errors: list[UnitError] = []
    for unit in run.run(tasks, progress):
        if isinstance(unit, Unit):
            units.append(unit)
        else:
            errors.append(unit)
    if not units:
        raise InputError(errors[0].message)
    results = _results(suite, input_name, entries, units, errors, options, notes, tasks)
    write_text(out / RESULTS_FILE, results.model_dump_json(indent=2) + "\n")
    write_page(results, units, out / PAGE_FILE)
    return results


def write_prompts(
    suite: Suite | str | Path,
    folder: Path,
    path: Path,
    options: BenchmarkOptions | None = None,
) -> int:
    """Write what a chat model is asked, for any program or service to answer.

    Each line has the task, the id of the record, and the messages, or a whole text. The answers,
    with task and id, are scored by `benchmark`.

    Args:
        suite: as for `benchmark`.
        folder: the user's folder of data.
        path: JSON lines to write.
        options: what to ask.

    Returns:
        The number of prompts.

    Raises:
        InputError: files or columns are missing.
        SettingError: an option or the suite is invalid.
        RunError: the file cannot be written.
    """
    options = options or BenchmarkOptions()
    suite = suite if isinstance(suite, Suite) else load_suite(suite)
    tasks = _tasks(suite, folder, options, [])
    input_name = choose_input(suite, options.input)
    data = SuiteData(suite, folder, input_name, tasks)
    question = _question(suite, folder, input_name, options)
    model = open_text_model("")  # It answers nothing, and is never loaded.
    lines: list[str] = []
    for task in tasks:
        loaded = prepare_task(data.load(task), options.settings)
        for fold in loaded.folds:
            method = question.method(task, model)
            predictor = method.fit(fold.train, fold.validation, {task.label: loaded.target})
            assert isinstance(predictor, ChatPredictor), "what a chat method makes"
            prompts = predictor.prompts(fold.test, loaded.target)
            for record, prompt in zip(fold.test, prompts, strict=True):
                if isinstance(prompt, str):
                    continue
                asked = (
                    {"messages": [turn._asdict() for turn in prompt.messages]}
                    if prompt.messages
                    else {"prompt": prompt.text}
                )
                values = {"task": task.name, "id": record.id, **asked}
                lines.append(json.dumps(values, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))
    return len(lines)


def _question(suite: Suite, folder: Path, input_name: str, options: BenchmarkOptions) -> Question:
    prompts = _prompts(suite, folder, options.prompts)
    return Question(suite, input_name, prompts, options.few_shot, options.is_compat)


def _tasks(
    suite: Suite, folder: Path, options: BenchmarkOptions, notes: list[str]
) -> list[BenchmarkTask]:
    """Return the chosen tasks; without a choice, those whose files are there."""
    tasks = select_tasks(suite, options.tasks)
    if options.split is not None:
        if all(task.split is None for task in tasks):
            raise SettingError(
                f"the data of {suite.name} come divided into train and test; leave out --split"
            )
        tasks = [x if x.split is None else x._replace(split=options.split) for x in tasks]
    if options.tasks:
        return tasks
    present = [
        name
        for name in suite.datasets
        if all((folder / path).is_file() for path in dataset_files(suite, name).values())
    ]
    absent = [name for name in suite.datasets if name not in present]
    if present and absent:
        notes.append(
            f"Not measured, since their files are not in {folder.name}: {', '.join(absent)}."
        )
        return [task for task in tasks if task.dataset in present]
    return tasks


def _entries(
    question: Question,
    methods: Sequence[str],
    answers: Sequence[Path],
    options: BenchmarkOptions,
) -> list[Entry]:
    decoding = options.decoding
    if decoding is None:
        decoding = compat.DECODING if options.is_compat else ChatDecoding()
    entries: list[Entry] = [
        ChatEntry(
            open_text_model(name.removeprefix(CHAT_PREFIX), decoding, seed=options.settings.seed),
            question,
        )
        if name.startswith(CHAT_PREFIX)
        else PretrainedEntry(name)
        if is_model(name) and name not in METHODS
        else MethodEntry(name)
        for name in methods
    ]
    entries += [AnswersEntry(path, question) for path in answers]
    check_labels(entries)
    return entries


def _prompts(suite: Suite, folder: Path, source: str) -> ChatPrompts:
    if Path(source).suffix.lower() != ".csv":
        return load_chat_prompts(source)
    return read_compat_prompts(Path(source), suite, folder)


def read_compat_prompts(path: Path, suite: Suite, folder: Path) -> CompatPrompts:
    """Learn LLM4Mat-Bench's prompts from its file.

    Args:
        path: of the file, `mp_inference_prompts_data.csv`.
        suite: with the data set that the prompts are of.
        folder: data folder; a `train.csv` and `test.csv` beside the file come first.

    Raises:
        InputError: it is another file, or belongs to other data.
    """
    if not path.is_file():
        raise InputError(f"no file of prompts {path}")
    names = column_names(path)
    kinds = [(x, shot, f"_{x}_{shot}_shot") for x in suite.inputs for shot in ("zero", "few")]
    columns = [
        (name.removesuffix(end), input_name, shot == "few", name)
        for name in names
        for input_name, shot, end in kinds
        if name.endswith(end)
    ]
    properties = {name for name, *_ in columns}
    dataset = next(
        (x for x, spec in suite.datasets.items() if properties <= set(spec.properties)), ""
    )
    if not columns or not dataset:
        raise InputError(
            f"{path} is not a file of prompts: expected columns such as "
            f"band_gap_{next(iter(suite.inputs))}_zero_shot for the properties of a data set of "
            f"{suite.name}; it has {', '.join(names[:5])}"
        )
    beside = path.parent if (path.parent / "test.csv").is_file() else folder
    tasks = [x for x in select_tasks(suite, [dataset]) if x.label in properties]
    texts: dict[str, list[str]] = {}
    shots: dict[tuple[str, str], list[Shot]] = {}
    for input_name in dict.fromkeys(x for _, x, _, _ in columns):
        tables = SuiteData(suite, beside, input_name, tasks).tables(dataset)
        representation = get_representation(suite.inputs[input_name].representation)
        texts[input_name] = [text_and_problem(x, representation)[0] for x in tables["test"].records]
        complete = [
            x
            for x in tables["train"].records
            if all(is_known(x.labels.get(name)) for name in suite.datasets[dataset].properties)
        ][:FEW_SHOT]
        for name in properties:
            shots[name, input_name] = [
                Shot(text_and_problem(x, representation)[0], x.labels[name]) for x in complete
            ]
    cells = read_columns(path, [name for *_, name in columns])
    return learn_compat_prompts(
        (PromptColumn(name, kind, few, cells[header]) for name, kind, few, header in columns),
        texts,
        shots,
    )


def _results(
    suite: Suite,
    input_name: str,
    entries: Sequence[Entry],
    units: Sequence[Unit],
    errors: Sequence[UnitError],
    options: BenchmarkOptions,
    notes: list[str],
    tasks: Sequence[BenchmarkTask],
) -> BenchmarkResults:
    min_valid = options.min_valid
    if min_valid is None:
        min_valid = compat.MIN_VALID if options.is_compat else 1
    scored_units, scored_tasks, scores = score_units(
        suite, units, is_compat=options.is_compat, min_valid=min_valid
    )
    results = BenchmarkResults(
        suite=suite.name,
        title=suite.title,
        input=input_name,
        compat=compat.COMPAT if options.is_compat else "",
        min_valid=min_valid,
        options=_describe(options),
        methods={entry.label: entry.title for entry in entries},
        datasets={x: suite.datasets[x].title for x in dict.fromkeys(t.dataset for t in tasks)},
        tasks=scored_tasks,
        scores=scores,
        units=scored_units,
        failed=failed_units(errors),
        notes=notes,
        provenance=collect_provenance(),
    )
    return results.model_copy(
        update={"notes": [*notes, *_notes(results, input_name, suite, tasks, options)]}
    )


def _notes(
    results: BenchmarkResults,
    input_name: str,
    suite: Suite,
    tasks: Sequence[BenchmarkTask],
    options: BenchmarkOptions,
) -> list[str]:
    notes = [
        f"{row.task}: {row.n_leaked:,} of {row.n_test:,} test rows "
        f"({row.n_leaked / row.n_test:.1%}) stand in train by {row.by}."
        for row in leak_rows(results)
    ]
    hidden = [x.name for x in tasks if x.spec.cif_leaks]
    tags = ", ".join(dict.fromkeys(tag for x in tasks for tag in x.spec.cif_leaks))
    if hidden and suite.inputs[input_name].representation == "cif":
        listed = ", ".join(hidden)
        notes.append(
            f"CIFs keep {tags}, which states the target of {listed}."
            if options.settings.keeps_leaks
            else f"CIFs lack {tags} where it states the target: {listed}."
        )
    if results.failed:
        notes.append(
            f"Without a result: {format_count(len(results.failed), 'unit')}; see the report."
        )
    return notes


def _describe(options: BenchmarkOptions) -> dict[str, str]:
    settings = options.settings
    decoding = options.decoding or (compat.DECODING if options.is_compat else ChatDecoding())
    described = {
        "seed": str(settings.seed),
        "test records": "all" if settings.n is None else f"the first {settings.n:,} of each fold",
        "few-shot examples of chat models": str(options.few_shot),
        "prompts of chat models": Path(options.prompts).name,
        "decoding of chat models": decoding.describe(),
    }
    if options.split is not None:
        described["split"] = options.split.kind
    return described
