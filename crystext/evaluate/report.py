"""The report of an evaluation: the schema of `report.json`.

Numbers with their sources, without crystals: these are in `structures.parquet` beside it, one row
per sample. Proportions lie between 0 and 1; `low` and `high` are the ends of 95% intervals.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from crystext.errors import InputError
from crystext.generation.selection import SelectionSummary
from crystext.metrics.base import Better
from crystext.runtime.provenance import Provenance

FORMAT: Final = 3
"""Written into reports; incremented when older code cannot read them.

1 lists no deviations from the protocol; 1 and 2 have other names, which `read_report` translates.
"""

StageState = Literal["done", "unavailable"]
"""`unavailable`: something it needs is missing, or no sample is left for it; the note says what."""

LabelKind = Literal["text", "element", "formula", "space_group"]
"""The kind of labels, which decides how a page shows them."""


def _replace_invalid_bytes(text: str) -> str:
    # File names may hold bytes that are not text, which a report cannot hold.
    return text.encode("utf-8", "replace").decode("utf-8")


Utf8Text = Annotated[str, AfterValidator(_replace_invalid_bytes)]


class _ReportPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FunnelStep(_ReportPart):
    """A step of the funnel: the samples that meet its criterion and those before it."""

    name: str
    title: str
    count: int
    total: int
    """Number of samples considered, failures included: all, unless only a part has energies."""
    proportion: float
    low: float
    high: float
    unique_formulas: int
    """Number of different reduced formulas among those counted."""


class MetricValue(_ReportPart):
    """A number about all samples."""

    stage: str
    name: str
    """Unique within its stage."""
    title: str
    value: float | None
    """None where it is not defined, such as a mean of nothing."""
    low: float | None = None
    high: float | None = None
    total: int | None = None
    """What a proportion divides by, or the number of values in a mean."""
    unit: str = ""
    """Empty for proportions and other pure numbers."""
    better: Better | None = None
    source: str = ""
    """Paper of the definition; empty for our own."""
    note: str = ""


class Histogram(_ReportPart):
    """How often a quantity lies between two edges, among the samples and in the reference."""

    stage: str
    name: str
    title: str
    unit: str
    edges: list[float]
    """One more than there are counts; values outside count with the first or the last."""
    counts: list[int]
    reference_counts: list[int] | None = None
    """None where there is no reference."""


class LabelCounts(_ReportPart):
    """How often each of some labels occurs, such as elements or space groups."""

    stage: str
    name: str
    title: str
    labels: list[Utf8Text]
    counts: list[int]
    reference_counts: list[int] | None = None
    total: int | None = None
    """What a count is divided by for its proportion; None for the sum of all counts."""
    reference_total: int | None = None
    kind: LabelKind = "text"


class ReportTable(_ReportPart):
    """Rows of words and numbers."""

    stage: str
    name: str
    """Unique within its stage."""
    title: str
    header: list[str]
    """Titles of the columns; that of the first is often empty."""
    rows: list[list[Utf8Text | int | float | None]]


class StageStatus(_ReportPart):
    """Whether a stage was measured."""

    state: StageState
    seconds: float
    """Its time when it was computed, in this run or in an earlier one."""
    note: Utf8Text = ""


class InputSummary(_ReportPart):
    """What was evaluated."""

    path: Utf8Text
    """Last component of the path."""
    kind: str
    """`run` for a run directory, else `file` or `folder`."""
    samples: int
    """All samples, failures included."""
    parsed: int
    """Those that are crystals."""
    with_notes: int = 0
    """Crystals that were read with a note on what is only probable about them."""
    sha256: str
    selection: SelectionSummary | None = None
    """What was chosen of how many samples of the run; None if these are all of them."""

    @property
    def selection_title(self) -> str | None:
        """What the samples are, if they were chosen: `the best 1,000 of 3,000 samples by ...`."""
        return None if self.selection is None else self.selection.title_of(self.samples)

    @property
    def title(self) -> str:
        """The name, and for chosen samples what they are."""
        return self.path if self.selection is None else f"{self.path}: {self.selection_title}"


class ReferenceSetSummary(_ReportPart):
    """A set of crystals that the samples were compared with."""

    title: Utf8Text
    crystals: int
    sha256: str


class ProtocolDeviation(_ReportPart):
    """Something used in place of what the protocol names."""

    what: str
    """`protocol`, `selection`, `reference`, `training`, or a name of a stage
    (`Stage.affected_by`)."""
    text: Utf8Text
    """For display: what, in place of what."""


class Report(_ReportPart):
    """An evaluation."""

    format: Literal[3] = FORMAT
    protocol: str
    """Name of the protocol."""
    protocol_title: str
    protocol_deviations: list[ProtocolDeviation] = []
    input: InputSummary
    provenance: Provenance
    reference_sets: dict[str, ReferenceSetSummary]
    """By their roles: `reference`, `training`, `targets`."""
    funnel: list[FunnelStep]
    metrics: list[MetricValue]
    histograms: list[Histogram]
    counts: list[LabelCounts]
    tables: list[ReportTable] = []
    stages: dict[str, StageStatus]

    def metric(self, stage: str, name: str) -> MetricValue | None:
        """Return a metric by its stage and name; None where there is none."""
        return next((m for m in self.metrics if (m.stage, m.name) == (stage, name)), None)

    def step(self, name: str) -> FunnelStep | None:
        """Return a step of the funnel; None where there is none."""
        return next((step for step in self.funnel if step.name == name), None)


def read_report(path: Path) -> Report:
    """Read `report.json`, of this format or an earlier one.

    Raises:
        InputError: it is missing, or not such a report.
    """
    try:
        return Report.model_validate(_renamed(json.loads(path.read_bytes())))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    except ValueError:
        problem = "it is not JSON"
    raise InputError(
        f"{path} is not a report of `crystext evaluate` of format {FORMAT} or earlier: {problem}. "
        "Make it again with this version"
    )


_RENAMED: dict[str, dict[str, str]] = {
    "": {
        "departures": "protocol_deviations",
        "made": "provenance",
        "sets": "reference_sets",
        "figures": "metrics",
        "shares": "counts",
    },
    "input": {"attempts": "samples", "noted": "with_notes"},
    "funnel": {"share": "proportion", "of": "total"},
    "metrics": {"of": "total"},
    "counts": {"of": "total", "reference_of": "reference_total"},
}
"""Names of formats 1 and 2 and the present ones: of the report, and of its parts."""

_KINDS: dict[str, LabelKind] = {
    "elements": "element",
    "formulas": "formula",
    "space_groups": "space_group",
}
"""Kinds of labels in formats 1 and 2, by the names of the counts."""


def _renamed(report: Any) -> Any:
    """Return a report of format 1 or 2 with the present names."""
    if not isinstance(report, dict) or report.get("format") not in (1, 2):
        return report

    def rename(part: Any, section: str) -> Any:
        if isinstance(part, list):
            return [rename(item, section) for item in part]
        if not isinstance(part, dict):
            return part
        return {_RENAMED[section].get(name, name): value for name, value in part.items()}

    renamed: dict[str, Any] = rename(report, "")
    for section in _RENAMED:
        if section in renamed:
            renamed[section] = rename(renamed[section], section)
    for counts in renamed.get("counts", ()):
        if isinstance(counts, dict):
            counts.setdefault("kind", _KINDS.get(str(counts.get("name")), "text"))
    return renamed | {"format": FORMAT}
