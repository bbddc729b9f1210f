"""What a stage found, on disk: one file a stage, written as a whole or not at all.

The file is Parquet: the columns with their rows, and in the schema's metadata the figures and the
identity of what they were made from. Findings with another identity count as not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from crystext.evaluate.report import Histogram, LabelCounts, MetricValue
from crystext.evaluate.stage_result import StageResult

_METADATA_KEY = b"crystext"


@dataclass(frozen=True)
class CachedStage:
    """The findings of a stage that was completed."""

    result: StageResult
    seconds: float


class _CacheMetadata(BaseModel):
    model_config = ConfigDict(extra="forbid")

    identity: str
    seconds: float
    note: str
    figures: list[MetricValue]
    histograms: list[Histogram]
    shares: list[LabelCounts]


def make_cache_key(parts: Mapping[str, Any]) -> str:
    """Return the digest of JSON values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_stage(path: Path, cache_key: str, cached: CachedStage, rows: int) -> None:
    """Write findings; whoever reads sees all of them or none."""
    import pyarrow as pa

    found = cached.result
    about = _CacheMetadata(
        identity=cache_key,
        seconds=round(cached.seconds, 1),
        note=found.note,
        figures=found.metrics,
        histograms=found.histograms,
        shares=found.label_counts,
    )
    table = to_table({"index": range(rows), **found.columns})
    metadata = {_METADATA_KEY: about.model_dump_json().encode()}
    write_table(path, table.replace_schema_metadata(metadata))
    assert isinstance(table, pa.Table)


def read_stage(path: Path, stage: str, cache_key: str) -> CachedStage | None:
    """Return findings; None where there are none that were made from just this."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        about = _CacheMetadata.model_validate_json((table.schema.metadata or {})[_METADATA_KEY])
    except (OSError, KeyError, ValidationError, pa.ArrowException):
        # Missing, torn, or by another version: measured again.
        return None
    if about.identity != cache_key:
        return None
    columns = {name: table[name].to_pylist() for name in table.column_names if name != "index"}
    findings = StageResult(
        stage, columns, about.figures, about.histograms, about.shares, about.note
    )
    return CachedStage(findings, about.seconds)


def to_table(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return an Arrow table; what is not a number becomes null."""
    import pyarrow as pa

    return pa.table({n: pa.array(list(v), from_pandas=True) for n, v in columns.items()})


def write_table(path: Path, table: Any) -> None:
    """Write a Parquet file as a whole."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    pq.write_table(table, partial)
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
