"""A potential of your own: any calculator of ASE, with energies that are known for it.

python examples/08_potential.py
crystext relax CRYSTALS --potential examples/08_potential.py:emt --out relaxed

The function takes no argument and returns a `Potential`. It is checked by the `known_energies`
before it relaxes anything; without any, by measured heats of formation of NiAl, SiC and TiC. Its
energies are of a kind of their own (`EnergyCorrection.OWN`) unless `scale` says otherwise, and are
compared with those of the same name only.
"""

from ase.build import bulk
from ase.calculators.emt import EMT

from crystext import Potential, as_crystal, load_potential, relax


def emt() -> Potential:
    """Return ASE's effective medium theory, for Al, Cu, Ag, Au, Ni, Pd and Pt."""
    copper = as_crystal(bulk("Cu", "fcc", a=3.61))
    return Potential(
        name="EMT of ASE",
        calculator=EMT(),
        known_energies=(("fcc Cu", copper, -0.0057),),  # eV per atom, by ASE 3.29
        cutoff=5.9,  # Å; a crystal with an atom that has no neighbour so near has no energy
    )


if __name__ == "__main__":
    potential = load_potential(emt)
    relaxed = relax(bulk("Au", "fcc", a=4.3), potential)
    assert relaxed.crystal is not None
    edge = (4 * relaxed.crystal.volume) ** (1 / 3)
    print(f"gold, {relaxed.outcome.value} after {relaxed.steps} steps: a = {edge:.3f} Å")
