"""Opens hulls by name or from files, and writes them.

`mp2020` comes with the package and is the default: 95,834 compounds of Materials Project on its
scale of 2020, PBE(+U) with MP2020 corrections (Wang et al., Sci. Rep. 11, 15496 (2021)). 41,831 of
them are from labels of MP-20 and MPTS-52, the others from matbench's formation energies of
Materials Project of 2019, moved to that scale by a correction that is linear in the composition
(`mp2020_hull.txt` beside the file; CC BY 4.0). It holds labels of MP-20's validation and test
splits: use it for evaluation only, not to select training data.

`mp2020-full` is the hull of Materials Project of early 2023 as matbench-discovery publishes it
(https://doi.org/10.6084/m9.figshare.22715158, CC BY 4.0): every phase on the hull and its exact
energy. It is downloaded once and verified by checksum.

`m3gnet` comes with the package, too: the phases that are stable under M3GNet among crystals of
Materials Project of 2019 with up to 20 atoms and the elements' ground states, as
`evaluation/shipped_model/build_m3gnet_hull.py` relaxed them. It includes the phases of MP-20's
validation and test splits that are on the DFT hull, so it must not be used to select training data
either. It has fewer phases than `mp2020`, above all of large cells, and no DFT energies: only
energies of M3GNet can be compared with it, and errors that the potential makes for all phases
cancel. Its reference of caesium is not a bond energy: in the bcc crystal the nearest atoms are
5.3 Å apart, beyond M3GNet's cutoff, and each atom gets the energy of an isolated one.

A table, csv or parquet, has the columns `formula` and `energy_ev_per_atom`, corrections included,
and rows for the elements. A table that `save_hull` wrote names the potential of its energies; for
another table the caller has to name it.

A folder holds one `hull_points_*.parquet` with the columns `reduced_formula` and
`e_form_per_atom_hull_point` (eV/atom, MP2020), and one `*elemental-reference-entries.json.gz`,
pymatgen's entries by symbol.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.data.catalogue import CatalogueEntry, fetch
from crystext.energies.compact_hull import is_compact_hull, read_compact_hull
from crystext.energies.hull import Hull, references_and_compounds
from crystext.energies.hull_folder import formula_amounts, read_hull_folder, read_references
from crystext.energies.phases import make_compounds
from crystext.errors import InputError, SettingError, describe_error, did_you_mean
from crystext.runtime.download import RemoteFile
from crystext.runtime.files import write_parquet

MP2020 = "mp2020"
"""Name of the hull of Materials Project that comes with the package, and of energies on its scale:
PBE(+U) with MP2020 corrections."""

MP2020_FULL = "mp2020-full"
"""Name of the complete hull of Materials Project, which is downloaded."""

M3GNET_HULL = "m3gnet"
"""Name of the hull of M3GNet's own energies that comes with the package."""

DEFAULT_HULL = MP2020
"""The default hull; it needs no network."""

HULL_NAMES = (MP2020, MP2020_FULL, M3GNET_HULL)
"""Names that `open_hull` accepts."""

_SHIPPED_FILES = {
    name: Path(__file__).with_name(f"{name}_hull.parquet") for name in (MP2020, M3GNET_HULL)
}
"""Files that come with the package."""

_ENERGIES_FILE = RemoteFile(
    "2025-02-01-mp-energies.csv.gz",
    "https://ndownloader.figshare.com/files/52080797",
    "md5:7eb0c49fc169ba92783f2f6d0d19d741",
)
_ELEMENTS_FILE = RemoteFile(
    "2023-02-07-mp-elemental-reference-entries.json.gz",
    "https://ndownloader.figshare.com/files/40387775",
    "md5:6e93b6f38d6e27d6c811d3cafb23a070",
)
_MATERIALS_PROJECT = CatalogueEntry(
    154718,
    "formation energies and distances of Materials Project (Riebesell et al. 2025)",
    (_ENERGIES_FILE, _ELEMENTS_FILE),
)
_MP_DATE = "2023-01-10"
"""When matbench-discovery queried Materials Project; 2025 added symmetries to the same energies."""

