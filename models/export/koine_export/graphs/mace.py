"""MACE in closed form (Batatia et al., arXiv 2206.07697), with every size and weight read from a module of mace-torch.

What differs from the official forward, all of it exact:

* The messages of the first interaction are R(r)[l, c] · u[z_j, c] · Y_lm(r), where u depends on the neighbour's element only and
  R is linear in the last hidden layer h of the radial network. So the sum over neighbours is taken of h ⊗ Y, once for each
  (atom, element of neighbour), and the last, widest layer of the radial network, u and the linear mix follow after it.
* The symmetric contraction is a polynomial in the atom's features: its non-zero monomials, each once, times one constant matrix.
* What depends on the element alone (skip connection of the first layer, atomic energies) is a table made by the official module.
* Constant factors are folded into weights in float64.

Features are held as [n, components, channels] for each l, so that every linear map is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from e3nn import o3

from .angular import SphericalHarmonics, blocks, monomials
from .edges import EdgeTable, grouped, rows
from .layers import Bessel, Envelope, Matrix, Table, constant

Features = dict[int, torch.Tensor]  # by l: [n, 2l+1, channels]


@dataclass(frozen=True)
class Edges:
    """What all layers need of a batch's edges."""

    senders: torch.Tensor
    receivers: torch.Tensor
    #: [n_edges, (lmax + 1)^2]
    harmonics: torch.Tensor
    #: [n_edges, n_basis], the envelope included unless ``cutoff`` holds it.
    radial: torch.Tensor
    #: [n_edges, 1] or None.
    cutoff: torch.Tensor | None
    #: [n_edges, 1] Å.
    lengths: torch.Tensor


def linear_weights(linear) -> dict[tuple[int, int], torch.Tensor]:
    """(block in, block out) -> [n_in, n_out] of an ``o3.Linear``, path weights folded in."""
    found = {}
    for instruction, weight in zip(linear.instructions, linear.weight_views(), strict=True):
        found[instruction.i_in, instruction.i_out] = instruction.path_weight * weight.detach()
    return found


class Linear(torch.nn.Module):
    """An ``o3.Linear`` over features with one block for each l."""

    def __init__(self, linear) -> None:
        super().__init__()
        of_in, of_out = blocks(linear.irreps_in), blocks(linear.irreps_out)
        self.maps = torch.nn.ModuleDict()
        for (i, o), weight in linear_weights(linear).items():
            assert of_in[i][2] == of_out[o][2] and str(of_in[i][2]) not in self.maps
            self.maps[str(of_in[i][2])] = Matrix(weight)

    def forward(self, x: Features) -> Features:
        return {l: self.maps[str(l)](value) for l, value in x.items() if str(l) in self.maps}


class ElementLinear(torch.nn.Module):
    """A ``FullyConnectedTensorProduct`` of features and one-hot elements: one matrix for each l and element."""

    def __init__(self, product) -> None:
        super().__init__()
        of_in, of_out = blocks(product.irreps_in1), blocks(product.irreps_out)
        self.maps = torch.nn.ModuleDict()
        self.widths: dict[int, tuple[int, int]] = {}
        for _, instruction, weight in product.weight_views(yield_instruction=True):
            l = of_in[instruction.i_in1][2]
            assert l == of_out[instruction.i_out][2] and l not in self.widths
            # e3nn divides by the coupling coefficient of (l, 0, l), 1 / sqrt(2l + 1)
            matrices = weight.detach().permute(1, 0, 2) * (instruction.path_weight / np.sqrt(2 * l + 1))
            self.widths[l] = tuple(matrices.shape[1:])
            self.maps[str(l)] = Table(matrices.flatten(1))

    def forward(self, x: Features, elements: torch.Tensor) -> Features:
        return {l: x[l] @ self.maps[str(l)](elements).unflatten(1, shape) for l, shape in self.widths.items() if l in x}


