"""TensorNet of matgl (Simeon and De Fabritiis, NeurIPS 2023; matgl 2.1.1, PyG build).

A channel of a Cartesian tensor is held as its nine components in an orthonormal basis of the 3x3 matrices (isotropic,
antisymmetric, symmetric traceless), not as a matrix. The graph uses three facts that save most of the work, none of which is
an approximation:

* radial functions depend on the distance alone, so their networks run once for each *different* distance (an edge and its
  reverse share one, and symmetric crystals have few);
* an interaction's message is radial weight times the neighbour's tensor, without the direction, so the weights of all images
  of a neighbour are summed before they meet the tensor;
* the first layer sees of a neighbour only its element and the direction, and is linear in the radial basis: directions times
  basis are summed over the neighbours of one element before they meet the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ..family import Exported, ExportError, Facts, Request
from ..graphs.distinct import distinct
from ..matgl_potential import MATGL_VERSION, atomic_numbers_of, load_potential, official, sums_over_atoms

#: Components of the isotropic, the antisymmetric and the symmetric traceless part.
PARTS = (1, 3, 5)


def orthonormal_matrices() -> np.ndarray:
    """[9, 3, 3] orthonormal basis of the 3x3 matrices: identity; rotations about x, y, z; xy, yz, xz, x²-y², 3z²-r²."""
    identity = [np.eye(3) / math.sqrt(3)]
    levi_civita = np.zeros((3, 3, 3))
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi_civita[a, b, c], levi_civita[a, c, b] = -1, 1  # (v ×) = Σ v_a levi_civita[a]
    rotations = list(levi_civita / math.sqrt(2))
    pairs = []
    for a, b in ((0, 1), (1, 2), (0, 2)):
        matrix = np.zeros((3, 3))
        matrix[a, b] = matrix[b, a] = 1 / math.sqrt(2)
        pairs.append(matrix)
    diagonal = [np.diag([1, -1, 0]) / math.sqrt(2), np.diag([-1, -1, 2]) / math.sqrt(6)]
    return np.stack(identity + rotations + pairs + diagonal)


class TensorNetEncoder(nn.Module):
    """The official network on the contract's tensors; reads the weights of a ``matgl`` potential."""

    def __init__(self, potential: nn.Module) -> None:
        super().__init__()
        model = potential.model
        units, embedding = model.units, model.tensor_embedding
        numbers = atomic_numbers_of(model)
        species = torch.zeros(max(numbers) + 1, dtype=torch.int64)
        species[numbers] = torch.arange(len(numbers))
        basis = orthonormal_matrices()
        second = np.stack([np.einsum("cab,ab->c", basis[4:], m) for m in _square_monomials()])

        def constant(name: str, value: Tensor | np.ndarray) -> None:
            value = torch.as_tensor(value)
            self.register_buffer(
                name, value.detach().clone() if value.dtype == torch.int64 else value.detach().float().clone()
            )

        constant("species", species)
        constant("to_matrix", basis.reshape(9, 9).T)
        constant("from_square", second)
        constant("first", torch.tensor([0, 1, 2, 0, 1, 0]))
        constant("second", torch.tensor([0, 1, 2, 1, 2, 2]))
        self.cutoff, self.units, self.n_species = float(model.cutoff), units, len(numbers)
        self.anticommutes = model.equivariance_invariance_group == "O(3)"
        self.expansion = model.bond_expansion

        # emb2 of two concatenated element vectors is a sum of two tables
        halves = embedding.emb2.weight.double().split(units, dim=1)
        elements = embedding.emb.weight.double()
        constant("of_neighbour", elements @ halves[0].T)
        constant("of_centre", elements @ halves[1].T + embedding.emb2.bias.double())
        for part, linear in enumerate((embedding.distance_proj1, embedding.distance_proj2, embedding.distance_proj3)):
            constant(f"radial_{part}", torch.cat([linear.weight.T, linear.bias[None]]))
        self.embedding_norm = embedding.init_norm
        self.embedding_mix = embedding.linears_tensor
        self.embedding_scalar = parts_first(embedding.linears_scalar, units)
        self.layers = model.layers
        self.radial = nn.ModuleList(parts_first(layer.linears_scalar, units) for layer in model.layers)
        self.out_norm, self.out = model.out_norm, model.linear

        self.readout = model.final_layer.gated
        constant("scale", potential.data_std)
        offsets = (
            potential.element_refs.property_offset if potential.element_refs is not None else torch.zeros(len(numbers))
        )
        constant("offsets", offsets)

    def forward(self, atomic_numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Contract's tensors to node_embedding [n_atoms, units] and node_energy [n_atoms] in eV."""
        species = self.species.index_select(0, atomic_numbers)
        atoms = atomic_numbers.shape[0]
        centre, neighbour = edge_index[0], edge_index[1]
        distances = torch.linalg.vector_norm(edge_vectors, dim=1)
        radii, edge_radius = distinct(distances)
        basis = self.expansion(radii)
        envelope = torch.where(radii <= self.cutoff, 0.5 * (torch.cos(radii * (math.pi / self.cutoff)) + 1), 0.0)[
            :, None
        ]

        tensors = self._embed(
            species,
            centre,
            neighbour,
            edge_vectors / distances[:, None],
            torch.cat([basis * envelope, envelope], 1).index_select(0, edge_radius),
        )
        pairs, edge_pair = distinct(centre * atoms + neighbour)
        pair_centre = pairs // atoms
        pair_neighbour = pairs - pair_centre * atoms
        for layer, radial in zip(self.layers, self.radial, strict=True):
            weights = (_perceptron(radial, basis) * envelope).index_select(0, edge_radius)
            weights = weights.new_zeros(pairs.shape[0], 3 * self.units).index_add(0, edge_pair, weights)
            tensors = self._interact(layer, tensors, weights.split(self.units, dim=1), pair_centre, pair_neighbour)

        norms = torch.cat([(part * part).sum(1) for part in tensors], dim=1)
        features = self.out(self.out_norm(norms))
        energy = self.readout(features)[:, 0] * self.scale + self.offsets.index_select(0, species)
        return features, energy

    def _embed(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, directions: Tensor, radial: Tensor
    ) -> list[Tensor]:
        """First layer: tensors from elements and directions. ``radial`` is [n_edges, k + 1], the last for the bias."""
        # matgl sums at the head of an edge, koine at its centre: there the direction is the opposite one
        squares = directions.index_select(1, self.first) * directions.index_select(1, self.second)
        components = torch.cat(
            [torch.full_like(directions[:, :1], math.sqrt(3)), directions * -math.sqrt(2), squares @ self.from_square],
            dim=1,
        )
        products = (components[:, :, None] * radial[:, None, :]).flatten(1)
        groups, edge_group = distinct(centre * self.n_species + species.index_select(0, neighbour))
        summed = products.new_zeros(groups.shape[0], products.shape[1]).index_add(0, edge_group, products)
        summed = summed.reshape(groups.shape[0], 9, -1).split(PARTS, dim=1)
        group_centre = groups // self.n_species
        chemistry = self.of_neighbour.index_select(
            0, groups - group_centre * self.n_species
        ) + self.of_centre.index_select(0, species.index_select(0, group_centre))
        tensors = []
        for part, sums in enumerate(summed):
            messages = (sums @ getattr(self, f"radial_{part}")) * chemistry[:, None]
            tensors.append(
                messages.new_zeros(species.shape[0], PARTS[part], self.units).index_add(0, group_centre, messages)
            )
        scalars = _perceptron(self.embedding_scalar, self.embedding_norm(_norm(tensors))).split(self.units, dim=1)
        return [
            linear(part) * scalar[:, None]
            for linear, part, scalar in zip(self.embedding_mix, tensors, scalars, strict=True)
        ]

    def _interact(
        self,
        layer: nn.Module,
        tensors: list[Tensor],
        weights: Sequence[Tensor],
        pair_centre: Tensor,
        pair_neighbour: Tensor,
    ) -> list[Tensor]:
        """One interaction. ``weights``, one [n_pairs, units] for each part, are summed over the images of each neighbour."""
        scale = _norm(tensors)[:, None] + 1
        tensors = [part / scale for part in tensors]
        mixed = [linear(part) for linear, part in zip(layer.linears_tensor[:3], tensors, strict=True)]
        received = [
            torch.zeros_like(part).index_add(0, pair_centre, part.index_select(0, pair_neighbour) * weight[:, None])
            for part, weight in zip(mixed, weights, strict=True)
        ]
        here, there = self._matrices(mixed), self._matrices(received)
        product = _product(there, here) + _product(here, there) if self.anticommutes else 2 * _product(here, there)
        parts = self._parts(product)
        scale = _norm(parts)[:, None] + 1
        change = [linear(part / scale) for linear, part in zip(layer.linears_tensor[3:], parts, strict=True)]
        matrices = self._matrices(change)
        square = self._parts(_product(matrices, matrices))
        return [old + new + more for old, new, more in zip(tensors, change, square, strict=True)]

    def _matrices(self, parts: Sequence[Tensor]) -> Tensor:
        """[n, 3, 3, units] from the three parts."""
        return (self.to_matrix @ torch.cat(list(parts), dim=1)).reshape(-1, 3, 3, self.units)

    def _parts(self, matrices: Tensor) -> Sequence[Tensor]:
        """The three parts of [n, 3, 3, units]; ``to_matrix`` is orthogonal."""
        return (self.to_matrix.T @ matrices.reshape(-1, 9, self.units)).split(PARTS, dim=1)


def parts_first(linears: nn.ModuleList, units: int) -> nn.ModuleList:
    """The layers of a perceptron, the outputs of the last reordered from (unit, part) to (part, unit)."""
    *inner, last = linears
    reordered = nn.Linear(last.in_features, last.out_features)
    order = torch.arange(last.out_features).reshape(units, len(PARTS)).T.flatten()
    reordered.load_state_dict({name: value[order] for name, value in last.state_dict().items()})
    return nn.ModuleList([*inner, reordered])


def _perceptron(linears: nn.ModuleList, values: Tensor) -> Tensor:
    for linear in linears:
        values = silu(linear(values))
    return values


def _square_monomials() -> np.ndarray:
    """[6, 3, 3] symmetric matrices that go with xx, yy, zz, xy, yz, xz in the outer product of a vector with itself."""
    matrices = np.zeros((6, 3, 3))
    for k, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))):
        matrices[k, a, b] = matrices[k, b, a] = 1
    return matrices


