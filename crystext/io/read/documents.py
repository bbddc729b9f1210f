"""Read structures in JSON documents of JARVIS and of OPTIMADE.

    JARVIS      an entry with `jid` and `atoms`: lattice_mat, coords, elements, cartesian
    OPTIMADE    an entry of type structures with `attributes`: lattice_vectors,
                cartesian_site_positions, species_at_sites, species

It knows nothing about files. JARVIS: https://jarvis.nist.gov; OPTIMADE: https://www.optimade.org,
specification 1.2, section "Structures Entries".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, HYDROGEN_ISOTOPES
from crystext.chemistry.formulas import format_formula, parse_formula, reduce_counts
from crystext.errors import InputError, SettingError
from crystext.io.read.pymatgen_and_ase import is_vector_list, isotope_of
from crystext.io.read.reading import Reading
from crystext.structures.crystal import Crystal, Floats, isotope_notes, lengths_and_angles

_JARVIS_KEYS = ("lattice_mat", "coords", "elements")
_OPTIMADE_KEYS = ("lattice_vectors", "cartesian_site_positions", "species_at_sites")


def document_kind(row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the kind of a document and its structure; None if the object is of neither kind."""
    atoms = row.get("atoms", row)
    if isinstance(atoms, dict) and atoms.keys() >= set(_JARVIS_KEYS):
        return "jarvis", atoms
    if "jid" in row and "atoms" in row:
        # An entry without a structure still counts, as a failure.
        return "jarvis", atoms if isinstance(atoms, dict) else {}
    attributes = row.get("attributes", row)
    if isinstance(attributes, dict) and (
        row.get("type") == "structures" or attributes.keys() >= set(_OPTIMADE_KEYS)
    ):
        return "optimade", attributes
    return None


def read_jarvis(atoms: Mapping[str, Any]) -> Reading:
    """Read the atoms of a JARVIS entry.

    Raises:
        InputError: their layout is not JARVIS's, or lattice_mat contradicts abc and angles.
    """
    if missing := [key for key in _JARVIS_KEYS if key not in atoms]:
        raise InputError(
            f"its atoms lack {', '.join(missing)}; expected the structure of an entry of JARVIS"
        )
    for key in ("lattice_mat", "coords"):
        if not is_vector_list(atoms[key], 3 if key == "lattice_mat" else None):
            raise InputError(f"its {key} are not lists of three numbers")
    symbols = [symbol.strip() for symbol in _strings(atoms["elements"], "elements")]
    cartesian = atoms.get("cartesian") or False
    if not isinstance(cartesian, bool):
        raise InputError(f"its cartesian is {str(cartesian)[:40]!r}; expected true or false")
    vectors, places = np.array(atoms["lattice_mat"], float), np.array(atoms["coords"], float)
    crystal, notes = _build_crystal(vectors, symbols, places, cartesian)
    for key, found in (("abc", crystal.lengths), ("angles", crystal.angles)):
        given = atoms.get(key)
        # They are written with few decimals, so only a clearly different cell is a contradiction.
        if is_vector_list([given], 1) and np.abs(np.array(given) - found).max() > 0.1:
            raise InputError(
                f"its {key} are {', '.join(f'{x:g}' for x in given)}, but those of its lattice_mat "  # type: ignore[union-attr]
                f"{', '.join(f'{x:.4g}' for x in found.tolist())}; expected the same"
            )
    return Reading(crystal, notes)


def read_optimade(attributes: Mapping[str, Any]) -> Reading:
    """Read the attributes of an OPTIMADE structure.

    Raises:
        InputError: some are missing or do not follow the specification; a site is disordered, or
            has attached atoms without positions; the counts contradict each other.
    """
    if missing := [key for key in _OPTIMADE_KEYS if attributes.get(key) is None]:
        raise InputError(
            f"it lacks {', '.join(missing)}; expected a crystal with {', '.join(_OPTIMADE_KEYS)}. "
            "Request them by response_fields"
        )
    if not is_vector_list(attributes["lattice_vectors"], 3):
        raise InputError("its lattice_vectors are not three lists of three numbers")
    if not is_vector_list(attributes["cartesian_site_positions"]):
        raise InputError("its cartesian_site_positions are not lists of three numbers")
    names = _strings(attributes["species_at_sites"], "species_at_sites")
    features = attributes.get("structure_features") or []
    for feature, what in (
        ("disorder", "is disordered; expected one whole element per site"),
        ("implicit_atoms", "has atoms that are not placed; expected a site for every atom"),
        ("site_attachments", "has atoms that are not placed; expected a site for every atom"),
    ):
        if isinstance(features, list) and feature in features:
            raise InputError(f"it {what} (structure_features has {feature})")
    species, notes = _species(attributes.get("species"), names)
    symbols = [species[name] for name in names]
    vectors = np.array(attributes["lattice_vectors"], float)
    places = np.array(attributes["cartesian_site_positions"], float).reshape(-1, 3)
    crystal, more = _build_crystal(vectors, symbols, places, True)
    _check_counts(attributes, crystal)
    return Reading(crystal, notes + more)


