"""Relaxes atoms and cell together, in the variables of ASE's FrechetCellFilter at lower cost.

The variables are the atoms' positions in the initial cell, and the logarithm U of the deformation
F = exp(U). ASE recomputes the logarithm of F at every access, and nine derivatives of exp, one for
each entry of U; together they cost as much as M3GNet. Here U is stored, and one derivative replaces
the nine: the gradient with respect to U of a function whose gradient with respect to F is G is
L(U^T, G), since the adjoint of the Fréchet derivative L(U, .) of exp is L(U^T, .) (N. J. Higham,
Functions of Matrices, SIAM 2008, section 3.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.filters import FrechetCellFilter
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from scipy.linalg import expm, expm_frechet

if TYPE_CHECKING:
    from ase import Atoms

    from crystext.structures.crystal import Floats


class CellFilter(FrechetCellFilter):
    """Atoms and cell as one set of variables, all of them free.

    Steps and forces are those of ASE's filter to rounding, so an optimizer takes the same path.
    """

    def __init__(self, atoms: Atoms) -> None:
        """Take the current cell as the reference of deformations."""
        super().__init__(atoms)  # type: ignore[no-untyped-call]
        self._deformation_log = np.zeros((3, 3))

    def get_positions(self) -> Floats:
        """Return the variables (N + 3, 3): positions in Å, and U scaled by the number of atoms."""
        deformation = self._deformation()
        places = np.linalg.solve(deformation, self.atoms.positions.T).T
        return np.concatenate([places, self.exp_cell_factor * self._deformation_log])

    def set_positions(self, new: Floats, **kwargs: Any) -> None:  # type: ignore[override]
        """Set the variables."""
        count = len(self.atoms)
        self._deformation_log = np.array(new[count:]) / self.exp_cell_factor
        deformation = expm(self._deformation_log)
        self.atoms.set_cell(self.orig_cell @ deformation.T)
        self.atoms.set_positions(new[:count] @ deformation.T, **kwargs)

    def get_forces(self, **kwargs: Any) -> Floats:
        """Return the forces on the variables (N + 3, 3), eV/Å and eV over the number of atoms."""
        stress = voigt_6_to_full_3x3_stress(self.atoms.get_stress(**kwargs))
        deformation = self._deformation()
        virial = -self.atoms.get_volume() * stress
        pull = virial @ np.linalg.inv(deformation.T)
        cell = expm_frechet(self._deformation_log.T, pull, compute_expm=False)
        self.stress = full_3x3_to_voigt_6_stress(stress)
        atoms = self.atoms.get_forces(**kwargs) @ deformation
        return np.concatenate([atoms, cell / self.exp_cell_factor])

    def _deformation(self) -> Floats:
        """Return F, which maps the initial cell to the current one."""
        return np.asarray(self.deform_grad())  # type: ignore[no-untyped-call]