def _norm(parts: Sequence[Tensor]) -> Tensor:
    """[n, units] squared Frobenius norm of a tensor given by its parts."""
    whole = torch.cat(list(parts), dim=1)
    return (whole * whole).sum(1)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product of [n, 3, 3, units], channel by channel; as a batched product it would be thousands of 3x3 calls."""
    return (a[:, :, :, None] * b[:, None]).sum(2)


def load(request: Request) -> Exported:
    """Loads a TensorNet potential of matgl. Official names are folders of matgl's ``pretrained_models``, e.g.
    ``TensorNet-MatPES-PBE-v2025.1-PES``; a checkpoint is a folder that ``Potential.save`` wrote, or a zip of it.
    """
    if request.layer not in (None, "readout"):
        raise ExportError(
            "unsupported_layer",
            f"tensornet has no embedding layer '{request.layer}'",
            "leave --layer out: it is readout",
        )
    potential, weights = load_potential(request, "TensorNet")
    model = potential.model
    if model.is_intensive:
        raise ExportError(
            "bad_checkpoint", f"{weights} predicts an intensive property, not energies", "give an interatomic potential"
        )
    facts = Facts(
        family="TensorNet",
        name=request.official or weights.parent.name,
        package="matgl",
        package_version=MATGL_VERSION,
        equivariant=True,
        conservative=True,
        parameters=sum(parameter.numel() for parameter in potential.parameters()),
        cutoff_angstrom=float(model.cutoff),
        elements=atomic_numbers_of(model),
        layer=f"node features after out_norm LayerNorm({3 * model.units}) and Linear({3 * model.units}, {model.units}), before the energy readout",
        dim=model.units,
        invariant=True,
        weights_file=weights,
        licence="BSD-3-Clause",
    )
    outputs = ("node_embedding", "node_energy") if sums_over_atoms(potential) else ("node_embedding",)
    return Exported(
        TensorNetEncoder(potential).eval(),
        facts,
        lambda structures, precision: official(potential, "linear", structures, precision),
        outputs=outputs,
    )
