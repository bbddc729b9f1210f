"""Records to predict for: a run, files, tables of structures, formulas or SMILES, or formulas."""

from __future__ import annotations

import sys
from pathlib import Path

from crystext.chemistry.formulas import parse_amounts
from crystext.data.property_table import has_structures, read_property_table
from crystext.errors import InputError, SettingError
from crystext.evaluate.samples import read_samples
from crystext.structures.record import Record

STANDARD_INPUT = "-"

_TABLE_SUFFIXES = (".csv", ".parquet", ".json", ".jsonl", ".gz")


def read_records(source: str | Path, *, lenient: bool = False) -> tuple[Record, ...]:
    """Return the records of a source; what cannot be read stays, with its failure.

    Args:
        source: a run of `crystext sample`, any file, folder, zip or table of structures, a table of
            formulas or SMILES, a formula, such as SrTiO3, or a hyphen: formulas and paths from
            standard input, one a line.
        lenient: read structures that contradict themselves, where one reading exists.

    Raises:
        InputError: the source is neither, or holds nothing.
    """
    if str(source) == STANDARD_INPUT:
        lines = [line.strip() for line in sys.stdin]
        return tuple(record for line in lines if line for record in read_records(line))
    path = Path(source)
    if not path.exists():
        try:
            parse_amounts(str(source))
        except SettingError as error:
            raise InputError(
                f"no file or folder {source}, and it is not a formula either: {error}"
            ) from None
        return (Record(name=str(source), texts={"formula": str(source)}),)
    is_table = path.is_file() and any(path.name.endswith(suffix) for suffix in _TABLE_SUFFIXES)
    if is_table and not has_structures(path):
        return read_property_table(path, targets=(), keep_failures=True).records
    return read_samples(path, lenient=lenient).samples
