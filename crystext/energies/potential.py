"""A machine-learned potential that has to prove itself before it says anything.

Knows M3GNet-MP-2021.2.8-PES (Chen and Ong, Nat. Comput. Sci. 2, 718 (2022), arXiv:2202.02450), the
potential with which Gruver et al. (arXiv:2402.04379) relax. Its energies are those of PBE(+U)
without corrections: see `hull` for what has to be added.

What goes wrong otherwise: matgl 3.0 to 4.1 loads these weights without a word and gets every
compound wrong, NaCl by 2 eV/atom and SrTiO3 by 8, while elements come out right and hide it. Its
graph convolution sums the messages of edges into the atom where they start; these weights were
trained with sums into the atom where they end. So weights are known by their content, known ones
are run in the way they were trained, and the energies of `PROOF` have to come out before any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from crystext.crystal import Crystal
from crystext.elements import ATOMIC_NUMBERS
from crystext.errors import ModelError

if TYPE_CHECKING:
    import torch
    from ase import Atoms
    from ase.calculators.calculator import Calculator

M3GNET = "M3GNet-MP-2021.2.8-PES"
"""Name of the potential, under which the Hub keeps it, too."""

_KNOWN = {"0677372cbfa0203b8b783bba10a0196c2635874879d713247657fb07af2354be": M3GNET}
"""Potentials by the digest of their weights (see `_digest`)."""

_FILES = ("model.json", "model.pt", "state.pt")
"""What matgl writes of a potential; it reads tensors from them and runs nothing."""

TOLERANCE_EV_PER_ATOM = 1e-3
"""How far an energy of the proof may be off. Single precision makes no more than 1e-5."""


def _cubic(length: float, sites: Sequence[tuple[str, Sequence[Sequence[float]]]]) -> Crystal:
    return Crystal(
        np.full(3, length),
        np.full(3, 90.0),
        np.array([ATOMIC_NUMBERS[symbol] for symbol, places in sites for _ in places]),
        np.array([place for _, places in sites for place in places], dtype=np.float64),
    )


_CORNER = [(0.0, 0.0, 0.0)]
_FACES = [(0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)]
_EDGES = [(0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5)]
_CENTRE = [(0.5, 0.5, 0.5)]
_FCC = _CORNER + _FACES
_QUARTERS = [(x + 0.25, y + 0.25, z + 0.25) for x, y, z in _FCC]

PROOF: tuple[tuple[str, Crystal, float], ...] = (
    ("MoS", _cubic(4.0, [("Mo", _CORNER), ("S", _CENTRE)]), -10.824362 / 2),
    ("Si", _cubic(5.468, [("Si", _FCC + _QUARTERS)]), -5.4190),
    ("NaCl", _cubic(5.692, [("Na", _FCC), ("Cl", _CENTRE + _EDGES)]), -3.3675),
    ("MgO", _cubic(4.25, [("Mg", _FCC), ("O", _CENTRE + _EDGES)]), -5.9561),
    ("SrTiO3", _cubic(3.945, [("Sr", _CORNER), ("Ti", _CENTRE), ("O", _FACES)]), -8.0285),
)
"""Crystals, and what M3GNet-MP-2021.2.8 says of them in eV/atom.