def _species(given: Any, names: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the symbol of each name that a site has."""
    if given is None:
        unknown = [name for name in names if name not in ATOMIC_NUMBERS]
        if unknown:
            raise InputError(
                f"it lacks species, and {unknown[0][:40]!r} is not an element; request species by "
                "response_fields"
            )
        note = "it lacks species: their names are read as elements"
        return {name: name for name in names}, (note,)
    if not isinstance(given, list) or not all(isinstance(x, dict) for x in given):
        raise InputError("its species are not a list of objects")
    known = {x["name"]: x for x in given if isinstance(x.get("name"), str)}
    found: dict[str, str] = {}
    for number, name in enumerate(names, start=1):
        if name in found:
            continue
        if name not in known:
            raise InputError(f"site {number} is of {name[:40]!r}, which is not among its species")
        found[name] = _symbol(number, known[name])
    return found, ()


def _symbol(number: int, species: Mapping[str, Any]) -> str:
    symbols, amounts = species.get("chemical_symbols"), species.get("concentration")
    if not isinstance(symbols, list) or not symbols or not _is_list_of_numbers(amounts):
        raise InputError(
            f"site {number} is of a species without chemical_symbols and concentration; expected "
            "lists of them"
        )
    if len(symbols) != 1 or len(amounts) != 1 or abs(amounts[0] - 1.0) > 1e-6:
        listed = ", ".join(f"{s} {a:g}" for s, a in zip(symbols, amounts, strict=False))
        raise InputError(
            f"site {number} is disordered (occupied by {listed}); expected one whole element per "
            "site. Try an ordered approximation, e.g. pymatgen's "
            "OrderDisorderedStructureTransformation"
        )
    if species.get("attached"):
        raise InputError(
            f"site {number} has atoms attached that are not placed; expected a site for every atom"
        )
    symbol = symbols[0]
    if not isinstance(symbol, str) or symbol not in ATOMIC_NUMBERS:
        raise InputError(f"site {number} holds {str(symbol)[:40]!r}, which is not an element")
    mass = species.get("mass")
    if isinstance(mass, list) and len(mass) == 1:
        mass = mass[0]
    if isinstance(mass, int | float):
        return isotope_of(ATOMIC_NUMBERS[symbol], float(mass)) or symbol
    return symbol


def _check_counts(attributes: Mapping[str, Any], crystal: Crystal) -> None:
    count, elements = attributes.get("nsites"), attributes.get("elements")
    if isinstance(count, int) and count != len(crystal):
        raise InputError(f"it lists {len(crystal)} sites, but nsites is {count}; expected as many")
    if isinstance(elements, list) and all(isinstance(x, str) for x in elements):
        there = set(crystal.symbols)
        if set(elements) - {"D", "T"} != there - ({"H"} if set(elements) & {"D", "T"} else set()):
            raise InputError(
                f"its sites hold {', '.join(sorted(there))}, but elements has "
                f"{', '.join(sorted(elements)) or 'none'}; expected the same"
            )
    formula = attributes.get("chemical_formula_reduced")
    if not isinstance(formula, str) or len(formula) > 1000:
        return
    try:
        written = reduce_counts(parse_formula(formula))
    except SettingError:
        return
    found = reduce_counts(Counter(crystal.symbols))
    if written != found:
        raise InputError(
            f"its sites make {format_formula(found)}, but its chemical_formula_reduced is "
            f"{formula[:60]!r}; expected the same"
        )


def _build_crystal(
    vectors: Floats, symbols: list[str], positions: Floats, cartesian: bool
) -> tuple[Crystal, tuple[str, ...]]:
    positions = np.reshape(positions, (-1, 3))
    if len(symbols) != len(positions):
        raise InputError(f"it has {len(symbols)} elements and {len(positions)} positions")
    for number, symbol in enumerate(symbols, start=1):
        if symbol not in ATOMIC_NUMBERS and symbol not in HYDROGEN_ISOTOPES:
            raise InputError(f"site {number} holds {symbol[:40]!r}, which is not an element")
    volume = float(np.linalg.det(vectors))
    if not abs(volume) > 0:
        raise InputError("its three lattice vectors span no volume")
    if cartesian:
        positions = np.asarray(np.linalg.solve(vectors.T, positions.T).T, np.float64)
    # A left-handed basis is inverted together with its positions, which keeps the chirality.
    lengths, angles = lengths_and_angles(vectors)
    numbers = [HYDROGEN_ISOTOPES.get(s) or ATOMIC_NUMBERS[s] for s in symbols]
    crystal = Crystal(lengths, angles, np.array(numbers, np.int64), positions * np.sign(volume))
    crystal.check()
    return crystal, isotope_notes(enumerate(symbols, start=1))


def _strings(value: Any, key: str) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(x, str) for x in value):
        raise InputError(f"its {key} are not a list of names")
    return list(value)


def _is_list_of_numbers(value: Any) -> TypeGuard[list[float]]:
    return isinstance(value, list) and all(isinstance(x, int | float) for x in value)
