"""Published values for comparison: `evaluation/reference/*.yaml`.

A file is a table: systems that one source measured in the same way, so that its numbers can be
compared with each other. The denominator of each column tells whether they can be compared with a
report's. Each number has its paper and location.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    HttpUrl,
    ValidationError,
    model_validator,
)

from crystext.errors import SettingError, did_you_mean
from crystext.evaluate.report import MetricValue, Report
from crystext.metrics.base import Better
from crystext.runtime.schema import StrictModel, read_yaml, setting_faults
from crystext.runtime.shipped_files import shipped_path


def _check_not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


NonEmptyText = Annotated[str, AfterValidator(_check_not_empty)]


class PublishedColumn(StrictModel):
    """A quantity that a table gives for its systems."""

    title: NonEmptyText
    ours: NonEmptyText | None = None
    """Where a report has the same quantity: `STAGE.NAME`; `funnel.STEP` for a proportion of the
    funnel, or `formulas.STEP` for that of different formulas; None if nowhere."""
    of: NonEmptyText
    """The denominator, or what was compared."""
    share: bool = False
    """Whether it is a proportion, between 0 and 1."""
    unit: str = ""
    better: Better | None = None
    note: str = ""


class PublishedRow(StrictModel):
    """A system with its published values."""

    system: NonEmptyText
    values: dict[str, float] = Field(min_length=1)
    """By the names of the table's columns."""
    paper: NonEmptyText | None = None
    """Given if it differs from the table's."""
    address: HttpUrl | None = None
    table: NonEmptyText | None = None
    note: str = ""


class PublishedTable(StrictModel):
    """Systems that one source measured in the same way."""

    title: NonEmptyText
    paper: NonEmptyText
    address: HttpUrl
    table: NonEmptyText
    """Location of the numbers in the paper."""
    data: NonEmptyText
    """Data set of training or comparison."""
    protocols: list[NonEmptyText] = Field(min_length=1)
    """Protocols whose reports show the rows."""
    note: str = ""
    columns: dict[str, PublishedColumn] = Field(min_length=1)
    rows: list[PublishedRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_fit_columns(self) -> Self:
        faults = []
        for row in self.rows:
            for name, value in row.values.items():
                column = self.columns.get(name)
                if column is None:
                    near = did_you_mean(name, self.columns)
                    faults.append(f"{row.system}: there is no column {name!r}.{near}")
                elif column.share and not 0 <= value <= 1:
                    faults.append(
                        f"{row.system}: {name} is a proportion, found {value:g}; write .498"
                    )
        faults += [
            f"no row has a value for the column {name!r}"
            for name in self.columns
            if not any(name in row.values for row in self.rows)
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self


def read_published_table(path: Path) -> PublishedTable:
    """Read a table.

    Raises:
        SettingError: with every error of the file.
    """
    values = read_yaml(path)
    try:
        return PublishedTable.model_validate(values)
    except ValidationError as error:
        raise SettingError(
            f"{path} has errors:\n  " + "\n  ".join(setting_faults(error, PublishedTable))
        ) from None


def published_tables(protocol: str, folder: Path | None = None) -> list[PublishedTable]:
    """Return the tables for reports of a protocol, in the order of the names of their files.

    Args:
        protocol: its name; a protocol without tables gives none.
        folder: folder of the tables; by default the shipped ones.

    Raises:
        SettingError: a table is invalid.
    """
    folder = folder or shipped_path("evaluation", "reference")
    blocks = [read_published_table(path) for path in sorted(folder.glob("*.yaml"))]
    return [block for block in blocks if protocol in block.protocols]


def metric_for_column(report: Report, column: PublishedColumn) -> MetricValue | None:
    """Return the metric of a report that corresponds to a column; None if it was not measured."""
    stage, _, name = (column.ours or "").partition(".")
    if stage not in ("funnel", "formulas"):
        return report.metric(stage, name)
    step = report.step(name)
    if step is None:
        return None
    found = MetricValue(
        stage=stage, name=name, title=step.title, value=step.proportion, total=step.total
    )
    if stage == "formulas":
        title = f"different formulas, {step.title}"
        return found.model_copy(update={"title": title, "value": step.unique_formulas / step.total})
    return found.model_copy(update={"low": step.low, "high": step.high})
