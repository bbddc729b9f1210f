"""SevenNet-0, whose weights are inside its package: it needs no network.

The potential of Park et al., J. Chem. Theory Comput. 20, 4857 (2024), arXiv:2402.03789, in its
version of 11 July 2024, trained on energies of Materials Project without corrections. It is an
extra, `pip install crystext[sevennet]`; package and weights are under the MIT licence.

What goes wrong otherwise: sevenn downloads weights for the names of its other models, and for this
one where its file is missing. Here the file of the package is opened, or nothing.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.known_energies import MGO, NACL, SI, SRTIO3
from crystext.energies.potential import KnownEnergies, Potential
from crystext.energies.potentials.loader import PotentialLoader
from crystext.errors import ModelError, describe_error

SEVENNET = "SevenNet-0-11Jul2024"

_INSTALL = "install it with pip install 'crystext[sevennet]'"

KNOWN_ENERGIES: KnownEnergies = (
    ("Si", SI, -5.4029),
    ("NaCl", NACL, -3.3839),
    ("MgO", MGO, -5.9774),
    ("SrTiO3", SRTIO3, -8.0218),
)
"""Crystals, and their energies by SevenNet-0 of 11 July 2024, run by sevenn 0.13.0, in eV/atom."""


class SevenNetLoader(PotentialLoader):
    """Loads SevenNet-0 from its package."""

    name = SEVENNET
    aliases = ("sevennet-0", "7net-0")

    def load(self, source: str | Path | None = None) -> Potential:
        """Load the potential; see `PotentialLoader.load`."""
        if reason := self.unavailable():
            raise ModelError(f"SevenNet-0 cannot be loaded: {reason}")
        with warnings.catch_warnings():
            # About accelerators of GPUs that are not installed.
            warnings.simplefilter("ignore")
            try:
                from sevenn import _const
                from sevenn.calculator import SevenNetCalculator

                weights = Path(_const.SEVENNET_0_11Jul2024)
                if not weights.is_file():
                    raise ModelError(f"the package sevenn has no file {weights}; {_INSTALL}")
                calculator = SevenNetCalculator(str(weights), device="cpu")
            except (ImportError, AttributeError, OSError) as error:
                reason = describe_error(error, "the package sevenn is another version")
                raise ModelError(f"SevenNet-0 cannot be loaded: {reason}; {_INSTALL}") from None
        return Potential(
            SEVENNET,
            calculator,
            EnergyCorrection.UNCORRECTED,
            KNOWN_ENERGIES,
            cutoff=float(calculator.cutoff),
        )

    def unavailable(self) -> str:
        """Return why the potential cannot be loaded: its package is an extra."""
        if importlib.util.find_spec("sevenn") is None:
            return f"the package sevenn is not installed; {_INSTALL}"
        return ""


LOADER = SevenNetLoader()