_ON_HULL_EV_PER_ATOM = 1e-6
"""eV/atom; entries up to this far above the hull count as on the published hull."""

_TABLE_COLUMNS = ("formula", "energy_ev_per_atom")
_METADATA_KEY = b"crystext.hull"


def open_hull(
    source: str | Path = DEFAULT_HULL,
    *,
    of: str | None = None,
    begin: Callable[[str, int], Callable[[int], object]] = lambda _name, _total: lambda _size: None,
) -> Hull:
    """Return a hull; see the module's text for the names and files.

    Args:
        source: `mp2020`, `m3gnet`, `mp2020-full` (a download), a table, or a folder. As text, the
            first two names are those of the package, even if such files exist; ./m3gnet is a path.
        of: whose energies a table holds, if it does not say: `mp2020` for PBE(+U) with MP2020
            corrections, or a potential's name.
        begin: reports downloads; see `catalogue.fetch`.

    Raises:
        InputError: the hull does not exist or cannot be downloaded, or the file holds no hull.
        SettingError: it is unknown whose energies a table holds.
    """
    if isinstance(source, str) and source in _SHIPPED_FILES:
        return _read_file(_SHIPPED_FILES[source], None)
    path = Path(source)
    if path.is_dir():
        return read_hull_folder(path)
    if path.is_file():
        return _read_file(path, of)
    if str(source) == MP2020_FULL:
        try:
            folder = fetch("hull_mp2020", _MATERIALS_PROJECT, begin)
        except InputError as error:
            raise InputError(
                f"{error}. Or take the hull {MP2020} or {M3GNET_HULL}, which come with the package"
            ) from None
        return _read_materials_project(folder / _ENERGIES_FILE.name, folder / _ELEMENTS_FILE.name)
    raise InputError(
        f"no hull is called {str(source)!r}, and there is no such file or folder; expected "
        f"{', '.join(HULL_NAMES)}, self, or a table that crystext hull --make wrote."
        + did_you_mean(str(source), [*HULL_NAMES, "self"])
    )


def shipped_file(name: str) -> Path | None:
    """Return the file of a hull that comes with the package; None if none has this name."""
    return _SHIPPED_FILES.get(name)


def hull_of_phases(
    phases: Iterable[tuple[str, float]],
    *,
    name: str,
    date: str = "",
    potential: str | None,
    sources: tuple[str, ...] = (),
) -> Hull:
    """Return the convex hull of phases.

    Args:
        phases: formulas and energies in eV/atom, corrections included.
        name: of the hull, in reports.
        date: of the energies.
        potential: whose they are; None for Materials Project's DFT.
        sources: names of the files they are from.

    Raises:
        InputError: there is no element among them.
    """
    try:
        references, compounds = references_and_compounds(
            (_element_amounts(formula), energy) for formula, energy in phases
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"the hull {name} has a phase whose formula cannot be read: "
            f"{describe_error(error, 'it is none')}"
        ) from None
    if not references:
        raise InputError(
            f"the hull {name} has no element, and needs the energy of each of its elements; add "
            "elements, relaxed with the same potential"
        )
    return Hull(references, compounds, name, date, potential, sources)