class RadialNetwork(torch.nn.Module):
    """An e3nn ``FullyConnectedNet``; ``hidden`` stops before the last layer, whose weights are ``last`` [n_hidden, n_out]."""

    def __init__(self, network) -> None:
        super().__init__()
        layers = [layer for name, layer in network.named_children() if name.startswith("layer")]
        scale, matrices = 1.0, []
        for layer in layers:
            w = layer.weight.detach().double()
            matrices.append(
                scale * w * (layer.var_out / (layer.h_in * layer.var_in)) ** 0.5
                if layer.act is None
                else scale * w / (layer.h_in * layer.var_in) ** 0.5
            )
            scale = 1.0 if layer.act is None else layer.var_out**0.5 * _second_moment(layer.act)
        assert layers[-1].act is None, "the last layer of a radial network has no activation"
        self.matrices = torch.nn.ModuleList(map(Matrix, matrices[:-1]))
        self.last = matrices[-1]

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        for matrix in self.matrices:
            x = torch.nn.functional.silu(matrix(x))
        return x


def _second_moment(act) -> float:
    assert getattr(act, "f", None) in (torch.nn.functional.silu,), f"activation {act} of the radial network is not SiLU"
    return 1.0 if act._is_id else act.cst


class EdgeFeatures(torch.nn.Module):
    """Lengths, harmonics and radial basis of the edges."""

    def __init__(self, model) -> None:
        super().__init__()
        block = model.radial_embedding
        self.harmonics = SphericalHarmonics(model.spherical_harmonics._lmax, lambda x: _harmonics(model, x))
        self.basis = (
            Bessel(block.bessel_fn) if type(block.bessel_fn).__name__ == "BesselBasis" else Gaussian(block.bessel_fn)
        )
        self.envelope = Envelope(float(block.cutoff_fn.r_max), int(block.cutoff_fn.p))
        self.apply_cutoff = getattr(block, "apply_cutoff", True)
        transform = getattr(block, "distance_transform", None)
        self.transform = None if transform is None else DistanceTransform(transform, model.atomic_numbers)

    def forward(self, elements: torch.Tensor, edge_index: torch.Tensor, vectors: torch.Tensor) -> Edges:
        senders, receivers = edge_index[0], edge_index[1]
        lengths = torch.sqrt((vectors * vectors).sum(dim=1, keepdim=True))
        cutoff = self.envelope(lengths)
        distances = lengths if self.transform is None else self.transform(lengths, elements, senders, receivers)
        radial = self.basis(distances)
        if self.apply_cutoff:
            return Edges(senders, receivers, self.harmonics(vectors / lengths), radial * cutoff, None, lengths)
        return Edges(senders, receivers, self.harmonics(vectors / lengths), radial, cutoff, lengths)


def _harmonics(model, points: torch.Tensor) -> torch.Tensor:
    """The model's harmonics of unit vectors, made homogeneous: r^l Y_l."""
    lengths = points.norm(dim=1, keepdim=True)
    degrees = torch.cat([torch.full((2 * l + 1,), l) for l in range(model.spherical_harmonics._lmax + 1)])
    return model.spherical_harmonics.double()(points) * lengths**degrees


class Gaussian(torch.nn.Module):
    """exp(coeff (r - w)^2)."""

    def __init__(self, basis) -> None:
        super().__init__()
        self.register_buffer("weights", constant(basis.gaussian_weights), persistent=False)
        self.coefficient = float(basis.coeff)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x - self.weights
        return torch.exp(self.coefficient * x * x)


class DistanceTransform(torch.nn.Module):
    """Agnesi or Soft transform of distances in units of the covalent radii."""

    def __init__(self, transform, atomic_numbers: torch.Tensor) -> None:
        super().__init__()
        self.kind = type(transform).__name__
        self.radii = Table(transform.covalent_radii[atomic_numbers].unsqueeze(1))
        names = ("a", "q", "p") if self.kind == "AgnesiTransform" else ("alpha",)
        self.parameters_of = {name: float(getattr(transform, name)) for name in names}

    def forward(
        self, x: torch.Tensor, elements: torch.Tensor, senders: torch.Tensor, receivers: torch.Tensor
    ) -> torch.Tensor:
        radii = self.radii(elements)
        contact = rows(radii, senders) + rows(radii, receivers)
        if self.kind == "AgnesiTransform":
            a, q, p = (self.parameters_of[name] for name in ("a", "q", "p"))
            logarithm = torch.log(2 * x / contact)
            return 1 / (1 + a * torch.exp(q * logarithm) / (1 + torch.exp((q - p) * logarithm)))
        near, far = 0.75 * contact, (4 / 3) * contact
        steepness = self.parameters_of["alpha"] / (far - near)
        return near + (x - near) * 0.5 * (1 + torch.tanh(steepness * (x - 0.5 * (near + far))))


