"""Export crystals that pass a step of the funnel to files, relaxed if a relaxation ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crystext.errors import InputError, RunError, describe_error
from crystext.evaluate.funnel import passing_indices
from crystext.evaluate.samples import read_samples
from crystext.evaluate.stages.registry import loadable_stages
from crystext.io.read.parse import Piece, parse_piece
from crystext.io.write import DEFAULT_LAYOUT, Layout, write_crystals
from crystext.metrics.diverse_subset import diverse_subset
from crystext.metrics.matminer.fingerprints import fingerprints
from crystext.runtime.processes import Workers
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record


class Ranking(NamedTuple):
    """An order of crystals by a predicted value."""

    column: str
    """Name of the values in what is written."""
    order: Sequence[int]
    """Indices of the crystals, the best first."""
    values: Sequence[float]
    """Of each crystal, in their own order; nan without a prediction."""


Rank = Callable[[Sequence[Record]], Ranking]


def export_crystals(
    step: str,
    source: str | Path,
    report: str | Path,
    out: str | Path,
    n: int | None = None,
    *,
    diverse: int | None = None,
    rank: Rank | None = None,
    workers: Workers = 1,
    lenient: bool = False,
    all_attempts: bool = False,
    layout: Layout = DEFAULT_LAYOUT,
    note: Callable[[str], None] = lambda message: None,
) -> int:
    """Write the crystals that meet the criterion of a step of the funnel; return how many.

    Args:
        step: its name, e.g. `msun`: metastable, unique and novel.
        source: what was evaluated; see `samples`.
        report: folder of the evaluation.
        out: see `write_crystals`.
        n: number of samples evaluated, from the first.
        diverse: writes at most this many, the most diverse; see `diverse_subset`.
        rank: puts what is written in an order, and gives it the column by which it is ranked.
        workers: number of processes for fingerprints, if `diverse` needs them.
        lenient, all_attempts: how the samples were read; see `read_samples`.
        layout: the cell that is written, and whether CIFs have symmetry operations.
        note: called for each crystal without symmetry; see `write_crystals`.

    Raises:
        SettingError: the step does not exist, or the suffix of `out` is unknown.
        UnavailableError: it needs a column that was not measured.
        InputError: no crystal meets the criterion.
        RunError: the folder holds no evaluation of this many samples, or `out` cannot be written.
    """
    table = Path(report) / "structures.parquet"
    columns = _read_columns(table)
    samples = read_samples(source, n, lenient=lenient, all_attempts=all_attempts).samples
    if len(samples) != len(columns["index"]):
        raise RunError(
            f"{table} holds {format_count(len(columns['index']), 'sample')}, and {source} has "
            f"{len(samples):,}; evaluate it again"
        )
    chosen = _passing(step, samples, columns)
    crystals = _relaxed_or_sampled(samples, chosen, columns)
    selected: Sequence[int] = range(len(crystals))
    if diverse is not None:
        selected = diverse_subset(fingerprints([c for _, c in crystals], workers=workers), diverse)
    ranked: dict[str, list[float]] = {}
    if rank is not None:
        selected, ranked = _ranked(crystals, selected, rank)
    measured = {
        name: [columns[name][chosen[k]] for k in selected]
        for stage in loadable_stages()
        for name in stage.export_columns
        if name in columns
    }
    crystals = [crystals[k] for k in selected]
    return write_crystals(crystals, out, columns=measured | ranked, layout=layout, note=note)


def _passing(
    step: str, samples: Sequence[Record], columns: Mapping[str, Sequence[Any]]
) -> list[int]:
    # Failures are among the samples of the first step.
    chosen = [i for i in passing_indices(step, columns) if samples[i].crystal is not None]
    if not chosen:
        raise InputError(
            f"of {format_count(len(samples), 'sample')} none is {step}, so nothing is written"
        )
    return chosen


def _ranked(
    crystals: Sequence[tuple[str, Crystal]], selected: Sequence[int], rank: Rank
) -> tuple[list[int], dict[str, list[float]]]:
    """Return the indices of crystals in order, and the column of what they are ranked by."""
    ranking = rank([Record(crystals[k][1], name=crystals[k][0]) for k in selected])
    values = [ranking.values[k] for k in ranking.order]
    return [selected[k] for k in ranking.order], {ranking.column: values}


def _read_columns(table: Path) -> dict[str, list[Any]]:
    """Return the columns of `structures.parquet`: a value per sample, by name."""
    import pyarrow.parquet as pq

    try:
        columns: dict[str, list[Any]] = pq.read_table(table).to_pydict()
    except OSError as error:
        raise RunError(
            f"{table} cannot be read: {describe_error(error, 'it is broken')}; evaluate first"
        ) from None
    return columns


def _relaxed_or_sampled(
    samples: Sequence[Record], chosen: Sequence[int], columns: Mapping[str, Sequence[Any]]
) -> list[tuple[str, Crystal]]:
    """Return name and crystal of each chosen sample: the relaxed one, where a relaxation ran."""
    relaxed = columns.get("relaxed_cif", [None] * len(samples))
    crystals = []
    for i in chosen:
        crystal = samples[i].crystal
        if relaxed[i] is not None:
            crystal = parse_piece(Piece("", "cif", relaxed[i]))[0].crystal
        assert crystal is not None
        crystals.append((samples[i].name, crystal))
    return crystals
