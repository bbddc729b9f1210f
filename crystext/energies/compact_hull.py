"""The compact file of a hull: compounds as small integers and float32, references in the metadata.

    elements            list<uint8>     atomic numbers, ascending
    counts              list<uint16>    of the elements, without a common divisor
    e_form_ev_per_atom  float32         formation energy
    height_only         uint8           1 where the energy is the height of the hull at the
                                        composition of a phase above it (`phases.Compounds`)

The metadata of the Parquet file hold name, date, error, sources, and the energy per atom of each
elemental reference. Rows are sorted by chemical system, so that they compress well.
`evaluation/shipped_model/build_mp2020_hull.py` writes the file that comes with the package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crystext.energies.hull import Hull
from crystext.energies.phases import Compounds
from crystext.errors import InputError
from crystext.runtime.files import write_parquet

_COLUMNS = ("elements", "counts", "e_form_ev_per_atom", "height_only")
_METADATA_KEY = b"crystext.compact_hull"


def write_compact_hull(hull: Hull, out: Path) -> None:
    """Write a hull to a Parquet file, whole or not at all.

    Args:
        hull: its compounds' amounts are whole numbers.
        out: the file.
    """
    import pyarrow as pa

    found = hull.compounds
    entries = [
        slice(start, end) for start, end in zip(found.starts[:-1], found.starts[1:], strict=True)
    ]
    elements = [found.elements[span].tolist() for span in entries]
    counts = [_reduced_counts(found.amounts[span]) for span in entries]
    order = sorted(range(len(found)), key=lambda i: (elements[i], counts[i]))
    about = {
        "name": hull.name,
        "date": hull.date,
        "potential": hull.potential,
        "error_ev_per_atom": hull.error,
        "sources": list(hull.sources),
        "references_ev_per_atom": dict(hull.references),
    }
    table = pa.table(
        {
            "elements": pa.array([elements[i] for i in order], pa.list_(pa.uint8())),
            "counts": pa.array([counts[i] for i in order], pa.list_(pa.uint16())),
            "e_form_ev_per_atom": pa.array(found.energies[order].astype(np.float32)),
            "height_only": pa.array(found.height_only[order].astype(np.uint8)),
        }
    ).replace_schema_metadata({_METADATA_KEY: json.dumps(about).encode()})
    write_parquet(
        out,
        table,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding={"e_form_ev_per_atom": "BYTE_STREAM_SPLIT"},
    )


def is_compact_hull(path: Path) -> bool:
    """Return whether a file is a hull that `write_compact_hull` wrote."""
    import pyarrow.parquet as pq

    try:
        return _METADATA_KEY in (pq.read_schema(path).metadata or {})
    except (OSError, ValueError):
        return False


def read_compact_hull(path: Path) -> Hull:
    """Read a hull that `write_compact_hull` wrote.

    Raises:
        InputError: the file is damaged.
    """
    import pyarrow.parquet as pq

    try:
        # `read_table` would import pandas, which takes longer than everything else.
        with pq.ParquetFile(path) as file:
            table = file.read(columns=list(_COLUMNS))
        about: dict[str, Any] = json.loads(table.schema.metadata[_METADATA_KEY])
        columns = [table[name].combine_chunks() for name in _COLUMNS]
        elements, counts, energies, height_only = columns
        starts = _arrow_values(elements.offsets, "int32").astype(np.int64)
        compounds = Compounds(
            starts,
            _arrow_values(elements.flatten(), "uint8").astype(np.int64),
            _arrow_values(counts.flatten(), "uint16").astype(np.float64),
            _arrow_values(energies, "float32").astype(np.float64),
            _arrow_values(height_only, "uint8").astype(np.bool_),
        )
        if len(compounds.elements) != starts[-1] or len(compounds.amounts) != starts[-1]:
            raise ValueError("elements and counts differ in length")
        error = about["error_ev_per_atom"]
        return Hull(
            {symbol: float(e) for symbol, e in about["references_ev_per_atom"].items()},
            compounds,
            name=str(about["name"]),
            date=str(about["date"]),
            potential=about["potential"],
            sources=tuple(about["sources"]),
            error=None if error is None else float(error),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is a damaged hull ({error}); install crystext again, or name another --hull"
        ) from None


def _arrow_values(array: Any, kind: str) -> NDArray[Any]:
    """Return the values of an Arrow array; its own conversion would import pandas (1 s)."""
    if array.null_count:
        raise ValueError("a value is missing")
    values = np.frombuffer(array.buffers()[1], dtype=kind, count=array.offset + len(array))
    return values[array.offset :]


def _reduced_counts(amounts: NDArray[np.float64]) -> list[int]:
    """Return whole amounts divided by their common divisor."""
    whole = amounts.astype(np.int64)
    return (whole // np.gcd.reduce(whole)).tolist()  # type: ignore[no-any-return]
