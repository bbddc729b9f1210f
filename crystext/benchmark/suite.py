"""Suites: YAML files that define a benchmark's data sets, properties, inputs, split and metrics.

    title: Band gaps of my group
    inputs:
      formula: {representation: formula, columns: [composition]}
    files: {table: "{dataset}.csv"}
    split: {kind: formula_folds}
    datasets:
      gaps:
        title: measured gaps
        properties:
          gap: {title: band gap, unit: eV}

`crystext benchmark` takes the name of a shipped suite or the path of such a file; the folder of the
data is the user's. Files that already have a training, validation and test part name them instead
of a table, and need no split. Every error of a file is reported at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, HttpUrl, model_validator

from crystext.errors import SettingError, did_you_mean
from crystext.runtime.files import json_digest
from crystext.runtime.named_settings import SettingsFiles, check_settings
from crystext.runtime.schema import StrictModel
from crystext.structures.property_schema import Property
from crystext.tasks.representations import get_representation

SplitKind = Literal["matbench", "random_folds", "formula_folds", "random", "scaffold"]
"""`matbench`: its five folds of shuffled rows. `random_folds` and `formula_folds`: k folds, the
latter with all rows of a composition in one fold. `random` and `scaffold`: one split into three,
the latter with all molecules of a scaffold in one part."""

Name = Annotated[str, Field(min_length=1, pattern=r"^[^/\\:]+$")]


class InputSpec(StrictModel):
    """A type of input: the representation it has here, and its columns in the tables."""

    representation: str
    columns: list[str] = Field(min_length=1)
    """The first that a table has is read."""

    @model_validator(mode="after")
    def _representation_exists(self) -> Self:
        try:
            get_representation(self.representation)
        except SettingError as error:
            raise ValueError(str(error)) from None
        return self


class FileSpec(StrictModel):
    """Files of a data set below the data folder; `{dataset}` stands for its name."""

    table: str | None = None
    """One table, which the suite's split divides."""
    train: str | None = None
    validation: str | None = None
    test: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        parts = (self.train, self.test)
        if (self.table is None) == (parts == (None, None)) or (
            self.table is None and None in parts
        ):
            raise ValueError("expected either table, or train and test (and perhaps validation)")
        return self


class SplitSpec(StrictModel):
    """How a table is divided."""

    kind: SplitKind
    folds: int = Field(default=5, ge=2, le=100)
    """Of `random_folds` and `formula_folds`."""
    seed: int = Field(default=0, ge=0)
    """matbench's folds have a seed of their own."""
    test: float = Field(default=0.1, gt=0, lt=1)
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Proportions of a split into three; folds have no validation part."""

    @model_validator(mode="after")
    def _something_is_left_to_train(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError(
                f"test and validation take {self.test + self.validation:g} of the rows; expected "
                "less than 1"
            )
        return self


class AnswerWords(StrictModel):
    """Parts of answers that `--compat llm4mat` reads as yes or no."""

    positive: list[str] = Field(min_length=1)
    negative: list[str] = Field(min_length=1)


class PropertySpec(StrictModel):
    """A property of a data set: one task."""

    title: str
    unit: str = ""
    kind: Literal["number", "boolean"] = "number"
    column: str | None = None
    """Its column, if that has another name."""
    cif_leaks: list[str] = Field(default_factory=list)
    """Tags of a CIF that state the property; their lines are left out of inputs."""
    answer_words: AnswerWords | None = None
    split: SplitSpec | None = None
    """Given if it differs from the suite's."""


class DatasetSpec(StrictModel):
    """A data set with its properties."""

    title: str
    files: FileSpec | None = None
    """Given if they differ from the suite's."""
    split: SplitSpec | None = None
    properties: dict[Name, PropertySpec] = Field(min_length=1)
    """By name, which is the column unless that is given."""
    note: str = ""


class Metrics(StrictModel):
    """The metric that a data set's score is averaged over, for each kind of property."""

    number: Literal["mad_over_mae", "mae", "rmse", "r2", "spearman"] = "mad_over_mae"
    boolean: Literal["roc_auc", "roc_auc_hard"] = "roc_auc"