The first stood in matgl's own tests when the weights were trained; the others are what the same
weights, run in the way that gives the first, say near the lattice constants of PBE.
"""


@dataclass(frozen=True)
class Potential:
    """A potential that has proved itself."""

    name: str
    calculator: Calculator
    """Of ASE; gives energy (eV), forces (eV/Å) and stress (eV/Å^3)."""

    def energy(self, crystal: Crystal) -> float:
        """Return the energy of a cell in eV, without corrections."""
        atoms = to_atoms(crystal)
        atoms.calc = self.calculator
        return float(atoms.get_potential_energy())


def load_potential(source: str | Path = M3GNET) -> Potential:
    """Load a potential and have it prove itself.

    Args:
        source: a folder with `model.json`, `model.pt` and `state.pt`; else a name on the Hub.

    Raises:
        ModelError: there is nothing of that name, matgl cannot read it, its weights are no known
            ones, or it gives other energies than these have to give.
    """
    network = _read(source)
    digest = _digest(network)
    if digest not in _KNOWN:
        raise ModelError(
            f"the potential {source} is none whose energies are known beforehand (its weights have "
            f"the digest {digest[:12]}), so it cannot prove itself; expected {M3GNET}"
        )
    _sum_into_ends(network)
    potential = Potential(_KNOWN[digest], _calculator(network))
    prove(potential)
    return potential


def prove(potential: Potential) -> None:
    """Raise `ModelError` unless the potential gives the energies of `PROOF`."""
    wrong = []
    for name, crystal, expected in PROOF:
        found = potential.energy(crystal) / len(crystal)
        if not abs(found - expected) <= TOLERANCE_EV_PER_ATOM:
            wrong.append(f"{name} {found:.4f} instead of {expected:.4f}")
    if wrong:
        raise ModelError(
            f"the potential {potential.name} gives wrong energies in eV/atom: {'; '.join(wrong)}. "
            "The installed matgl runs these weights in another way than they were trained; try the "
            "version in constraints.txt"
        )


def to_atoms(crystal: Crystal) -> Atoms:
    """Return a crystal as ASE atoms, periodic in all directions."""
    from ase import Atoms

    return Atoms(
        numbers=crystal.numbers,
        cell=crystal.lattice,
        scaled_positions=crystal.positions,
        pbc=True,
    )


def _read(source: str | Path) -> torch.nn.Module:
    folder = Path(source)
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if folder.is_dir() and missing:
        raise ModelError(f"{folder} is no potential of matgl's: it lacks {', '.join(missing)}")
    try:
        import matgl

        network: torch.nn.Module = matgl.load_model(source)
    # Readers of damaged files and of the Hub raise errors of no common class.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"the potential {source} cannot be loaded: {reason[:300]}. Give a folder that holds "
            f"{', '.join(_FILES)}, or be online to have {M3GNET} downloaded"
        ) from error
    # In training mode matgl keeps the graph of the gradient, which takes half of the time.
    return network.eval().requires_grad_(False)


def _digest(network: torch.nn.Module) -> str:
    """Return the SHA-256 of all trained numbers, with their names and shapes."""
    digest = hashlib.sha256()
    for name, values in sorted(network.named_parameters()):
        array = values.detach().cpu().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode() + array.tobytes())
    return digest.hexdigest()


def _calculator(network: torch.nn.Module) -> Calculator:
    from matgl.ext.ase import PESCalculator

    # The default would be GPa, which ASE takes for eV/Å^3.
    calculator: Calculator = PESCalculator(network, stress_unit="eV/A3", use_voigt=True)
    return calculator


def _sum_into_ends(network: torch.nn.Module) -> None:
    """Have all graph convolutions sum messages into the atom where an edge ends."""
    from matgl.layers._graph_convolution import M3GNetGraphConv

    for layer in network.modules():
        if isinstance(layer, M3GNetGraphConv):
            layer.node_update_ = MethodType(_node_update, layer)  # type: ignore[method-assign]


def _node_update(
    layer: Any,
    edge_index: torch.Tensor,
    edge_feat: torch.Tensor,
    node_feat: torch.Tensor,
    rbf: torch.Tensor,
    u_per_edge: torch.Tensor | None,
    num_nodes: int,
) -> torch.Tensor:
    """Return the sums of messages per atom: Eq. 5 of the paper.

    For an edge from i to j the message is gated(v_i, v_j, e_ij) * (W rbf_ij), and it goes to j.
    """
    import torch

    start, end = edge_index[0].long(), edge_index[1].long()
    features = [node_feat[start], node_feat[end], edge_feat]
    if u_per_edge is not None:
        features.append(u_per_edge)
    messages = layer.node_update_func(torch.hstack(features)) * layer.node_weight_func(rbf)
    sums: torch.Tensor = messages.new_zeros(num_nodes, messages.shape[1]).index_add_(
        0, end, messages
    )
    return sums