class Interaction(torch.nn.Module):
    """Messages of one layer, summed over neighbours, mixed and normalised; and the skip connection."""

    def __init__(self, block) -> None:
        super().__init__()
        product = block.conv_tp
        self.residual = "Residual" in type(block).__name__
        self.radial = RadialNetwork(block.conv_tp_weights)
        self.density = None
        scale = 1.0 / float(block.avg_num_neighbors)
        if "Density" in type(block).__name__:
            scale = 1.0
            density = RadialNetwork(block.density_fn)
            assert len(density.matrices) == 0, "the density network has one layer"
            self.density = Matrix(density.last)
        of_in, of_sh, of_mid = blocks(product.irreps_in1), blocks(product.irreps_in2), blocks(product.irreps_out)
        mixes = linear_weights(block.linear)
        self.outputs = [l for _, _, l in blocks(block.linear.irreps_out)]
        self.paths = []
        start = 0
        for number, instruction in enumerate(product.instructions):
            channels = of_in[instruction.i_in1][1]
            l1, l2, l3 = of_in[instruction.i_in1][2], of_sh[instruction.i_in2][2], of_mid[instruction.i_out][2]
            coupling = instruction.path_weight * o3.wigner_3j(l1, l2, l3, dtype=torch.float64)
            targets = [o for i, o in mixes if i == instruction.i_out]
            assert len(targets) == 1 and self.outputs.index(l3) == targets[0]
            self.register_buffer(
                f"mix_{number}", constant(scale * mixes[instruction.i_out, targets[0]].double()), persistent=False
            )
            self.paths.append((l1, l2, l3, slice(start, start + channels), coupling))
            start += channels
        assert start == product.weight_numel
        self.by_element = None if self.residual else ElementLinear(block.skip_tp)

    def finish(self, sums: list[torch.Tensor], edges: Edges, elements: torch.Tensor) -> Features:
        """Mixes the sums of all paths, [n_atoms, 2l+1, channels] each, into features."""
        mixed: Features = {}
        for number, ((_, _, l, _, _), total) in enumerate(zip(self.paths, sums, strict=True)):
            part = total @ getattr(self, f"mix_{number}")
            mixed[l] = mixed[l] + part if l in mixed else part
        if self.density is not None:
            strength = torch.tanh(torch.square(self.density(edges.radial)))
            if edges.cutoff is not None:
                strength = strength * edges.cutoff
            total = strength.new_zeros((elements.shape[0], 1)).index_add(0, edges.receivers, strength)
            mixed = {l: value / (total.unsqueeze(1) + 1) for l, value in mixed.items()}
        return mixed if self.by_element is None else self.by_element(mixed, elements)


class FirstInteraction(Interaction):
    """Layer whose input depends on the elements alone."""

    def __init__(self, block, node_table: torch.Tensor) -> None:
        super().__init__(block)
        self.n_elements = node_table.shape[0]
        self.neighbour = Table(block.linear_up(node_table))
        self.skip = None
        if self.residual:  # of scalars and one-hot elements nothing but scalars can come
            skip = block.skip_tp(node_table, torch.eye(self.n_elements, dtype=torch.float64))
            (columns,) = (columns for columns, _, l in blocks(block.skip_tp.irreps_out) if l == 0)
            self.skip = Table(skip[:, columns])
        harmonics = sum(2 * l2 + 1 for _, l2, *_ in self.paths)
        assert [l2 for _, l2, *_ in self.paths] == list(range(len(self.paths))) and harmonics == len(self.paths) ** 2
        for number, (l1, l2, l3, columns, coupling) in enumerate(self.paths):
            assert (
                l1 == 0
                and l2 == l3
                and torch.allclose(
                    coupling[0], coupling[0, 0, 0] * torch.eye(2 * l2 + 1, dtype=torch.float64), atol=1e-12
                )
            )
            self.register_buffer(
                f"radial_{number}", constant(coupling[0, 0, 0] * self.radial.last[:, columns]), persistent=False
            )

    def forward(self, edges: Edges, elements: torch.Tensor) -> tuple[Features, Features | None]:
        n_atoms = elements.shape[0]
        hidden = self.radial.hidden(edges.radial)
        if edges.cutoff is not None:
            hidden = hidden * edges.cutoff
        table = grouped(
            edges.receivers * self.n_elements + rows(elements.unsqueeze(1), edges.senders).squeeze(1),
            n_atoms * self.n_elements,
        )
        atoms = torch.div(table.keys, self.n_elements, rounding_mode="trunc")
        sums = table.rows(edges.harmonics).transpose(1, 2) @ table.rows(hidden)
        parts = [sums[:, l * l : (l + 1) ** 2] @ getattr(self, f"radial_{l}") for l in range(len(self.paths))]
        messages = torch.cat(parts, dim=1) * self.neighbour(table.keys - atoms * self.n_elements).unsqueeze(1)
        totals = messages.new_zeros((n_atoms, messages.shape[1] * messages.shape[2])).index_add(
            0, atoms, messages.flatten(1)
        )
        totals = totals.unflatten(1, messages.shape[1:])
        features = self.finish([totals[:, l * l : (l + 1) ** 2] for l in range(len(self.paths))], edges, elements)
        return features, None if self.skip is None else {0: self.skip(elements).unsqueeze(1)}


