"""MatterSim-v1 in closed form: what the official ``M3Gnet`` computes, with its weights.

The one large saving is exact: the weight that a block gives to an angle's basis functions depends on the central atom only,
which all angles of an edge share. So the basis functions are summed over the angles of each edge once, and no block sees an
angle. First layers of gated MLPs act on atoms and edges before these are gathered; gates are 1 / (1 + exp), since ONNX
Runtime's Sigmoid has an absolute error of 1.6e-7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..family import ExportError
from .distinct import distinct

if TYPE_CHECKING:
    from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

#: The official code keeps cosines this far from -1 and 1.
CLAMP = 1e-7


class MatterSim(nn.Module):
    """The network up to a block, and the energy if that is the last; weights from the official model."""

    def __init__(self, model: M3Gnet, layer: int) -> None:
        super().__init__()
        model = model.double()
        units = model.model_args["units"]
        self.threebody_cutoff = float(model.model_args["threebody_cutoff"])
        self.register_buffer("elements", _matrix(model.atom_embedding.mlp[0].linear))
        self.radial = RadialBasis(model.rbf)
        self.angular = AngularBasis(model.sbf)
        self.register_buffer("embed_edge", _matrix(model.edge_encoder.mlp[0].linear))
        self.blocks = nn.ModuleList(Block(block, units) for block in model.graph_conv[: layer + 1])
        last = layer == len(model.graph_conv) - 1
        self.readout = GatedMLP(model.final, (units,)) if last else None
        self.register_buffer("scale", model.normalizer.scale.detach().double())
        self.register_buffer("shift", model.normalizer.shift.detach().double())

    def forward(
        self, atomic_numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor, angle_index: Tensor
    ) -> tuple[Tensor, ...]:
        centres, neighbours = edge_index[0], edge_index[1]
        lengths = edge_vectors.square().sum(dim=1, keepdim=True).sqrt()
        different, same_length = distinct(lengths.squeeze(1))
        different_basis = self.radial(different.unsqueeze(1))
        basis = different_basis.index_select(0, same_length)
        edges = nn.functional.silu(different_basis @ self.embed_edge).index_select(0, same_length)

        first, second = angle_index[0], angle_index[1]
        directions = edge_vectors / lengths
        decay = _decay(different.unsqueeze(1), self.threebody_cutoff).index_select(0, same_length)
        radial = self.angular.radial(different.unsqueeze(1)).index_select(0, same_length) * decay
        cosines = (directions.index_select(0, first) * directions.index_select(0, second)).sum(dim=1, keepdim=True)
        angular = radial.index_select(0, second) * self.angular.legendre(cosines.clamp(CLAMP - 1, 1 - CLAMP))
        angles = radial.new_zeros(edges.shape[0], radial.shape[1]).index_add(0, first, angular) * decay

        atoms = self.elements.index_select(0, atomic_numbers)
        for block in self.blocks:
            atoms, edges = block(atoms, edges, basis, angles, centres, neighbours)
        if self.readout is None:
            return (atoms,)
        energy = self.readout(self.readout.part(0, atoms)).squeeze(1)
        return atoms, energy * self.scale.index_select(0, atomic_numbers) + self.shift.index_select(0, atomic_numbers)


def _decay(distance: Tensor, cutoff: float) -> Tensor:
    """Polynomial that goes to 0 at the cutoff, with two derivatives."""
    x = distance / cutoff
    return (1 - x**3 * (10 - x * (15 - x * 6))).clamp(min=0)


class RadialBasis(nn.Module):
    """Smooth Bessel functions, [n, n_basis] from distances [n, 1]: the official recursion is linear in sin(k x) / (k x)."""

    def __init__(self, official: nn.Module) -> None:
        super().__init__()
        count = official.max_n
        waves = (torch.arange(count + 1, dtype=torch.float64) + 1) * official.n_1_pi_cutoff.double()[0, 0]
        rows = torch.zeros(count, count + 1, dtype=torch.float64)
        dn, en = official.dn.double(), official.en.double()[0]
        for i in range(count):
            rows[i, i] = rows[i, i + 1] = official.fnr_weights.double()[0, i]
            if i > 0:
                rows[i] = (rows[i] + torch.sqrt(en[i] / dn[i - 1]) * rows[i - 1]) / torch.sqrt(dn[i])
        self.register_buffer("waves", waves)
        self.register_buffer("matrix", (rows / waves).T.contiguous())

    def forward(self, distances: Tensor) -> Tensor:
        return (torch.sin(distances * self.waves) / distances) @ self.matrix


class AngularBasis(nn.Module):
    """Spherical Bessel functions of the second edge's length times Legendre polynomials of the cosine, [n, max_n * max_l].
    ``coef[order, term]`` alternates amplitudes and wave numbers, as in the official module.
    """

    def __init__(self, official: nn.Module) -> None:
        super().__init__()
        self.max_n, self.max_l, self.cutoff = official.max_n, official.max_l, float(official.cutoff)
        self.factor = float(official.factor)
        self.register_buffer("coef", official.coef.double()[:, :, : self.max_l])

    def radial(self, distances: Tensor) -> Tensor:
        x = distances / self.cutoff
        c = self.coef
        orders = [torch.sin(c[0, 0] * x) / x]
        if self.max_n > 1:
            orders.append((c[1, 0] * x * torch.cos(c[1, 1] * x) + c[1, 2] * torch.sin(c[1, 3] * x)) / x**2)
        if self.max_n > 2:
            waves = (
                c[2, 0] * x**2 * torch.sin(c[2, 1] * x)
                - c[2, 2] * x * torch.cos(c[2, 3] * x)
                + c[2, 4] * torch.sin(c[2, 5] * x)
            )
            orders.append(waves / x**3)
        if self.max_n > 3:
            waves = c[3, 0] * x**3 * torch.cos(c[3, 1] * x) - c[3, 2] * x**2 * torch.sin(c[3, 3] * x)
            waves = waves - c[3, 4] * x * torch.cos(c[3, 5] * x) + c[3, 6] * torch.sin(c[3, 7] * x)
            orders.append(waves / x**4)
        return torch.cat(orders, dim=1) * self.factor

    def legendre(self, x: Tensor) -> Tensor:
        orders = [torch.ones_like(x), x, 1.5 * x * x - 0.5, x * (2.5 * x * x - 1.5)][: self.max_l]
        scaled = [order * math.sqrt((2 * l + 1) / (4 * math.pi)) for l, order in enumerate(orders)]
        return torch.cat([order for order in scaled for _ in range(self.max_n)], dim=1)


class GatedMLP(nn.Module):
    """The official ``GatedMLP``: one stack of layers times another that ends in a sigmoid. The first layers of both are one matrix,
    core in the first half of the columns, split by the parts of the input; ``forward`` takes the sum of the ``part`` products.
    """

    def __init__(self, official: nn.Module, widths: Sequence[int]) -> None:
        super().__init__()
        stacks = (list(official.g), list(official.sigma))
        first = torch.cat([_matrix(stack[0].linear) for stack in stacks], dim=1)
        for k, part in enumerate(first.split(list(widths))):
            self.register_buffer(f"part_{k}", part)
        biases = [stack[0].linear.bias for stack in stacks]
        self.register_buffer("bias", None if biases[0] is None else torch.cat([bias.detach() for bias in biases]))
        self.width = first.shape[1] // 2
        self.core, self.gate = (
            nn.ModuleList(layer.linear for layer in stacks[0][1:]),
            nn.ModuleList(layer.linear for layer in stacks[1][1:]),
        )
        kinds = [type(layer).__name__ for stack in stacks for layer in stack[:-1]]
        ends = tuple(type(stack[-1]).__name__ for stack in stacks)
        if any(kind != "SwishLayer" for kind in kinds) or ends not in (
            ("SwishLayer", "SigmoidLayer"),
            ("LinearLayer", "SigmoidLayer"),
        ):
            raise ExportError(
                "export_failed",
                f"koine's graph of MatterSim lacks a gated MLP of {kinds} and {ends}",
                "report this checkpoint",
            )
        self.swish = ends[0] == "SwishLayer"

    def part(self, k: int, x: Tensor) -> Tensor:
        product = x @ getattr(self, f"part_{k}")
        return product if k > 0 or self.bias is None else product + self.bias

    def forward(self, x: Tensor) -> Tensor:
        core, gate = x.split(self.width, dim=1)
        for layer in self.core:
            core = layer(nn.functional.silu(core))
        for layer in self.gate:
            gate = layer(nn.functional.silu(gate))
        return (nn.functional.silu(core) if self.swish else core) / (1 + torch.exp(-gate))


class Block(nn.Module):
    """Three-body terms to edges, then atoms to edges, then edges to atoms."""

    def __init__(self, official: nn.Module, units: int) -> None:
        super().__init__()
        three = official.three_body
        self.weigh = three.atom_mlp.linear
        self.three = GatedMLP(three.edge_gate_mlp, (three.edge_gate_mlp.g[0].linear.in_features,))
        self.to_edge = GatedMLP(official.gated_mlp_edge, (units, units, units))
        self.to_atom = GatedMLP(official.gated_mlp_atom, (units, units, units))
        self.register_buffer("weigh_edge", _matrix(official.edge_layer_edge.linear))
        self.register_buffer("weigh_atom", _matrix(official.edge_layer_atom.linear))

    def forward(
        self, atoms: Tensor, edges: Tensor, basis: Tensor, angles: Tensor, centres: Tensor, neighbours: Tensor
    ) -> tuple[Tensor, Tensor]:
        weights = 1 / (1 + torch.exp(-self.weigh(atoms)))
        edges = edges + self.three(self.three.part(0, angles * weights.index_select(0, centres)))

        def pairs(mlp: GatedMLP, edges: Tensor) -> Tensor:
            ends = mlp.part(0, atoms).index_select(0, centres) + mlp.part(1, atoms).index_select(0, neighbours)
            return mlp(ends + mlp.part(2, edges))

        edges = edges + pairs(self.to_edge, edges) * (basis @ self.weigh_edge)
        messages = pairs(self.to_atom, edges) * nn.functional.silu(basis @ self.weigh_atom)
        return atoms + torch.zeros_like(atoms).index_add(0, centres, messages), edges


def _matrix(linear: nn.Linear) -> Tensor:
    """[inputs, outputs]"""
    return linear.weight.detach().T