class Suite(StrictModel):
    """A benchmark."""

    name: str = ""
    """Set by `load_suite`: the name of its file."""
    title: str
    paper: str = ""
    address: HttpUrl | None = None
    note: str = ""
    inputs: dict[Name, InputSpec] = Field(min_length=1)
    """The first is the default."""
    id: list[str] = Field(default_factory=list)
    """Columns of identifiers; the first that a table has is read."""
    files: FileSpec
    split: SplitSpec | None = None
    metrics: Metrics = Metrics()
    datasets: dict[Name, DatasetSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _tables_have_a_split(self) -> Self:
        lacking = [
            name
            for name, dataset in self.datasets.items()
            if (dataset.files or self.files).table is not None
            and (dataset.split or self.split) is None
        ]
        if lacking:
            raise ValueError(f"{', '.join(lacking)}: a single table needs a split")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the contents, without the name of the file."""
        return json_digest(self.model_dump(mode="json", exclude={"name"}))


class BenchmarkTask(NamedTuple):
    """A task of a suite: to predict one property of one data set."""

    dataset: str
    label: str
    """Name of the property, as records' labels have it."""
    spec: PropertySpec
    split: SplitSpec | None
    """None if the data set comes divided."""

    @property
    def name(self) -> str:
        """`DATASET/PROPERTY`, as on the command line and in results."""
        return f"{self.dataset}/{self.label}"

    def target(self) -> Property:
        """Return the property, as methods take it."""
        columns = () if self.spec.column is None else (self.spec.column,)
        spec = self.spec
        return Property(self.label, spec.title, unit=spec.unit, kind=spec.kind, columns=columns)


_FILES = SettingsFiles("suite", ("evaluation", "suites"), "title, inputs, files and datasets")


def suite_names() -> tuple[str, ...]:
    """Return the names of the shipped suites."""
    return _FILES.names()


def load_suite(source: str | Path) -> Suite:
    """Return a suite.

    Args:
        source: the name of a shipped one, or the path of a YAML file.

    Raises:
        SettingError: it does not exist, or has errors; the message lists all of them.
    """
    path, document = _FILES.read(source)
    return check_settings(Suite, {**document, "name": path.stem}, str(path))


def select_tasks(suite: Suite, names: Sequence[str] = ()) -> list[BenchmarkTask]:
    """Return tasks in the order of the suite.

    Args:
        suite: the benchmark.
        names: data sets (`mp`) or tasks (`mp/band_gap`); none is all.

    Raises:
        SettingError: there is no such task.
    """
    tasks = list(_tasks(suite))
    known = [*suite.datasets, *(task.name for task in tasks)]
    for name in names:
        if name not in known:
            by_property = [task.name for task in tasks if task.label == name]
            near = (
                f" Did you mean {by_property[0]!r}?" if by_property else did_you_mean(name, known)
            )
            raise SettingError(
                f"the suite {suite.name} has no task {name!r}; it has the data sets "
                f"{', '.join(suite.datasets)}, and tasks such as {tasks[0].name}.{near}"
            )
    return [task for task in tasks if not names or task.name in names or task.dataset in names]


def choose_input(suite: Suite, name: str | None) -> str:
    """Return the name of an input type; None is the suite's first.

    Raises:
        SettingError: the suite has no such input.
    """
    if name is None:
        return next(iter(suite.inputs))
    if name in suite.inputs:
        return name
    same = [x for x, spec in suite.inputs.items() if spec.representation == name]
    if same:
        return same[0]
    raise SettingError(
        f"the suite {suite.name} has no input {name!r}; it has {', '.join(suite.inputs)}."
        + did_you_mean(name, suite.inputs)
    )


def dataset_files(suite: Suite, dataset: str) -> Mapping[str, str]:
    """Return the files of a data set by part (`table`, or `train`, `validation` and `test`)."""
    files = suite.datasets[dataset].files or suite.files
    return {
        part: pattern.replace("{dataset}", dataset)
        for part, pattern in files.model_dump().items()
        if pattern is not None
    }


def _tasks(suite: Suite) -> Iterator[BenchmarkTask]:
    for name, dataset in suite.datasets.items():
        is_divided = (dataset.files or suite.files).table is None
        for column, spec in dataset.properties.items():
            split = None if is_divided else spec.split or dataset.split or suite.split
            yield BenchmarkTask(name, column, spec, split)
