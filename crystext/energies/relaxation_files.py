"""Tables of relaxed structures: `crystext relax` writes them, `crystext hull` reads them.

    relaxed.parquet     a row per input structure, in order, failures included:
                        name, energy_ev of the cell and energy_ev_per_atom, steps, converged,
                        failure (a word, null where there is an energy), message (its sentence),
                        seconds, and the relaxed crystal as in `write_crystals`
    relaxed.extxyz      the relaxed crystals with their energies, for ASE and others

Both name the potential of the energies and their corrections (see `corrections.EnergyCorrection`).
Energies of another program are read from extxyz; the user then gives potential and corrections if
the file lacks them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.relax import Relaxation, RelaxationOutcome
from crystext.errors import CrystextError, InputError, SettingError, describe_error, did_you_mean
from crystext.io.read.pymatgen_and_ase import crystal_from_ase
from crystext.io.write import cif, extxyz
from crystext.runtime.files import write_parquet, write_text
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.record import UNREADABLE, Failure, Record

TABLE, FRAMES = "relaxed.parquet", "relaxed.extxyz"
_METADATA_KEY = b"crystext.relaxed"
_WRONG_LAYOUT = "its contents are not laid out so"


@dataclass(frozen=True, slots=True)
class RelaxedStructure(Record):
    """A record of a relaxation: the relaxed crystal, or the failure."""

    energy: float | None = None
    """eV per cell, from the potential; None for a failure."""
    steps: int | None = None
    converged: bool | None = None
    seconds: float | None = None
    given_formula: str | None = None
    """Reduced formula of the structure before relaxation; None if it is not known."""
    given_atoms: int | None = None
    """Number of its atoms."""

    @property
    def formula(self) -> str | None:
        """Reduced formula, which relaxation does not change; None if no crystal was given."""
        return self.given_formula if self.crystal is None else reduced_formula(self.crystal.numbers)

    @property
    def n_atoms(self) -> int | None:
        """Number of atoms, likewise."""
        return self.given_atoms if self.crystal is None else len(self.crystal)


@dataclass(frozen=True)
class RelaxedSet:
    """Structures and their energies, all from one potential."""

    potential: str
    correction: EnergyCorrection
    structures: tuple[RelaxedStructure, ...]
    limits: Mapping[str, float] | None = None
    """See `relax.RelaxationLimits`."""


def relaxed_structure(record: Record, relaxation: Relaxation | None) -> RelaxedStructure:
    """Return the relaxed structure of a record, with the name and labels of the record.

    Args:
        record: the structure before relaxation.
        relaxation: None if there was no crystal to relax.
    """
    given = {field.name: getattr(record, field.name) for field in fields(Record)}
    if relaxation is None:
        return RelaxedStructure(**given)
    crystal = record.crystal
    outcome, energy = relaxation.outcome, relaxation.energy
    return RelaxedStructure(
        **given
        | {
            "crystal": relaxation.crystal,
            "wyckoff": None,
            "failure": Failure(outcome.name, outcome.value) if energy is None else None,
        },
        energy=energy,
        steps=relaxation.steps,
        converged=None if energy is None else outcome is RelaxationOutcome.CONVERGED,
        seconds=relaxation.seconds,
        given_formula=None if crystal is None else reduced_formula(crystal.numbers),
        given_atoms=None if crystal is None else len(crystal),
    )


def write_relaxed(relaxed_set: RelaxedSet, out: Path) -> None:
    """Write both files to a folder, each whole or not at all."""
    import pyarrow as pa

    vector = pa.list_(pa.float64())
    about = {
        "potential": relaxed_set.potential,
        "energies": relaxed_set.correction.label,
        "limits": dict(relaxed_set.limits or {}),
    }
    schema = pa.schema(
        [
            *(("name", pa.string()), ("energy_ev", pa.float64())),
            *(("energy_ev_per_atom", pa.float64()), ("steps", pa.int64())),
            *(("converged", pa.bool_()), ("failure", pa.string()), ("message", pa.string())),
            *(("seconds", pa.float64()), ("cif", pa.string()), ("formula", pa.string())),
            *(("n_atoms", pa.int64()), ("volume", pa.float64())),
            *(("lengths", vector), ("angles", vector)),
            *(("numbers", pa.list_(pa.int64())), ("positions", pa.list_(vector))),
        ],
        metadata={_METADATA_KEY: json.dumps(about).encode()},
    )
    rows = [_to_row(row) for row in relaxed_set.structures]
    write_parquet(out / TABLE, pa.Table.from_pylist(rows, schema))
    frames = [
        extxyz(
            row.crystal,
            row.name,
            {
                "energy": row.energy,
                "converged": bool(row.converged),
                "potential": relaxed_set.potential,
                "energies": relaxed_set.correction.label,
            },
        )
        for row in relaxed_set.structures
        if row.crystal is not None and row.energy is not None
    ]
    write_text(out / FRAMES, "".join(frames))


def read_relaxed(
    source: str | Path, *, potential: str | None = None, scale: EnergyCorrection | None = None
) -> RelaxedSet:
    """Read structures with energies.

    Args:
        source: the folder of a relaxation, its table, or extxyz with the energy of each frame.
        potential: of the energies, if the file does not name it.
        scale: corrections that the energies contain, likewise.

    Raises:
        InputError: the source is missing, or holds no energy.
        SettingError: potential or corrections are unknown, or contradict the file.
    """
    path = Path(source)
    if path.is_dir():
        if not (path / TABLE).is_file():
            if (path / "attempts.jsonl").is_file():
                raise InputError(
                    f"{path} is a run of crystext sample, whose crystals have no energies yet; "
                    f"relax them first: crystext relax {path} --out relaxed"
                )
            raise InputError(
                f"the folder {path} has no {TABLE}; expected that of crystext relax, which writes "
                "it at the end: run it again to continue"
            )
        path = path / TABLE
    if not path.is_file():
        raise InputError(f"no file or folder {path}; check the path")
    rows, said = _read_table(path) if path.suffix == ".parquet" else _read_frames(path)
    named, held = said.get("potential"), said.get("energies")
    if named is not None and potential is not None and named != potential:
        raise SettingError(f"{path} holds energies of {named}, not of {potential}")
    if held is not None and scale is not None and held != scale.label:
        raise SettingError(f"{path} says that its energies are {held}, not {scale.label}")
    whose, kept = named or potential, scale if held is None else correction_from_label(held)
    if whose is None or kept is None:
        raise SettingError(
            f"{path} does not say which potential its energies are of, or their corrections; give "
            "them by --potential NAME and --energies " + "|".join(x.label for x in EnergyCorrection)
        )
    return RelaxedSet(whose, kept, tuple(rows))


def correction_from_label(label: str) -> EnergyCorrection:
    """Return the corrections of a label, such as `corrected`.

    Raises:
        SettingError: no corrections have this label.
    """
    words = {scale.label: scale for scale in EnergyCorrection}
    if label not in words:
        raise SettingError(
            f"no energy corrections are called {label!r}; expected one of {', '.join(words)}."
            + did_you_mean(label, words)
        )
    return words[label]


def _to_row(structure: RelaxedStructure) -> dict[str, Any]:
    crystal = structure.crystal
    record: dict[str, Any] = {
        "name": structure.name,
        "energy_ev": structure.energy,
        "steps": structure.steps,
        "converged": structure.converged,
        "failure": structure.failure_kind,
        "message": structure.message,
        "seconds": structure.seconds,
        "formula": structure.formula,
        "n_atoms": structure.n_atoms,
    }
    if crystal is None or structure.energy is None:
        return record
    return record | {
        "energy_ev_per_atom": structure.energy / len(crystal),
        "cif": cif(crystal, structure.name),
        "volume": crystal.volume,
        "lengths": crystal.lengths.tolist(),
        "angles": crystal.angles.tolist(),
        "numbers": crystal.numbers.tolist(),
        "positions": crystal.positions.tolist(),
    }


def _read_table(path: Path) -> tuple[list[RelaxedStructure], dict[str, str]]:
    import pyarrow.parquet as pq

    try:
        names = set(pq.read_schema(path).names)
        # Version 0.1 called the failure and its message fault and problem.
        failure = ("failure", "message") if "failure" in names else ("fault", "problem")
        columns = ["name", "energy_ev", "steps", "converged", *failure, "seconds",
                   "formula", "n_atoms", "lengths", "angles", "numbers", "positions"]  # fmt: skip
        table = pq.read_table(path, columns=columns)
        about = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
        rows = [_from_row(row, *failure) for row in table.to_pylist()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a table of relaxed structures ("
            f"{describe_error(error, _WRONG_LAYOUT)}); expected the {TABLE} that "
            "crystext relax writes, or extxyz with energies"
        ) from None
    if not rows:
        raise InputError(f"{path} holds no structure")
    known = about.items() if isinstance(about, dict) else ()
    return rows, {key: value for key, value in known if isinstance(value, str)}


def _from_row(row: dict[str, Any], kind_column: str, message_column: str) -> RelaxedStructure:
    crystal = None
    if row["numbers"] is not None:
        crystal = Crystal(
            np.array(row["lengths"], dtype=np.float64),
            np.array(row["angles"], dtype=np.float64),
            np.array(row["numbers"], dtype=np.int64),
            np.array(row["positions"], dtype=np.float64).reshape(-1, 3),
        )
        crystal.check()
    kind, message = row[kind_column], row[message_column]
    return RelaxedStructure(
        crystal,
        name=row["name"],
        failure=None if kind is None else Failure(kind, message or ""),
        energy=row["energy_ev"],
        steps=row["steps"],
        converged=row["converged"],
        seconds=row["seconds"],
        given_formula=row["formula"],
        given_atoms=row["n_atoms"],
    )


def _read_frames(path: Path) -> tuple[list[RelaxedStructure], dict[str, str]]:
    """Read extxyz, of one potential's energies."""
    from ase.io import iread

    rows: list[RelaxedStructure] = []
    said: dict[str, set[str | None]] = {"potential": set(), "energies": set()}
    try:
        for i, atoms in enumerate(iread(path, index=":", format="extxyz"), start=1):
            name = str(atoms.info.get("name", f"{path.stem}-{i}"))
            for key, values in said.items():
                values.add(str(atoms.info[key]) if key in atoms.info else None)
            held = atoms.calc.results if atoms.calc is not None else {}
            energy = float(held.get("energy", math.nan))
            try:
                crystal = crystal_from_ase(atoms)
            except InputError as error:
                rows.append(RelaxedStructure.failed(name, UNREADABLE, str(error)))
                continue
            if math.isfinite(energy):
                said_so = atoms.info.get("converged")
                converged = None if said_so is None else bool(said_so)
                rows.append(
                    RelaxedStructure(crystal, name=name, energy=energy, converged=converged)
                )
            else:
                rows.append(
                    RelaxedStructure(
                        name=name,
                        failure=Failure("NO_ENERGY", "it has none"),
                        given_formula=reduced_formula(crystal.numbers),
                        given_atoms=len(crystal),
                    )
                )
    # ASE's reader raises exceptions of any type for damaged data.
    except Exception as error:
        if isinstance(error, CrystextError):
            raise
        raise InputError(
            f"{path} is not a readable extxyz ({describe_error(error, _WRONG_LAYOUT)}); "
            "expected the folder of crystext relax, its table, or extxyz with energies"
        ) from None
    if not any(row.energy is not None for row in rows):
        raise InputError(
            f"{path} holds no energy; expected energy=... of each frame. crystext relax computes "
            "and writes them"
        )
    if mixed := [key for key, values in said.items() if len(values) > 1]:
        raise InputError(
            f"{path} mixes frames of different {' and '.join(mixed)}; energies of two kinds cannot "
            "be compared: write each to a separate file"
        )
    found = {key: next(iter(values)) for key, values in said.items()}
    return rows, {key: value for key, value in found.items() if value is not None}


def describe_failures(structures: Sequence[RelaxedStructure], max_names: int = 10) -> list[str]:
    """Return lines that name the structures without an energy, with the reasons.

    Structures of one kind and reason share a line; the most frequent kind comes first.

    Args:
        structures: all structures.
        max_names: maximum number of structures named per kind.
    """
    by_kind: dict[str, list[RelaxedStructure]] = {}
    for row in structures:
        if row.failure is not None:
            by_kind.setdefault(row.failure.kind, []).append(row)
    lines = []
    for kind, those in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        counted = f"{kind}, {len(those):,} structure{'s' * (len(those) != 1)}"
        reasons = {row.message or "no energy" for row in those}
        named = those[:max_names]
        more = len(those) - len(named)
        if len(reasons) == 1:
            names = ", ".join(row.name for row in named) + (f" and {more:,} more" if more else "")
            lines.append(f"{counted} ({reasons.pop()}): {names}")
            continue
        lines.append(f"{counted}:")
        lines += [f"  {row.name}: {row.message or 'no energy'}" for row in named]
        lines += [f"  and {more:,} more, in the column message of {TABLE}"] if more else []
    return lines
