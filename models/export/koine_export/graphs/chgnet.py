"""CHGNet in closed form: what the official model computes for each structure alone, with its weights and fewer operations.

* the first linear layer of a gated MLP acts on a concatenation; it is applied to atoms, bonds and angles before they are
  gathered for edges and angles;
* only bonds within the angle cutoff ever change, so only these (about one in eight) carry features of their own; a long bond
  is a function of its length, computed once for each different length;
* the bias that version 0.2.0 adds to every bond of a structure with angles is one vector, added where bonds are read;
* layer normalisations get centred inputs, since their linear layers are centred in float64; gates are 1 / (1 + exp), since
  ONNX Runtime's Sigmoid has an absolute error of 1.6e-7; angles come from half-angle tangents, which are exact near 0 and 180°.

The official model gives another result in a batch for a structure without angles (its bonds then pass the bond layers, whose
bias moves them): here it is the value alone.
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
    from chgnet.model.model import CHGNet as OfficialCHGNet

#: A bond this much longer than the cutoff may still have angles: the host compares float64 lengths, the graph float32.
ROUNDING = 1e-6
#: The official code shrinks cosines by this much before the arc cosine.
SHRINKING = 1e-6


class CHGNet(nn.Module):
    """The network up to an ``AtomConv`` block, and the energy if that is the last but one; weights from the official model."""

    def __init__(self, model: OfficialCHGNet, layer: int) -> None:
        super().__init__()
        widths = (model.bond_fea_dim, model.bond_fea_dim, model.angle_embedding.out_features, model.atom_fea_dim)
        last = layer == model.n_conv - 2
        encoder = model.bond_basis_expansion
        self.angle_cutoff = float(model.graph_converter.bond_graph_cutoff) * (1 + ROUNDING)
        self.register_buffer(
            "elements", nn.functional.pad(model.atom_embedding.embedding.weight.detach(), (0, 0, 1, 0))
        )
        self.radial = RadialBasis(encoder.rbf_expansion_ag)
        self.short_radial = RadialBasis(encoder.rbf_expansion_bg)
        self.register_buffer("embed_bond", _matrix(model.bond_embedding))
        self.register_buffer("weigh_edge", _matrix(model.bond_weights_ag))
        self.register_buffer("weigh_bond", _matrix(model.bond_weights_bg))
        self.angles = AngleFeatures(model.angle_basis_expansion.fourier_expansion, _matrix(model.angle_embedding))
        moved = torch.zeros(model.bond_fea_dim, dtype=torch.float64)  # what biases have added to every bond so far
        atoms, bonds, angles = [], [], []
        final = model.n_conv - 1 if last else layer
        for t in range(final + 1):
            atoms.append(AtomConv(model.atom_conv_layers[t], self.embed_bond, moved))
            bond = model.bond_conv_layers[t] if t < final else None
            bonds.append(None if bond is None else BondConv(bond, widths, moved))
            if bond is not None and bond.mlp_out.layers[1].bias is not None:
                moved = moved + bond.mlp_out.layers[1].bias.detach()
            angle = (
                model.angle_layers[t] if bond is not None and t < final - 1 else None
            )  # nothing reads the last angles
            angles.append(None if angle is None else AngleUpdate(angle, widths, moved))
        self.atom_layers, self.bond_layers, self.angle_layers = (
            nn.ModuleList(atoms),
            nn.ModuleList(bonds),
            nn.ModuleList(angles),
        )
        self.biased_bonds = any(convolution.moved is not None for convolution in atoms)
        self.layer = layer
        self.readout = Readout(model) if last else None

    def forward(
        self,
        atomic_numbers: Tensor,
        edge_index: Tensor,
        edge_vectors: Tensor,
        edge_to_bond: Tensor,
        bond_to_edge: Tensor,
        angle_index: Tensor,
        structure_index: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        centres, neighbours = edge_index[0], edge_index[1]
        lengths = edge_vectors.square().sum(dim=1).sqrt()
        different, same_length = distinct(lengths)
        basis = self.radial(different.unsqueeze(1))
        weights = (basis @ self.weigh_edge).index_select(0, same_length)

        # bonds within the angle cutoff are numbered anew
        bond_lengths = lengths.index_select(0, bond_to_edge)
        is_short = bond_lengths <= self.angle_cutoff
        short = torch.nonzero(is_short).squeeze(1)
        number = torch.cumsum(is_short.long(), 0) - 1
        short_edge = is_short.index_select(0, edge_to_bond)
        edge_number = number.index_select(0, edge_to_bond)
        rows = torch.where(short_edge, edge_number + different.shape[0], same_length)
        short_bonds = (basis @ self.embed_bond).index_select(
            0, same_length.index_select(0, bond_to_edge.index_select(0, short))
        )
        bond_weights = self.short_radial(bond_lengths.index_select(0, short).unsqueeze(1)) @ self.weigh_bond

        # so are the edges that form angles
        edges = torch.nonzero(short_edge).squeeze(1)
        place = (torch.cumsum(short_edge.long(), 0) - 1).index_select(0, angle_index.flatten()).reshape(2, -1)
        own_bond, own_atom = edge_number.index_select(0, edges), centres.index_select(0, edges)
        first_bond, second_bond = own_bond.index_select(0, place[0]), own_bond.index_select(0, place[1])
        angle_weights = bond_weights.index_select(0, first_bond) * bond_weights.index_select(0, second_bond)
        directions = edge_vectors.index_select(0, edges) / lengths.index_select(0, edges).unsqueeze(1)
        angles = self.angles(directions.index_select(0, place[0]), directions.index_select(0, place[1]))
        graph = (own_bond, own_atom, place[0], second_bond)

        has_angles = None
        if self.biased_bonds:
            of_structure = structure_index.index_select(0, centres.index_select(0, angle_index[0]))
            ones = torch.ones_like(of_structure, dtype=lengths.dtype)
            counts = lengths.new_zeros(atomic_numbers.shape[0]).index_add(
                0, of_structure, ones
            )  # no more structures than atoms
            has_angles = (counts.index_select(0, structure_index) > 0).to(lengths.dtype).unsqueeze(1)

        atoms = self.elements.index_select(0, atomic_numbers)
        embedding = atoms
        for t, convolution in enumerate(self.atom_layers):
            atoms = convolution(atoms, basis, short_bonds, rows, weights, centres, neighbours, has_angles)
            if t == self.layer:
                embedding = atoms
            if self.bond_layers[t] is not None:
                short_bonds = self.bond_layers[t](atoms, short_bonds, angles, graph, angle_weights, first_bond)
            if self.angle_layers[t] is not None:
                angles = self.angle_layers[t](atoms, short_bonds, angles, graph)
        return (embedding, self.readout(atoms, atomic_numbers)) if self.readout else (embedding,)


class RadialBasis(nn.Module):
    """Bessel functions with a polynomial envelope, [n, n_basis] from distances [n, 1]."""

    def __init__(self, official: nn.Module) -> None:
        super().__init__()
        self.register_buffer("frequencies", official.frequencies.detach() * official.inv_cutoff)
        self.factor = official.norm_const
        self.envelope = (
            official.smooth_cutoff if official.smooth_cutoff is not None and official.smooth_cutoff.p != 0 else None
        )

    def forward(self, distances: Tensor) -> Tensor:
        radial = torch.sin(distances * self.frequencies)
        scale = self.factor / distances
        if self.envelope is None:
            return radial * scale
        x = distances / self.envelope.cutoff
        decay = 1 + x**self.envelope.p * (self.envelope.a + x * (self.envelope.b + x * self.envelope.c))
        return radial * (scale * torch.where(x < 1, decay, torch.zeros_like(decay)))


class AngleFeatures(nn.Module):
    """Fourier features of the angle between two unit vectors, embedded: [n_angles, width]."""

    def __init__(self, fourier: nn.Module, embedding: Tensor) -> None:
        super().__init__()
        embedding = embedding / math.sqrt(math.pi)
        self.register_buffer("frequencies", fourier.frequencies.detach())
        self.register_buffer("constant", embedding[0] / math.sqrt(2))
        self.register_buffer("embedding", embedding[1:])

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        opposite = (first + second).square().sum(dim=1, keepdim=True) * 0.5  # 1 + cos
        same = (first - second).square().sum(dim=1, keepdim=True) * 0.5  # 1 - cos
        shrunk = (opposite - same) * (SHRINKING / 2)
        angle = 2 * torch.atan(torch.sqrt((same + shrunk) / (opposite - shrunk)))
        phases = angle * self.frequencies
        return torch.cat([torch.sin(phases), torch.cos(phases)], dim=1) @ self.embedding + self.constant


class GatedMLP(nn.Module):
    """The official ``GatedMLP`` with its first layer split by the parts of its input: ``part_0`` [inputs, 2 * width] and so on, and
    ``bias``; ``forward`` takes their sum, core in the first half of the columns, gate in the second.
    """

    def __init__(self, official: nn.Module, widths: Sequence[int]) -> None:
        super().__init__()
        layers = [
            [part for part in mlp.layers if isinstance(part, nn.Linear)]
            for mlp in (official.mlp_core, official.mlp_gate)
        ]
        if len(layers[0]) not in (1, 2):
            raise ExportError(
                "export_failed",
                f"koine's graph of CHGNet lacks a gated MLP of {len(layers[0])} layers",
                "train with one hidden layer or none",
            )
        norms = (official.bn1, official.bn2)
        normalized = official.norm is not None
        self.hidden = len(layers[0]) == 2
        affine = [[(_matrix(linear), linear.bias.detach()) for linear in part] for part in layers]
        for half, sign in zip(
            affine, (1, -1), strict=True
        ):  # the gate's argument is negated: it is used as 1 / (1 + exp)
            weight, bias = half[-1]
            if normalized:
                half[-1] = (weight - weight.mean(dim=1, keepdim=True), bias - bias.mean())
            else:
                half[-1] = (weight * sign, bias * sign)
        first = torch.cat([half[0][0] for half in affine], dim=1)
        for k, part in enumerate(first.split(list(widths))):
            self.register_buffer(f"part_{k}", part)
        self.bias = torch.cat([half[0][1] for half in affine])
        self.width = affine[0][0][0].shape[1]
        if self.hidden:
            for name, half in zip(("core", "gate"), affine, strict=True):
                self.register_buffer(f"{name}_weight", half[1][0])
                self.register_buffer(f"{name}_bias", half[1][1])
        self.core_norm = _norm(norms[0], 1) if normalized else nn.Identity()
        self.gate_norm = _norm(norms[1], -1) if normalized else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        core, gate = (nn.functional.silu(x) if self.hidden else x).split(self.width, dim=1)
        if self.hidden:
            core = torch.addmm(self.core_bias, core, self.core_weight)
            gate = torch.addmm(self.gate_bias, gate, self.gate_weight)
        return nn.functional.silu(self.core_norm(core)) / (1 + torch.exp(self.gate_norm(gate)))


class AtomConv(nn.Module):
    """Messages along edges from the neighbour, the centre and the bond."""

    def __init__(self, official: nn.Module, embed_bond: Tensor, moved: Tensor) -> None:
        super().__init__()
        width = official.mlp_out.layers[1].out_features
        self.mlp = GatedMLP(official.twoBody_atom, (width, len(moved), width))
        self.register_buffer("bias", self.mlp.bias)
        self.register_buffer("long_bond", embed_bond @ self.mlp.part_1)
        self.register_buffer("moved", moved @ self.mlp.part_1 if moved.any() else None)
        self.register_buffer("out", _matrix(official.mlp_out.layers[1]))
        bias = official.mlp_out.layers[1].bias
        self.register_buffer("out_bias", None if bias is None else bias.detach())

    def forward(
        self,
        atoms: Tensor,
        basis: Tensor,
        short_bonds: Tensor,
        rows: Tensor,
        weights: Tensor,
        centres: Tensor,
        neighbours: Tensor,
        has_angles: Tensor | None,
    ) -> Tensor:
        own = torch.addmm(self.bias, atoms, self.mlp.part_0)
        if self.moved is not None:
            own = own + has_angles * self.moved
        others = atoms @ self.mlp.part_2
        bonds = torch.cat([basis @ self.long_bond, short_bonds @ self.mlp.part_1])
        messages = (
            self.mlp(own.index_select(0, centres) + others.index_select(0, neighbours) + bonds.index_select(0, rows))
            * weights
        )
        update = torch.zeros_like(atoms).index_add(0, centres, messages) @ self.out
        return atoms + (update if self.out_bias is None else update + self.out_bias)


class AngleMLP(nn.Module):
    """The gated MLP of an angle: its two bonds, itself and its atom; first bond and atom are joined once for each edge."""

    def __init__(self, official: nn.Module, widths: Sequence[int], moved: Tensor) -> None:
        super().__init__()
        self.mlp = GatedMLP(official.twoBody_bond, widths)
        self.register_buffer("bias", self.mlp.bias + moved @ (self.mlp.part_0 + self.mlp.part_1))

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, graph: tuple[Tensor, ...]) -> Tensor:
        own_bond, own_atom, first_edge, second_bond = graph
        at_atom = torch.addmm(self.bias, atoms, self.mlp.part_3)
        edges = (bonds @ self.mlp.part_0).index_select(0, own_bond) + at_atom.index_select(0, own_atom)
        pairs = edges.index_select(0, first_edge) + (bonds @ self.mlp.part_1).index_select(0, second_bond)
        return self.mlp(pairs + angles @ self.mlp.part_2)


class BondConv(AngleMLP):
    """Messages to each bond from the angles it is first in; the bias of the output is left out (see ``moved``)."""

    def __init__(self, official: nn.Module, widths: Sequence[int], moved: Tensor) -> None:
        super().__init__(official, widths, moved)
        self.register_buffer("out", _matrix(official.mlp_out.layers[1]))

    def forward(
        self,
        atoms: Tensor,
        bonds: Tensor,
        angles: Tensor,
        graph: tuple[Tensor, ...],
        weights: Tensor,
        first_bond: Tensor,
    ) -> Tensor:
        messages = super().forward(atoms, bonds, angles, graph) * weights
        return bonds + torch.zeros_like(bonds).index_add(0, first_bond, messages) @ self.out


class AngleUpdate(AngleMLP):
    """New features of each angle."""

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, graph: tuple[Tensor, ...]) -> Tensor:
        return angles + super().forward(atoms, bonds, angles, graph)


class Readout(nn.Module):
    """Energy of each atom in eV, with the reference energy of its element."""

    def __init__(self, model: OfficialCHGNet) -> None:
        super().__init__()
        self.norm = model.readout_norm
        self.mlp = model.mlp
        reference = torch.zeros(1, len(model.atom_embedding.embedding.weight), dtype=torch.float64)
        if model.composition_model is not None:
            reference = model.composition_model.fc.weight.detach().double()
        self.register_buffer("reference", nn.functional.pad(reference[0], (1, 0)))

    def forward(self, atoms: Tensor, atomic_numbers: Tensor) -> Tensor:
        if (
            self.norm is not None
        ):  # centred first: ONNX Runtime takes the variance as mean of squares minus square of mean
            atoms = self.norm(atoms - atoms.mean(dim=1, keepdim=True))
        return self.mlp(atoms).squeeze(1) + self.reference.index_select(0, atomic_numbers)


def _norm(official: nn.Module, sign: int) -> nn.LayerNorm:
    """A copy of a layer normalisation, times ``sign``."""
    norm = nn.LayerNorm(official.normalized_shape, eps=official.eps, dtype=torch.float64)
    norm.load_state_dict({name: sign * value for name, value in official.state_dict().items()})
    return norm


def _matrix(linear: nn.Linear) -> Tensor:
    """[inputs, outputs]"""
    return linear.weight.detach().T