class LaterInteraction(Interaction):
    """Layer whose input are the features of the layer before."""

    def __init__(self, block) -> None:
        super().__init__(block)
        self.up = Linear(block.linear_up)
        self.skip = ElementLinear(block.skip_tp) if self.residual else None
        self.weights = Matrix(self.radial.last)
        for number, (_, l2, _, _, coupling) in enumerate(self.paths):
            del l2
            self.register_buffer(f"coupling_{number}", constant(coupling.transpose(0, 1).flatten(1)), persistent=False)

    def forward(
        self, x: Features, edges: Edges, elements: torch.Tensor, table: EdgeTable
    ) -> tuple[Features, Features | None]:
        hidden = self.radial.hidden(edges.radial)
        if edges.cutoff is not None:
            hidden = hidden * edges.cutoff
        weights = table.rows(self.weights(hidden))
        senders = torch.cat([edges.senders, edges.senders.new_zeros(1)])[table.edges]
        harmonics = table.rows(edges.harmonics)
        neighbours = {
            l: rows(value.flatten(1), senders).unflatten(2, value.shape[1:]) for l, value in self.up(x).items()
        }
        sums = []
        for number, (l1, l2, l3, columns, _) in enumerate(self.paths):
            # [n, width, 2l1+1, 2l3+1] and [n, width, 2l1+1, channels], summed over neighbours and components in one product
            coupled = (harmonics[:, :, l2 * l2 : (l2 + 1) ** 2] @ getattr(self, f"coupling_{number}")).unflatten(
                2, (2 * l1 + 1, 2 * l3 + 1)
            )
            values = neighbours[l1] * weights[:, :, columns].unsqueeze(2)
            sums.append(coupled.flatten(1, 2).transpose(1, 2) @ values.flatten(1, 2))
        skip = None if self.skip is None else self.skip(x, elements)
        return self.finish(sums, edges, elements), skip


