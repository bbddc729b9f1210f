"""The crystals that an evaluation leaves, as files: relaxed where they were relaxed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crystext.errors import InputError, RunError, describe_error
from crystext.evaluate.funnel import passing_indices
from crystext.evaluate.samples import read_samples
from crystext.io.read.parse import Piece, parse_piece
from crystext.io.write import DEFAULT_LAYOUT, Layout, write_crystals
from crystext.metrics.diverse_subset import diverse_subset
from crystext.metrics.matminer.fingerprints import fingerprints
from crystext.runtime.processes import Workers
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal

_ENERGY_COLUMNS = ("e_above_hull_ev_per_atom", "e_form_ev_per_atom")
"""Columns that go into a Parquet table beside the crystals, where they are known."""


def export_crystals(
    step: str,
    source: str | Path,
    report: str | Path,
    out: str | Path,
    n: int | None = None,
    *,
    diverse: int | None = None,
    workers: Workers = 1,
    lenient: bool = False,
    layout: Layout = DEFAULT_LAYOUT,
    note: Callable[[str], None] = lambda message: None,
) -> int:
    """Write the crystals that meet the demand of a step of the funnel; return how many.

    Args:
        step: its name, e.g. `msun`: metastable, unique and novel.
        source: what was evaluated; see `samples`.
        report: folder of the evaluation.
        out: see `write_crystals`.
        n: the first so many attempts were evaluated.
        diverse: writes at most so many, the least alike; see `diverse_subset`.
        workers: of fingerprints, where `diverse` needs them.
        lenient: whether it was evaluated so; see `read_crystals`.
        layout: the cell that is written, and whether CIFs have operations of symmetry.
        note: is told of each crystal in which no symmetry is found; see `write_crystals`.

    Raises:
        SettingError: there is no such step, or the suffix of `out` means no format.
        UnavailableError: it asks for what was not measured.
        InputError: no crystal meets the demand.
        RunError: the folder holds no evaluation of so many attempts, or `out` cannot be written.
    """
    import pyarrow.parquet as pq

    table = Path(report) / "structures.parquet"
    try:
        columns = pq.read_table(table).to_pydict()
    except OSError as error:
        raise RunError(
            f"{table} cannot be read: {describe_error(error, 'it is broken')}; evaluate first"
        ) from None
    attempts = read_samples(source, n, lenient=lenient).samples
    if len(attempts) != len(columns["index"]):
        raise RunError(
            f"{table} holds {format_count(len(columns['index']), 'attempt')}, and {source} has "
            f"{len(attempts):,}; evaluate it again"
        )
    # What is no crystal was drawn, too.
    chosen = [i for i in passing_indices(step, columns) if attempts[i].crystal is not None]
    if not chosen:
        raise InputError(
            f"of {format_count(len(attempts), 'attempt')} none is {step}; nothing is written"
        )
    relaxed = columns.get("relaxed_cif", [None] * len(attempts))
    crystals = []
    for i in chosen:
        crystal = attempts[i].crystal if relaxed[i] is None else _parse_cif(relaxed[i])
        assert crystal is not None
        crystals.append((attempts[i].name, crystal))
    if diverse is not None:
        places = diverse_subset(fingerprints([c for _, c in crystals], workers=workers), diverse)
        chosen = [chosen[place] for place in places]
        crystals = [crystals[place] for place in places]
    told = {name: [columns[name][i] for i in chosen] for name in _ENERGY_COLUMNS if name in columns}
    return write_crystals(crystals, out, columns=told, layout=layout, note=note)


def _parse_cif(text: str) -> Crystal | None:
    """Read a crystal that was written here."""
    return parse_piece(Piece("", "cif", text))[0].crystal
