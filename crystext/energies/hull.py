"""Formation energy, and energy above the convex hull of known phases.

    e_form = (E + corrections - sum_i n_i μ_i) / N
    e_hull(c) = min over x >= 0 of sum_p x_p e_p   with   sum_p x_p c_p = c
    e_above_hull = e_form - e_hull(c)

E is the potential's energy of the relaxed cell with n_i atoms of element i, N in all; μ_i the
energy per atom of the elemental reference entry; c a composition in atomic fractions, and p runs
over the hull's table and the elements, whose e_p is 0. The minimum is a linear programme, solved by
SciPy's HiGHS. What lies below the hull, e_above_hull < 0, the table does not know.

Corrections are those of MaterialsProject2020Compatibility in pymatgen (Wang et al., Sci. Rep. 11,
15496 (2021)), with the U that MPRelaxSet gives to these elements.

What goes wrong otherwise: energies without corrections on a corrected hull are off by 0.7 eV an
oxygen atom, and so are energies of a potential that has learned them already, corrected again. And
a hull without one of the elements is a hull of the others: what holds it looks stable for nothing.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystext.crystal import Crystal
from crystext.errors import InputError

if TYPE_CHECKING:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

_POINTS, _ELEMENTS = "hull_points_*.parquet", "*elemental-reference-entries.json.gz"
_COLUMNS = ("reduced_formula", "e_form_per_atom_hull_point")

_Composition = dict[str, float]
"""Atomic fractions by element symbol; they sum to 1."""


@dataclass(frozen=True)
class Hull:
    """Elemental references, and the compositions whose lowest formation energy is known."""

    references: Mapping[str, float]
    """eV/atom of each element, on the potential's scale."""
    points: Mapping[frozenset[str], list[tuple[_Composition, float]]]
    """Compounds' compositions and formation energies in eV/atom, by the elements they hold."""
    sources: tuple[str, ...] = ()
    """Names of the files it was read from."""

    def unknown_elements(self, crystal: Crystal) -> list[str]:
        """Return the elements of a crystal that the hull has no reference for."""
        return sorted(set(crystal.symbols) - set(self.references))

    def formation_energy(self, crystal: Crystal, energy: float) -> float | None:
        """Return the formation energy in eV/atom; None where an element is unknown.

        Args:
            crystal: the relaxed cell; corrections look at its bonds.
            energy: of the cell, in eV, without corrections.
        """
        if self.unknown_elements(crystal):
            return None
        references = sum(self.references[symbol] for symbol in crystal.symbols)
        return (energy + correction(crystal) - references) / len(crystal)

    def energy(self, composition: Mapping[str, float]) -> float | None:
        """Return the hull's energy at a composition, in eV/atom; None where an element is unknown.

        Args:
            composition: amounts by element symbol, in any unit.
        """
        from scipy.optimize import linprog

        symbols = sorted(composition)
        if not all(symbol in self.references for symbol in symbols):
            return None
        if len(symbols) == 1:
            return 0.0
        phases = list(self._phases(symbols))
        fractions_E_P = np.array([[c.get(s, 0.0) for c, _ in phases] for s in symbols])
        wanted = np.array([composition[s] for s in symbols], dtype=np.float64)
        solved = linprog(
            [e for _, e in phases], A_eq=fractions_E_P, b_eq=wanted / wanted.sum(), method="highs"
        )
        if not solved.success:  # The elements alone make every composition.
            raise AssertionError(f"no hull at {dict(composition)}: {solved.message}")
        return float(solved.fun)

    def above(self, crystal: Crystal, energy: float) -> float | None:
        """Return the energy above the hull in eV/atom; None where an element is unknown.

        It is negative where the crystal lies below the hull of what is known.

        Args:
            crystal: the relaxed cell.
            energy: of the cell, in eV, without corrections.
        """
        formation = self.formation_energy(crystal, energy)
        symbols, counts = np.unique(crystal.symbols, return_counts=True)
        hull = self.energy(dict(zip(symbols.tolist(), counts.tolist(), strict=True)))
        return None if formation is None or hull is None else formation - hull

    def _phases(self, symbols: list[str]) -> Iterator[tuple[_Composition, float]]:
        for symbol in symbols:
            yield {symbol: 1.0}, 0.0
        for size in range(2, len(symbols) + 1):
            for chosen in combinations(symbols, size):
                yield from self.points.get(frozenset(chosen), [])


def load_hull(folder: Path) -> Hull:
    """Read a hull from a folder.

    It holds one `hull_points_*.parquet` with the columns `reduced_formula` and
    `e_form_per_atom_hull_point` (eV/atom), and one `*elemental-reference-entries.json.gz`, which
    maps symbols to pymatgen's computed entries, as matbench-discovery publishes it.

    Raises:
        InputError: a file is missing, twice there, or not what it should be.
    """
    table, entries = _only(folder, _POINTS), _only(folder, _ELEMENTS)
    return Hull(_read_references(entries), _read_points(table), (table.name, entries.name))


def correction(crystal: Crystal) -> float:
    """Return what MP2020 adds to an energy of PBE(+U), in eV a cell."""
    import warnings

    from pymatgen.entries.computed_entries import ComputedStructureEntry

    hubbards = _hubbards(crystal)
    entry = ComputedStructureEntry(
        crystal.structure,
        0.0,
        parameters={"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards},
    )
    with warnings.catch_warnings():
        # Of every alloy it says that no oxidation states were guessed.
        warnings.simplefilter("ignore")
        return float(sum(x.value for x in _scheme().get_adjustments(entry)))


@cache
def _scheme() -> MaterialsProject2020Compatibility:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    # No potential of VASP's took part.
    return MaterialsProject2020Compatibility(check_potcar=False)


def _hubbards(crystal: Crystal) -> dict[str, float]:
    """Return the U in eV with which Materials Project computes such a crystal, by element."""
    from pymatgen.core.periodic_table import Element
    from pymatgen.io.vasp.sets import MPRelaxSet

    anion = max(set(crystal.symbols), key=lambda symbol: Element(symbol).X)
    table = MPRelaxSet.CONFIG["INCAR"]["LDAUU"].get(anion, {})
    return {symbol: table[symbol] for symbol in set(crystal.symbols) if table.get(symbol)}


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"expected one {pattern} in {folder}, found {names}")
    return found[0]


def _read_references(path: Path) -> dict[str, float]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            entries: dict[str, Any] = json.load(file)
        return {
            symbol: (entry["energy"] + entry.get("correction", 0.0))
            / sum(entry["composition"].values())
            for symbol, entry in entries.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} holds no elemental reference entries ({error!r}); expected a gzipped JSON "
            "object that maps symbols to entries with energy and composition"
        ) from None


def _read_points(path: Path) -> dict[frozenset[str], list[tuple[_Composition, float]]]:
    import pyarrow.parquet as pq
    from pymatgen.core.composition import Composition

    try:
        table = pq.read_table(path, columns=list(_COLUMNS))
        formulas, energies = (table[name].to_pylist() for name in _COLUMNS)
        points: dict[frozenset[str], list[tuple[_Composition, float]]] = defaultdict(list)
        for formula, energy in zip(formulas, energies, strict=True):
            amounts = Composition(formula).get_el_amt_dict()
            if len(amounts) == 1:  # An element is at 0 by definition, whatever a table says.
                continue
            total = sum(amounts.values())
            fractions = {symbol: amount / total for symbol, amount in amounts.items()}
            points[frozenset(amounts)].append((fractions, float(energy)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no table of hull points ({error}); expected Parquet with the columns "
            f"{' and '.join(_COLUMNS)}"
        ) from None
    return dict(points)
