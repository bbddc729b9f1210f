"""M3GNet-MP-2021.2.8-PES through matgl, run as its weights were trained.

The potential of Chen and Ong, Nat. Comput. Sci. 2, 718 (2022), arXiv:2202.02450, with which Gruver
et al. (arXiv:2402.04379) relax. Its energies are those of PBE(+U) without corrections.

What goes wrong otherwise: matgl 3.0 to 4.1 loads these weights without a warning and gives wrong
energies for every compound, NaCl by 2 eV/atom and SrTiO3 by 8, but right ones for elements. Its
graph convolution sums the messages of edges into the atom where they start; these weights were
trained with sums into the atom where they end. So weights are identified by their digest, known
ones are run as they were trained, and the energies of `KNOWN_ENERGIES` are checked first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.known_energies import MGO, MOS, NACL, SI, SRTIO3
from crystext.energies.potential import (
    CalculatorResults,
    EnergiesOfBatch,
    EvaluateBatch,
    KnownEnergies,
    Potential,
)
from crystext.energies.potentials.loader import PotentialLoader
from crystext.energies.potentials.m3gnet_weights import (
    FILES,
    M3GNET,
    cached_weights,
    fetch_weights,
    find_weights,
)
from crystext.errors import ModelError
from crystext.runtime.hub import HUB_NAME_PATTERN

if TYPE_CHECKING:
    import torch
    from ase import Atoms
    from ase.calculators.calculator import Calculator

_NAMES_BY_DIGEST = {"0677372cbfa0203b8b783bba10a0196c2635874879d713247657fb07af2354be": M3GNET}
"""Potentials by the digest of their weights (see `_digest`)."""

_ATOMS_PER_BATCH, _ATOMS_PER_BATCH_ON_GPU = 160, 4096
"""Best number of atoms in a batch: a crystal of ten takes a thread 6 ms so, and 14 ms alone. The
number for a GPU is an estimate."""

KNOWN_ENERGIES: KnownEnergies = (
    ("MoS", MOS, -10.824362 / 2),
    ("Si", SI, -5.4190),
    ("NaCl", NACL, -3.3675),
    ("MgO", MGO, -5.9561),
    ("SrTiO3", SRTIO3, -8.0285),
)
"""Crystals, and their energies by M3GNet-MP-2021.2.8 in eV/atom.

The first was in matgl's own tests when the weights were trained; the others are from the same
weights, run in the way that gives the first, near the lattice constants of PBE.
"""


class M3GNetLoader(PotentialLoader):
    """Finds the weights of M3GNet in a folder, a cache or the Hub."""

    name = M3GNET
    files = FILES

    def load(self, source: str | Path | None = None) -> Potential:
        """Load the potential; see `PotentialLoader.load`."""
        return load_m3gnet(M3GNET if source is None else source)

    def unavailable(self) -> str:
        """Return why there are no weights; queries the Hub if no cache has them."""
        if cached_weights() is not None:
            return ""
        try:
            fetch_weights()
        except ModelError as error:
            return f"{M3GNET} is not in a cache, and {error}"
        return ""

    def reads(self, source: str | Path) -> bool:
        """Return whether it is a folder in matgl's layout, or OWNER/NAME on the Hub."""
        if Path(source).exists() or isinstance(source, Path):
            return super().reads(source)
        return HUB_NAME_PATTERN.fullmatch(source) is not None


LOADER = M3GNetLoader()


def load_m3gnet(source: str | Path = M3GNET) -> Potential:
    """Load the potential, which the caller still has to check by `potential.check_energies`.

    Args:
        source: see `m3gnet_weights.find_weights`.

    Raises:
        ModelError: the weights do not exist, matgl cannot read them, or they are unknown.
    """
    from crystext.runtime.device import move_to_gpu

    network = _load_network(source)
    digest = _digest(network)
    if digest not in _NAMES_BY_DIGEST:
        raise ModelError(
            f"the potential {source} has unknown weights (digest {digest[:12]}), so its energies "
            f"cannot be checked; expected {M3GNET}"
        )
    _sum_into_ends(network)
    move_to_gpu(network)
    on_gpu = next(network.parameters()).is_cuda
    return Potential(
        _NAMES_BY_DIGEST[digest],
        _calculator(network),
        EnergyCorrection.UNCORRECTED,
        KNOWN_ENERGIES,
        evaluate=_batch_evaluator(network),
        energies=_batch_energies(network),
        at_once=_ATOMS_PER_BATCH_ON_GPU if on_gpu else _ATOMS_PER_BATCH,
        cutoff=float(network.model.cutoff),  # type: ignore[union-attr,arg-type]
    )