class Contraction(torch.nn.Module):
    """Symmetric contraction to one irrep (equation 10): a polynomial whose coefficients depend on element and channel."""

    def __init__(self, contraction, lmax: int) -> None:
        super().__init__()
        n = (lmax + 1) ** 2
        weights = [contraction.weights_max, *contraction.weights]
        terms: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
        offset, self.components = 0, 1
        for degree, weight in zip(range(contraction.correlation, 0, -1), weights, strict=True):
            coupling = contraction.U_tensors(degree).detach().double().numpy()
            # [component, i_1, ..., parameter], of a scalar without the component
            coupling = np.moveaxis(coupling, 0, -2) if coupling.ndim == degree + 2 else coupling[..., None, :]
            self.components = coupling.shape[-2]
            for index, value in monomials(coupling, n, degree).items():
                terms.setdefault(index, []).append((offset, value))
            offset += weight.shape[1]
        # a constant feature 1 at index n makes every monomial a product of `correlation` factors
        indices = sorted(terms, key=lambda index: (len(index), index))
        matrix = np.zeros((self.components, offset, len(indices)))
        for k, index in enumerate(indices):
            for start, value in terms[index]:
                matrix[:, start : start + value.shape[-1], k] = value
        self.factors = contraction.correlation
        for factor in range(self.factors):
            self.register_buffer(
                f"factor_{factor}",
                torch.tensor([i[factor] if factor < len(i) else n for i in indices]),
                persistent=False,
            )
        self.register_buffer("matrix", constant(matrix.reshape(self.components * offset, -1)), persistent=False)
        self.parameters_shape = (offset, weights[0].shape[2])
        self.weights = Table(torch.cat([w.detach().double() for w in weights], dim=1).flatten(1))

    def forward(self, x: torch.Tensor, elements: torch.Tensor) -> torch.Tensor:
        """[n, (lmax+1)^2 + 1, channels] -> [n, components, channels]"""
        products = torch.index_select(x, 1, self.factor_0)
        for factor in range(1, self.factors):
            products = products * torch.index_select(x, 1, getattr(self, f"factor_{factor}"))
        basis = (self.matrix @ products).unflatten(1, (self.components, self.parameters_shape[0]))
        weights = self.weights(elements).unflatten(1, self.parameters_shape).unsqueeze(1)
        return (basis * weights).sum(dim=2)


class ProductBasis(torch.nn.Module):
    """Symmetric contractions to the irreps of a layer's output, the linear mix, and the skip connection."""

    def __init__(self, block, lmax: int, lowest_only: bool) -> None:
        super().__init__()
        contractions = block.symmetric_contractions.contractions
        of_out = blocks(block.linear.irreps_out)
        self.degrees = [l for _, _, l in of_out][: 1 if lowest_only else None]
        self.contractions = torch.nn.ModuleList(
            Contraction(contraction, lmax) for contraction in list(contractions)[: len(self.degrees)]
        )
        self.linear = Linear(block.linear)
        self.agnostic = getattr(block, "use_agnostic_product", False)
        self.use_skip = block.use_sc

    def forward(self, x: Features, skip: Features | None, elements: torch.Tensor) -> Features:
        flat = torch.cat([x[l] for l in sorted(x)], dim=1)
        flat = torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1)
        which = torch.zeros_like(elements) if self.agnostic else elements
        result = self.linear(
            {l: contract(flat, which) for l, contract in zip(self.degrees, self.contractions, strict=True)}
        )
        if not self.use_skip or skip is None:
            return result
        return {l: value + skip[l] if l in skip else value for l, value in result.items()}


class Readout(torch.nn.Module):
    """Energy of one head from a layer's scalars."""

    def __init__(self, readout, head: int) -> None:
        super().__init__()
        layers = [readout.linear] if hasattr(readout, "linear") else [readout.linear_1, readout.linear_2]
        matrices = [linear_weights(layer)[0, 0].double() for layer in layers]
        self.activation = None
        if len(layers) == 2:
            act = readout.non_linearity.acts[0]
            function = getattr(act, "f", act)
            assert function in (torch.nn.functional.silu,) or function is None, (
                f"readout activation {function} is not SiLU"
            )
            width = (
                matrices[0].shape[1] // readout.num_heads
                if getattr(readout, "num_heads", 1) > 1
                else matrices[0].shape[1]
            )
            mine = slice(head * width, (head + 1) * width) if matrices[0].shape[1] > width else slice(None)
            matrices = [matrices[0][:, mine], matrices[1][mine] * getattr(act, "cst", 1.0)]
        matrices[-1] = matrices[-1][:, head : head + 1]
        self.matrices = torch.nn.ModuleList(map(Matrix, matrices))

    def forward(self, scalars: torch.Tensor) -> torch.Tensor:
        """[n, channels] -> [n]"""
        x = self.matrices[0](scalars)
        return (x if len(self.matrices) == 1 else self.matrices[1](torch.nn.functional.silu(x))).squeeze(1)


