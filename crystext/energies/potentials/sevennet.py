"""SevenNet-0, whose weights are inside its package: it needs no network.

The potential of Park et al., J. Chem. Theory Comput. 20, 4857 (2024), arXiv:2402.03789, in its
version of 11 July 2024, trained on energies of Materials Project without corrections. It is an
extra, `pip install crystext[sevennet]`: the package sevenn is under the GNU General Public License.

What goes wrong otherwise: a name such as 7net-omni, given to sevenn, downloads weights; the path of
the file in the package does not.
"""

from __future__ import annotations

import importlib.util
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.known_energies import MGO, NACL, SI, SRTIO3
from crystext.energies.potential import KnownEnergies, Potential
from crystext.energies.potentials.loader import PotentialLoader
from crystext.errors import ModelError

SEVENNET = "SevenNet-0"