def save_hull(
    phases: Iterable[tuple[str, float]], out: Path, *, name: str, date: str, potential: str | None
) -> Hull:
    """Write a table of phases that `open_hull` reads, whole or not at all, and return the hull.

    Args:
        phases: formulas and energies in eV/atom, corrections included. The lowest of each formula
            is written, on the hull or not: those off it change no distance, but they are evidence
            of how well a chemical system is known (`energies.hull.Evidence`).
        out: a path that ends in `.parquet`.
        name: of the hull, in reports.
        date: of the energies.
        potential: whose they are; None for Materials Project's DFT.

    Raises:
        InputError: there is no element among them.
    """
    import pyarrow as pa

    lowest: dict[str, float] = {}
    for formula, energy in phases:
        lowest[formula] = min(energy, lowest.get(formula, math.inf))
    made = hull_of_phases(
        lowest.items(), name=name, date=date, potential=potential, sources=(out.name,)
    )
    about = json.dumps({"name": name, "date": date, "potential": potential}).encode()
    table = pa.table(
        {"formula": list(lowest), "energy_ev_per_atom": list(lowest.values())}
    ).replace_schema_metadata({_METADATA_KEY: about})
    write_parquet(out, table)
    return made


def _read_file(path: Path, of: str | None) -> Hull:
    return read_compact_hull(path) if is_compact_hull(path) else _read_table(path, of)


def _read_table(path: Path, of: str | None) -> Hull:
    phases, about = _read_csv(path) if ".csv" in path.name else _read_parquet(path)
    if not about and of is None:
        raise SettingError(
            f"{path} does not say whose energies it holds, and energies of two kinds cannot be "
            f"compared; say so by --hull-of: {MP2020} for PBE(+U) with MP2020 corrections, or the "
            "potential's name"
        )
    potential = about.get("potential") if about else None if of == MP2020 else of
    return hull_of_phases(
        phases,
        name=str(about.get("name", path.name)),
        date=str(about.get("date", "")),
        potential=potential if potential is None else str(potential),
        sources=(path.name,),
    )


def _read_csv(path: Path) -> tuple[list[tuple[str, float]], dict[str, Any]]:
    return [
        (r[_TABLE_COLUMNS[0]], _finite_energy(r[_TABLE_COLUMNS[1]], path))
        for r in _csv_rows(path, _TABLE_COLUMNS)
    ], {}


def _read_parquet(path: Path) -> tuple[list[tuple[str, float]], dict[str, Any]]:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(_TABLE_COLUMNS))
        formulas, energies = (table[name].to_pylist() for name in _TABLE_COLUMNS)
        about = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is not a table of phases ("
            f"{describe_error(error, 'its columns are others')}); expected Parquet with the "
            f"columns {' and '.join(_TABLE_COLUMNS)}"
        ) from None
    found = [(f, _finite_energy(e, path)) for f, e in zip(formulas, energies, strict=True)]
    return found, about if isinstance(about, dict) else {}


def _read_materials_project(energies: Path, elements: Path) -> Hull:
    """Read the published table; only entries on the hull are kept."""
    columns = ("formation_energy_per_atom", "energy_above_hull")
    stable: list[tuple[Mapping[str, float], float]] = []
    for row in _csv_rows(energies, columns):
        formula = row.get("formula") or row.get("formula_pretty")
        if not formula:
            raise InputError(f"{energies} has no column formula; put the published file there")
        formation, above = (_finite_energy(row[column], energies) for column in columns)
        if above <= _ON_HULL_EV_PER_ATOM:
            stable.append((formula_amounts(formula), formation))
    return Hull(
        read_references(elements),
        make_compounds(stable),
        name=MP2020_FULL,
        date=_MP_DATE,
        sources=(energies.name, elements.name),
    )


def _csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file, optionally gzipped, that has these columns."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path} lacks the column {', '.join(missing)}; expected "
                    f"{' and '.join(columns)}"
                )
            yield from reader
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} is not a readable csv table: {describe_error(error, 'it is not text')}"
        ) from None


def _finite_energy(value: object, path: Path) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path} has the energy {value!r}; expected eV/atom")
    return number


def _element_amounts(formula: str) -> Mapping[str, float]:
    """Return amounts by symbol; pymatgen reads other letters as dummy species."""
    amounts = formula_amounts(formula)
    strange = sorted(set(amounts) - ATOMIC_NUMBERS.keys())
    if strange or not amounts:
        raise ValueError(f"{formula!r} is not a formula of elements")
    return amounts
