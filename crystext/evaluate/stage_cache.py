"""The results of stages on disk: one file per stage, written completely or not at all.

The file is Parquet: the columns with their rows, and in the schema's metadata the metrics and the
key of their inputs. A result with another key counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from crystext.evaluate.report import Histogram, LabelCounts, MetricValue, ReportTable
from crystext.evaluate.stage_result import StageResult
from crystext.runtime.files import write_parquet

_METADATA_KEY = b"crystext"


@dataclass(frozen=True)
class CachedStage:
    """The result of a stage that was completed."""

    result: StageResult
    seconds: float


class _CacheMetadata(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cache_key: str
    seconds: float
    note: str
    metrics: list[MetricValue]
    histograms: list[Histogram]
    counts: list[LabelCounts]
    tables: list[ReportTable] = []


def write_stage(path: Path, cache_key: str, cached: CachedStage, rows: int) -> None:
    """Write a result; a reader sees all of it or none."""
    result = cached.result
    about = _CacheMetadata(
        cache_key=cache_key,
        seconds=round(cached.seconds, 1),
        note=result.note,
        metrics=result.metrics,
        histograms=result.histograms,
        counts=result.label_counts,
        tables=result.tables,
    )
    table = to_table({"index": range(rows), **result.columns})
    metadata = {_METADATA_KEY: about.model_dump_json().encode()}
    write_parquet(path, table.replace_schema_metadata(metadata))


def read_stage(path: Path, stage: str, cache_key: str) -> CachedStage | None:
    """Return the result with exactly this key; None if there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        about = _CacheMetadata.model_validate_json((table.schema.metadata or {})[_METADATA_KEY])
    except (OSError, KeyError, ValidationError, pa.ArrowException):
        # Missing, incomplete, or of another version: measured again.
        return None
    if about.cache_key != cache_key:
        return None
    columns = {name: table[name].to_pylist() for name in table.column_names if name != "index"}
    result = StageResult(
        stage,
        columns,
        about.metrics,
        about.histograms,
        about.counts,
        about.tables,
        about.note,
    )
    return CachedStage(result, about.seconds)


def to_table(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return an Arrow table; nan becomes null."""
    import pyarrow as pa

    return pa.table({n: pa.array(list(v), from_pandas=True) for n, v in columns.items()})