def _load_network(source: str | Path) -> torch.nn.Module:
    folder = find_weights(source)
    try:
        import matgl

        network: torch.nn.Module = matgl.load_model(folder)
    # Readers of damaged files raise errors of no common class.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"the potential in {folder} cannot be loaded: {reason[:300]}. Expected "
            f"{', '.join(FILES)} of {M3GNET}, as matgl writes them; try to download them again"
        ) from error
    # In training mode matgl keeps the gradient graph, which takes half of the time.
    return network.eval().requires_grad_(False)


def _digest(network: torch.nn.Module) -> str:
    """Return the SHA-256 of all trained numbers, with their names and shapes."""
    digest = hashlib.sha256()
    for name, values in sorted(network.named_parameters()):
        array = values.detach().cpu().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode() + array.tobytes())
    return digest.hexdigest()


def _calculator(network: torch.nn.Module) -> Calculator:
    import numpy as np
    from ase.calculators.calculator import all_changes
    from matgl.ext.ase import PESCalculator

    class M3GNetCalculator(PESCalculator):
        """Checks for moved atoms faster: ASE checks five times a step."""

        def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
            known = self.atoms
            same = known is not None and all(
                np.array_equal(a, b)
                for a, b in (
                    (known.positions, atoms.positions),
                    (known.cell.array, atoms.cell.array),
                    (known.numbers, atoms.numbers),
                    (known.pbc, atoms.pbc),
                )
            )
            return [] if same else list(all_changes)

    # The default would be GPa, but ASE expects eV/Å^3.
    calculator: Calculator = M3GNetCalculator(network, stress_unit="eV/A3", use_voigt=True)
    return calculator


def _batch_evaluator(network: torch.nn.Module) -> EvaluateBatch:
    """Return a function that calculates many crystals as one graph."""
    import torch
    from ase.stress import full_3x3_to_voigt_6_stress
    from ase.units import GPa
    from matgl.ext.ase import Atoms2Graph
    from torch_geometric.data import Batch

    converter = Atoms2Graph(network.model.element_types, network.model.cutoff)  # type: ignore[union-attr,arg-type]

    def evaluate(many: Sequence[Atoms]) -> list[CalculatorResults]:
        graphs, lattices, _ = zip(*map(converter.get_graph, many), strict=True)
        lattice_B_3_3 = torch.cat([lattice.reshape(1, 3, 3) for lattice in lattices])
        energy, forces, stress, *_ = network(Batch.from_data_list(list(graphs)), lattice_B_3_3)
        energies = energy.detach().cpu().reshape(-1).tolist()
        of_atoms = forces.detach().cpu().split([len(atoms) for atoms in many])
        stresses = stress.detach().cpu().reshape(-1, 3, 3).numpy() * GPa
        return [
            {
                "energy": e,
                "free_energy": e,
                "forces": f.numpy(),
                "stress": full_3x3_to_voigt_6_stress(s),
            }
            for e, f, s in zip(energies, of_atoms, stresses, strict=True)
        ]

    return evaluate


def _batch_energies(network: torch.nn.Module) -> EnergiesOfBatch:
    """Return a function that calculates the energies of many crystals, and no forces."""
    import torch
    from matgl.ext.ase import Atoms2Graph
    from torch_geometric.data import Batch

    # Its own attributes are unknown to torch's types.
    potential: Any = network
    converter = Atoms2Graph(potential.model.element_types, potential.model.cutoff)

    def energies(many: Sequence[Atoms]) -> list[float]:
        graphs, lattices, _ = zip(*map(converter.get_graph, many), strict=True)
        lattice_B_3_3 = torch.cat([lattice.reshape(1, 3, 3) for lattice in lattices])
        flags = potential.calc_forces, potential.calc_stresses
        potential.calc_forces = potential.calc_stresses = False
        try:
            with torch.no_grad():
                energy, *_ = potential(Batch.from_data_list(list(graphs)), lattice_B_3_3)
        finally:
            potential.calc_forces, potential.calc_stresses = flags
        found: list[float] = energy.cpu().reshape(-1).tolist()
        return found

    return energies


def _sum_into_ends(network: torch.nn.Module) -> None:
    """Make all graph convolutions sum messages into the atom where an edge ends."""
    from matgl.layers._graph_convolution import M3GNetBlock

    from crystext.energies.potentials.m3gnet_layers import EndConvolution

    for block in network.modules():
        if isinstance(block, M3GNetBlock):
            block.conv = EndConvolution(block.conv)  # type: ignore[assignment]