class PairRepulsion(torch.nn.Module):
    """Ziegler-Biersack-Littmark repulsion of each atom, half of each pair's energy."""

    def __init__(self, zbl, atomic_numbers: torch.Tensor) -> None:
        super().__init__()
        z = atomic_numbers.double()
        self.table = Table(torch.stack([z, z ** float(zbl.a_exp), zbl.covalent_radii[atomic_numbers].double()], dim=1))
        self.length = float(zbl.a_prefactor) * 0.529
        self.amplitudes = [float(c) for c in zbl.c]
        self.envelope = Envelope(1.0, int(zbl.p))

    def forward(self, edges: Edges, elements: torch.Tensor) -> torch.Tensor:
        atoms = self.table(elements)
        i, j = rows(atoms, edges.senders), rows(atoms, edges.receivers)
        scaled = edges.lengths * (i[:, 1:2] + j[:, 1:2]) * (1 / self.length)
        screening = sum(
            c * torch.exp(-rate * scaled)
            for c, rate in zip(self.amplitudes, (3.2, 0.9423, 0.4028, 0.2016), strict=True)
        )
        energy = (
            0.5
            * 14.3996
            * i[:, 0:1]
            * j[:, 0:1]
            / edges.lengths
            * screening
            * self.envelope(edges.lengths, i[:, 2:3] + j[:, 2:3])
        )
        return energy.new_zeros((elements.shape[0], 1)).index_add(0, edges.receivers, energy).squeeze(1)


class MaceEncoder(torch.nn.Module):
    """Scalars of the first interaction layer, or of all layers side by side; with energies if all layers are computed.

    ``model``: a MACE or ScaleShiftMACE in float64.
    """

    def __init__(self, model, all_layers: bool, energy: bool, head: int = 0) -> None:
        super().__init__()
        numbers = model.atomic_numbers
        elements = torch.full((int(numbers.max()) + 1,), 0)
        elements[numbers] = torch.arange(len(numbers))
        self.register_buffer("element_of", elements.unsqueeze(1), persistent=False)
        self.edges = EdgeFeatures(model)
        lmax = self.edges.harmonics.lmax
        self.all_layers, self.energy = all_layers, energy
        n_layers = len(model.interactions) if all_layers or energy else 1
        node_table = model.node_embedding(torch.eye(len(numbers), dtype=torch.float64))
        self.first = FirstInteraction(model.interactions[0], node_table)
        self.later = torch.nn.ModuleList(LaterInteraction(block) for block in list(model.interactions)[1:n_layers])
        self.products = torch.nn.ModuleList(
            ProductBasis(block, lmax, n_layers == 1) for block in list(model.products)[:n_layers]
        )
        if energy:
            self.readouts = torch.nn.ModuleList(Readout(readout, head) for readout in model.readouts)
            self.atomic = Table(torch.atleast_2d(model.atomic_energies_fn.atomic_energies)[head].unsqueeze(1))
            scale = getattr(model, "scale_shift", None)
            self.scale = 1.0 if scale is None else float(torch.atleast_1d(scale.scale)[head])
            self.shift = 0.0 if scale is None else float(torch.atleast_1d(scale.shift)[head])
            self.repulsion = (
                PairRepulsion(model.pair_repulsion_fn, numbers) if hasattr(model, "pair_repulsion") else None
            )
            self.scales_repulsion = scale is not None

    def forward(
        self, atomic_numbers: torch.Tensor, edge_index: torch.Tensor, edge_vectors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        elements = rows(self.element_of, atomic_numbers).squeeze(1)
        edges = self.edges(elements, edge_index, edge_vectors)
        x, skip = self.first(edges, elements)
        x = self.products[0](x, skip, elements)
        layers = [x]
        if len(self.later) > 0:
            table = grouped(edges.receivers, elements.shape[0], keep_empty=True)
            for interaction, product in zip(self.later, self.products[1:], strict=True):
                x, residual = interaction(x, edges, elements, table)
                x = product(x, residual, elements)
                layers.append(x)
        scalars = [layer[0].squeeze(1) for layer in layers]
        embedding = torch.cat(scalars, dim=1) if self.all_layers else scalars[0]
        if not self.energy:
            return (embedding,)
        which = scalars[-1:] if len(self.readouts) == 1 else scalars
        inner = sum(readout(layer) for readout, layer in zip(self.readouts, which, strict=True))
        repulsion = 0.0 if self.repulsion is None else self.repulsion(edges, elements)
        inner = self.scale * (inner + repulsion) + self.shift if self.scales_repulsion else inner + repulsion
        return embedding, self.atomic(elements).squeeze(1) + inner
