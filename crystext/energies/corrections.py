"""What an energy of DFT or of a potential holds, and what it takes to compare it with others.

Corrections are those of MaterialsProject2020Compatibility in pymatgen (Wang et al., Sci. Rep. 11,
15496 (2021)), with the U that MPRelaxSet gives to these elements.

What goes wrong otherwise: energies without corrections on a corrected hull are off by 0.7 eV an
oxygen atom, and so are energies of a potential that has learned them already, corrected again.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from crystext.crystal import Crystal

if TYPE_CHECKING:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility


class Scale(Enum):
    """What energies hold. The value is one sentence for people."""

    UNCORRECTED = "PBE and PBE+U as computed; MP2020 corrections have to be added"
    CORRECTED = "PBE and PBE+U with MP2020 corrections"
    OWN = "of another kind, to be compared with energies of the same potential only"

    @property
    def word(self) -> str:
        """The scale's name in tables and on the command line."""
        return self.name.lower()


def comparable(crystal: Crystal, energy: float, scale: Scale) -> float:
    """Return an energy with its corrections, in eV a cell.

    Args:
        crystal: the relaxed cell; corrections look at its bonds.
        energy: of the cell, in eV.
        scale: what the energy holds already.
    """
    return energy + correction(crystal) if scale is Scale.UNCORRECTED else energy


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
