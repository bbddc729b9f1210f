"""Work for processes of their own, which have to find it in a module."""

import os
import signal

import numpy as np
from ase.calculators.emt import EMT

from crystext.energies.potential import Potential
from crystext.errors import InputError
from crystext.structures.crystal import Crystal

COPPER = Crystal(
    np.full(3, 3.61),
    np.full(3, 90.0),
    np.full(4, 29),
    np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], dtype=float),
)


def emt():
    """Return ASE's own potential, which knows a few metals; copper's energy is of ASE 3.29."""
    return Potential("EMT", EMT(), known_energies=(("copper", COPPER, -0.00568),))


def halve_loader():
    return halve


def halve(number):
    if number < 0:
        raise InputError(f"{number} is negative")
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return number / 2


def dies_once(path):
    """Return a chore that dies the first time that it is done."""

    def chore(number):
        if not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return chore
