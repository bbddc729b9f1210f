"""A potential: the effective medium theory of ASE, checked by an energy of copper."""

from pathlib import Path

import numpy as np

from crystext.energies.potential import Potential
from crystext.energies.potentials.loader import PotentialLoader
from crystext.structures.crystal import Crystal

COPPER = Crystal(
    np.full(3, 3.61),
    np.full(3, 90.0),
    np.full(4, 29),
    np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], dtype=float),
)


class EmtLoader(PotentialLoader):
    """Needs no weights."""

    name = "EMT-ASE"
    aliases = ("effective-medium",)

    def load(self, source: str | Path | None = None) -> Potential:
        from ase.calculators.emt import EMT

        known = (("copper", COPPER, -0.00568),)
        return Potential(self.name, EMT(), known_energies=known, cutoff=5.9)


LOADER = EmtLoader()
