"""M3GNet's graph convolution as its published weights were trained, at lower cost.

For an edge from i to j with features e_ij, atoms with features v and radial basis h_ij:

    e_ij <- e_ij + gated([v_i, v_j, e_ij]) * (W h_ij)                       Eq. 4 of the paper
    v_j  <- v_j + sum over edges to j of gated'([v_i, v_j, e_ij]) * (W' h_ij)       Eq. 5

Chen and Ong, Nat. Comput. Sci. 2, 718 (2022), arXiv:2202.02450. The first layer of a gated network
is linear, and its input is a concatenation of three: so its output for v_i and v_j is computed once
per atom, not once per edge, which saves four multiplications of ten. Sums run in a different order
from matgl's, and agree to single precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from matgl.layers._core import GatedMLP
    from matgl.layers._graph_convolution import M3GNetGraphConv


class _Gated(torch.nn.Module):
    """A gated network, values times gates, whose two first layers are fused."""

    of_start: torch.Tensor
    of_end: torch.Tensor
    of_edge: torch.Tensor
    bias: torch.Tensor

    def __init__(self, network: GatedMLP, atoms: int) -> None:
        """Take the weights of a network whose input is the features of two atoms and an edge.

        Args:
            network: matgl's.
            atoms: number of features of an atom.
        """
        super().__init__()
        value, gate = cast("list[torch.nn.Linear]", [network.layers[0], network.gates[0]])
        # After the first layer and its activation.
        self.value, self.gate = network.layers[2:], network.gates[2:]
        weight = torch.cat([value.weight, gate.weight]).detach()
        self.hidden = value.out_features
        self.register_buffer("of_start", weight[:, :atoms].T.contiguous())
        self.register_buffer("of_end", weight[:, atoms : 2 * atoms].T.contiguous())
        self.register_buffer("of_edge", weight[:, 2 * atoms :].T.contiguous())
        self.register_buffer("bias", torch.cat([value.bias, gate.bias]).detach())

    def forward(self, atoms_E_H: torch.Tensor, edges_E_F: torch.Tensor) -> torch.Tensor:
        """Return values of edges, given the first layer's output for their atoms."""
        first_E_H = torch.nn.functional.silu(torch.addmm(atoms_E_H, edges_E_F, self.of_edge))
        value, gate = first_E_H[:, : self.hidden], first_E_H[:, self.hidden :]
        values: torch.Tensor = self.value(value) * self.gate(gate)
        return values


class EndConvolution(torch.nn.Module):
    """Replaces a layer of matgl that was trained with sums into the ends of edges."""

    of_start: torch.Tensor
    of_end: torch.Tensor
    bias: torch.Tensor

    def __init__(self, layer: M3GNetGraphConv) -> None:
        """Take the weights of a layer without global features."""
        super().__init__()
        of_edge: GatedMLP = layer.edge_update_func  # type: ignore[assignment]
        of_atom: GatedMLP = layer.node_update_func  # type: ignore[assignment]
        atoms = of_atom.dims[-1]
        self.edge, self.atom = _Gated(of_edge, atoms), _Gated(of_atom, atoms)
        self.edge_weight, self.atom_weight = layer.edge_weight_func, layer.node_weight_func
        parts = (self.edge, self.atom)
        self.register_buffer("of_start", torch.cat([part.of_start for part in parts], dim=1))
        self.register_buffer("of_end", torch.cat([part.of_end for part in parts], dim=1))
        self.register_buffer("bias", torch.cat([part.bias for part in parts]))
        self.width = self.edge.of_start.shape[1]

    def forward(
        self,
        edge_index: torch.Tensor,
        edge_feat: torch.Tensor,
        node_feat: torch.Tensor,
        state_feat: torch.Tensor | None,
        rbf: torch.Tensor,
        *unused: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return new features of edges and atoms, and global features unchanged.

        Called by matgl in place of its own layer, with further arguments that only batches and
        global features need.
        """
        start, end = edge_index[0].long(), edge_index[1].long()
        of_start_N_H = torch.addmm(self.bias, node_feat, self.of_start)
        # One gather for both networks; index_select, since its gradient is faster.
        atoms_E_H = of_start_N_H.index_select(0, start) + (node_feat @ self.of_end).index_select(
            0, end
        )
        change = self.edge(atoms_E_H[:, : self.width], edge_feat) * self.edge_weight(rbf)
        edge_feat = edge_feat + change
        messages = self.atom(atoms_E_H[:, self.width :], edge_feat) * self.atom_weight(rbf)
        return edge_feat, node_feat.index_add(0, end, messages), state_feat
