"""Which corrections energies of DFT or a potential contain, and how to make them comparable.

Corrections are those of MaterialsProject2020Compatibility in pymatgen (Wang et al., Sci. Rep. 11,
15496 (2021)), with the U of MPRelaxSet for these elements.

What goes wrong otherwise: uncorrected energies on a corrected hull are off by 0.7 eV per oxygen
atom, and so are energies of a potential trained on corrected ones that are corrected again.
"""

from __future__ import annotations

import math
from enum import Enum
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula

if TYPE_CHECKING:
    from pymatgen.core.sites import PeriodicSite
    from pymatgen.core.structure import Structure
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility


_MAX_TRIALS = 2_000_000
"""Combinations of oxidation states that are tried for a composition; some seconds. pymatgen has no
limit: for a cell of 18 different elements it tries combinations for hours."""

_MAX_SITES = 20
"""Atoms of a reduced formula up to which pymatgen guesses oxidation states in this scheme."""


class EnergyCorrection(Enum):
    """The corrections that energies contain. The value is a description for users."""

    UNCORRECTED = "PBE and PBE+U as computed; MP2020 corrections have to be added"
    CORRECTED = "PBE and PBE+U with MP2020 corrections"
    OWN = "of another kind, to be compared with energies of the same potential only"

    @property
    def label(self) -> str:
        """The scale's name in tables and on the command line."""
        return self.name.lower()


def corrected_energy(crystal: Crystal, energy: float, correction: EnergyCorrection) -> float:
    """Return an energy with its corrections, in eV a cell.

    Args:
        crystal: the relaxed cell; corrections look at its bonds.
        energy: of the cell, in eV.
        correction: the corrections that the energy contains already.
    """
    return (
        energy + mp2020_correction(crystal)
        if correction is EnergyCorrection.UNCORRECTED
        else energy
    )


def mp2020_correction(crystal: Crystal) -> float:
    """Return the MP2020 correction of a PBE(+U) energy, in eV per cell."""
    import warnings

    from pymatgen.entries.computed_entries import ComputedStructureEntry

    with warnings.catch_warnings():
        # pymatgen warns that helium has no electronegativity, and for every alloy that no oxidation
        # states were guessed.
        warnings.simplefilter("ignore")
        structure = crystal.structure.get_sorted_structure(key=_electronegativity)
        hubbards = _hubbards(structure)
        entry = ComputedStructureEntry(
            structure,
            0.0,
            parameters={"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards},
            data={"oxidation_states": _oxidation_states(crystal)},
        )
        return float(sum(x.value for x in _scheme().get_adjustments(entry)))


def _oxidation_states(crystal: Crystal) -> dict[str, float]:
    """Return the likely oxidation states, by which the scheme identifies anions.

    Empty if the crystal has none of the scheme's anions, or if no states can be guessed: then the
    scheme treats only the most electronegative element as an anion.
    """
    if _scheme().comp_correction.keys().isdisjoint(crystal.symbols):
        return {}
    return dict(_guess_oxidation_states(reduced_formula(crystal.numbers)))


@lru_cache(maxsize=100_000)
def _guess_oxidation_states(formula: str) -> tuple[tuple[str, float], ...]:
    """Return pymatgen's guess of the oxidation states in a formula; empty without a guess."""
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    composition = Composition(formula)
    trials = 1
    for symbol, count in composition.get_el_amt_dict().items():
        element = Element(symbol)
        states = element.icsd_oxidation_states or element.common_oxidation_states
        sums = {0}
        for _ in range(int(count)):
            sums = {total + state for total in sums for state in states}
        trials *= len(sums)
    if composition.num_atoms > _MAX_SITES or trials > _MAX_TRIALS:
        return ()
    guesses = composition.oxi_state_guesses()
    return tuple(guesses[0].items()) if guesses else ()


@cache
def _scheme() -> MaterialsProject2020Compatibility:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    # No pseudopotential of VASP is involved.
    return MaterialsProject2020Compatibility(check_potcar=False)


def _hubbards(structure: Structure) -> dict[str, float]:
    """Return the U in eV of Materials Project's settings for a crystal, by element.

    Args:
        structure: sorted by `_electronegativity`.
    """
    from pymatgen.io.vasp.sets import MPRelaxSet

    symbols = [element.symbol for element in structure.composition.elements]
    table = MPRelaxSet.CONFIG["INCAR"]["LDAUU"].get(symbols[-1], {})
    return {symbol: table[symbol] for symbol in symbols if table.get(symbol)}


def _electronegativity(site: PeriodicSite) -> float:
    """Return the electronegativity of a site's element, and that of helium, neon and argon as 0.

    pymatgen has NaN for them. The scheme sorts a crystal's elements by it, takes the last one for
    the anion, and refuses values of U that are not those of its choice; after a NaN, what is last
    depends on the order that the elements came in.
    """
    found = float(site.specie.X)
    return 0.0 if math.isnan(found) else found
