"""The report of an evaluation: the schema of `report.json`.

Numbers and where they are from, and no crystals: these are in `structures.parquet` beside it, one
row per attempt. Shares lie between 0 and 1; `low` and `high` are the ends of 95% intervals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from crystext.errors import InputError
from crystext.runtime.provenance import Provenance

FORMAT: Final = 2
"""Written into reports; raised when older code could not read them. 1 tells no departures."""

Better = Literal["higher", "lower"]

StageState = Literal["done", "unavailable"]
"""`unavailable`: something it needs is not there, or no attempt is left for it; the note says
what."""


def _replace_invalid_bytes(text: str) -> str:
    # Names of files may hold bytes that are no text; a report could not be written with them.
    return text.encode("utf-8", "replace").decode("utf-8")


Utf8Text = Annotated[str, AfterValidator(_replace_invalid_bytes)]


class _ReportPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FunnelStep(_ReportPart):
    """A step of the funnel: the attempts that meet a demand, and those before it."""

    name: str
    title: str
    count: int
    of: int
    """Attempts that were judged, failed ones included: all, but for energies of a part of them."""
    share: float
    low: float
    high: float
    unique_formulas: int
    """Different reduced formulas among those counted."""


class MetricValue(_ReportPart):
    """A number about all attempts."""

    stage: str
    name: str
    """Unique within its stage."""
    title: str
    value: float | None
    """None where it is not defined, such as a mean of nothing."""
    low: float | None = None
    high: float | None = None
    of: int | None = None
    """What a share divides by, or the number of values in a mean."""
    unit: str = ""
    """Empty for shares and other pure numbers."""
    better: Better | None = None
    source: str = ""
    """Where the definition is from."""
    note: str = ""


class Histogram(_ReportPart):
    """How often a quantity lies between two edges, among what was drawn and in the reference."""

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
    of: int | None = None
    """What a count is divided by for its share; None for the sum of all counts."""
    reference_of: int | None = None


class StageStatus(_ReportPart):
    """What became of a stage."""

    state: StageState
    seconds: float
    """That it took when it was computed, in this run or in an earlier one."""
    note: Utf8Text = ""


class InputSummary(_ReportPart):
    """What was evaluated."""

    path: Utf8Text
    """The last part of the path."""
    kind: str
    """`run` for a run directory, else `file` or `folder`."""
    attempts: int
    parsed: int
    noted: int = 0
    """Crystals that were read with a note on what is only probable about them."""
    sha256: str


class ReferenceSetSummary(_ReportPart):
    """A set of crystals that was compared with."""

    title: Utf8Text
    crystals: int
    sha256: str


class ProtocolDeviation(_ReportPart):
    """Something that was taken in place of what the protocol names."""

    what: Literal["protocol", "reference", "training", "potential", "hull", "relaxed"]
    text: Utf8Text
    """For people: what, in place of what."""


class Report(_ReportPart):
    """An evaluation."""

    format: Literal[1, 2] = FORMAT
    protocol: str
    """Name of the protocol."""
    protocol_title: str
    departures: list[ProtocolDeviation] = []
    input: InputSummary
    made: Provenance
    sets: dict[str, ReferenceSetSummary]
    """By what they are to this evaluation: `reference`, `training`, `targets`."""
    funnel: list[FunnelStep]
    figures: list[MetricValue]
    histograms: list[Histogram]
    shares: list[LabelCounts]
    stages: dict[str, StageStatus]

    def metric(self, stage: str, name: str) -> MetricValue | None:
        """Return a figure by its stage and name; None where there is none."""
        return next((f for f in self.figures if (f.stage, f.name) == (stage, name)), None)

    def step(self, name: str) -> FunnelStep | None:
        """Return a step of the funnel; None where there is none."""
        return next((step for step in self.funnel if step.name == name), None)


def read_report(path: Path) -> Report:
    """Read `report.json`.

    Raises:
        InputError: it is missing, or no such report.
    """
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"{path} is no report of `crystext evaluate` of format {FORMAT}: {place}: "
            f"{first['msg']}. Make it again with this version"
        ) from None
