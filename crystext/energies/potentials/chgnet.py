"""CHGNet 0.3.0, whose weights are inside its package: it needs no network.

The potential of Deng et al., Nat. Mach. Intell. 5, 1031 (2023), arXiv:2302.14231, trained on
energies of Materials Project with MP2020 corrections: correcting them again is wrong by 0.7 eV per
oxygen atom.

What goes wrong otherwise: for a crystal whose atoms are all farther apart than its cutoff, chgnet's
model raises an error, but its ASE calculator by default returns a number. The default is changed
here, and relaxations check for such atoms first (see `neighbours`).
"""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.known_energies import MGO, NACL, SI, SRTIO3
from crystext.energies.potential import KnownEnergies, Potential
from crystext.energies.potentials.loader import PotentialLoader
from crystext.errors import ModelError

CHGNET = "CHGNet-0.3.0"

_VERSION = "0.3.0"
"""Of the weights; the package has a different version."""

KNOWN_ENERGIES: KnownEnergies = (
    ("Si", SI, -5.3138),
    ("NaCl", NACL, -3.6680),
    ("MgO", MGO, -6.3139),
    ("SrTiO3", SRTIO3, -8.4236),
)
"""Crystals, and their energies by CHGNet 0.3.0, run by chgnet 0.4.2, in eV/atom.

Apart from the corrections they agree with M3GNet's to 0.02 eV/atom in all but Si.
"""


class CHGNetLoader(PotentialLoader):
    """Loads CHGNet from its package."""

    name = CHGNET

    def load(self, source: str | Path | None = None) -> Potential:
        """Load the potential; see `PotentialLoader.load`."""
        # It prints its device to standard output, which is reserved for results.
        with redirect_stdout(StringIO()):
            try:
                from chgnet.model.dynamics import CHGNetCalculator
                from chgnet.model.model import CHGNet
            except ImportError as error:
                raise ModelError(
                    f"CHGNet needs the package chgnet, which cannot be imported ({error}); try "
                    "pip install chgnet"
                ) from None
            network = CHGNet.load(model_name=_VERSION, use_device="cpu", verbose=False)
            calculator = CHGNetCalculator(network, use_device="cpu", on_isolated_atoms="error")
        # About its own use of torch, and argon's electronegativity, once per process.
        warnings.filterwarnings("ignore", module=r"chgnet\.")
        warnings.filterwarnings("ignore", message="No Pauling electronegativity")
        cutoff = float(network.graph_converter.atom_graph_cutoff)
        return Potential(
            CHGNET, calculator, EnergyCorrection.CORRECTED, KNOWN_ENERGIES, cutoff=cutoff
        )


LOADER = CHGNetLoader()
