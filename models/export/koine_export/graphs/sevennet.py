"""SevenNet in closed form: what the official ``AtomGraphSequential`` computes, with its weights.

* features are one tensor [n, 2l+1, channels] for each irreducible representation, channels last, so that every linear layer
  is one dense matrix product for each of them;
* the Wigner 3j symbols are contracted with the spherical harmonics of an edge once and serve all layers;
* radial weights depend on the distance only, and are computed once for each different distance: an edge and its reverse
  have the same, and so have the members of a coordination shell;
* the first layer knows nothing but the elements: its linear maps become tables over atomic numbers;
* modality, biases, normalisations and neighbour counts are folded into matrices, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from e3nn.o3 import Irrep, Irreps, spherical_harmonics, wigner_3j
from torch import Tensor, nn

from ..family import ExportError
from .distinct import distinct

if TYPE_CHECKING:
    from sevenn.nn.sequential import AtomGraphSequential

SCALAR = Irrep("0e")

#: Rows of the tables over atomic numbers.
ROWS = 120

#: By the package's names; its own ``ssp`` is compiled, which ``torch.export`` cannot look into.
ACTIVATIONS = {
    "relu": torch.relu,
    "silu": nn.functional.silu,
    "tanh": torch.tanh,
    "abs": torch.abs,
    "ssp": lambda x: nn.functional.softplus(x) - math.log(2),
    "sigmoid": torch.sigmoid,
    "elu": nn.functional.elu,
}

#: Features of one irreducible representation each, [n, 2l+1, channels]; None stands for zeros.
Blocks = list[Tensor | None]


class SevenNet(nn.Module):
    """The network up to a layer's gate, and the energy if that is the last; weights from the official model."""

    def __init__(self, model: AtomGraphSequential, layer: int, modality: str | None) -> None:
        super().__init__()
        modules = model.double()._modules
        _refuse_unknown(modules)
        modal = model.modal_map[modality] if modality else None
        self.edges = EdgeFeatures(modules["edge_embedding"])
        elements = _one_hot(model.type_map)
        species = Linear.of(modules["onehot_to_feature_x"], modal)([elements.unsqueeze(1)])
        blocks = []
        for t in range(layer + 1):
            parts = {name.partition("_")[2]: module for name, module in modules.items() if name.startswith(f"{t}_")}
            blocks.append(Interaction(parts, modal, elements, species if t == 0 else None))
        self.blocks = nn.ModuleList(blocks)
        self.couplings = sorted({path.coupling for block in blocks for path in block.paths if path.coupling})
        for key in self.couplings:
            self.register_buffer(key.name, key.matrix(self.edges.lmax))
        irreps = modules[f"{layer}_equivariant_gate"].gate.irreps_out
        self.invariant = [index for index, (_, irrep) in enumerate(irreps) if irrep == SCALAR]
        self.dim = sum(irreps[index].mul for index in self.invariant)
        last = f"{layer + 1}_equivariant_gate" not in modules
        self.readout = Readout(modules, elements, modal) if last else None

    def forward(self, atomic_numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> tuple[Tensor, ...]:
        radial, same_distance, harmonics = self.edges(edge_vectors)
        joined = torch.cat(harmonics, dim=1)
        couplings = {
            key: (joined @ getattr(self, key.name)).reshape(-1, key.rows, key.columns) for key in self.couplings
        }
        edges = Edges(edge_index[0], edge_index[1], radial, same_distance, harmonics, couplings)
        features: Blocks = []
        for block in self.blocks:
            features = block(features, atomic_numbers, edges)
        invariant = [features[index] for index in self.invariant]
        embedding = (torch.cat(invariant, dim=2) if len(invariant) > 1 else invariant[0]).squeeze(1)
        return (embedding, self.readout(embedding, atomic_numbers)) if self.readout else (embedding,)


class Coupling(NamedTuple):
    """The paths l1 x l2 -> l3 of one input and one output representation, for all l2 that the filter has."""

    l1: int
    l3: int
    l2: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"coupling_{self.l1}_{self.l3}_" + "_".join(map(str, self.l2))

    @property
    def rows(self) -> int:
        return (2 * self.l3 + 1) * len(self.l2)

    @property
    def columns(self) -> int:
        return 2 * self.l1 + 1

    def matrix(self, lmax: int) -> Tensor:
        """[(lmax+1)^2, (2 l3 + 1) * paths * (2 l1 + 1)]: from spherical harmonics to the matrices that act on the features."""
        matrix = torch.zeros((lmax + 1) ** 2, 2 * self.l3 + 1, len(self.l2), self.columns, dtype=torch.float64)
        for path, l2 in enumerate(self.l2):
            symbols = wigner_3j(self.l1, l2, self.l3, dtype=torch.float64)
            matrix[l2 * l2 : (l2 + 1) ** 2, :, path, :] = symbols.permute(1, 2, 0)
        return matrix.reshape((lmax + 1) ** 2, -1)


class Edges(NamedTuple):
    """What the interaction blocks need of the edges."""

    centres: Tensor
    neighbours: Tensor
    #: [n_distances, n_basis] radial basis with cutoff.
    radial: Tensor
    #: [n_edges] row of ``radial``.
    same_distance: Tensor
    #: For each l [n_edges, 2l+1].
    harmonics: list[Tensor]
    couplings: Mapping[Coupling, Tensor]


class EdgeFeatures(nn.Module):
    """Radial basis of the different distances, and spherical harmonics of the edges."""

    def __init__(self, official: nn.Module) -> None:
        super().__init__()
        basis, cutoff, sphere = official.basis_function, official.cutoff_function, official.spherical
        kinds = (type(basis).__name__, type(cutoff).__name__)
        if kinds[0] != "BesselBasis" or kinds[1] not in ("PolynomialCutoff", "XPLORCutoff"):
            raise ExportError(
                "export_failed",
                f"koine's graph of SevenNet lacks {' or '.join(kinds)}",
                "it knows BesselBasis, PolynomialCutoff, XPLORCutoff",
            )
        self.prefactor = basis.prefactor
        self.register_buffer("frequencies", basis.coeffs.detach().double())
        self.cutoff = cutoff
        self.lmax = sphere.lmax
        self.normalize = sphere.sph.normalize
        for l in range(1, self.lmax + 1):
            self.register_buffer(f"raise_{l}", _raise(l))

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        distances = vectors.square().sum(dim=1).sqrt()
        different, same_distance = distinct(distances)
        different = different.unsqueeze(1)
        radial = torch.sin(different * self.frequencies) * (self.prefactor / different) * self._envelope(different)
        direction = vectors / distances.unsqueeze(1) if self.normalize else vectors
        harmonics = [torch.ones_like(distances).unsqueeze(1)]
        for l in range(1, self.lmax + 1):
            products = direction if l == 1 else (harmonics[-1].unsqueeze(2) * direction.unsqueeze(1)).flatten(1)
            harmonics.append(products @ getattr(self, f"raise_{l}"))
        return radial, same_distance, harmonics

    def _envelope(self, distance: Tensor) -> Tensor:
        if type(self.cutoff).__name__ == "XPLORCutoff":
            on, off = self.cutoff.r_on**2, self.cutoff.r_cut**2
            square = distance * distance
            decay = (off - square).square() * (square * 2 + (off - 3 * on)) * (off - on) ** -3
            return torch.where(distance < self.cutoff.r_on, torch.ones_like(decay), decay)
        p, a, b, c = self.cutoff.p, self.cutoff.coeff_p0, self.cutoff.coeff_p1, self.cutoff.coeff_p2
        x = distance / self.cutoff.cutoff_length
        return 1 - x**p * (a - x * (b - x * c))


class Messages(nn.Module):
    """Messages from one input to one output representation: the paths over all l2 side by side, as channels."""

    def __init__(
        self, source: int, irreps: tuple[Irrep, Irrep], l2: Sequence[int], channels: int, radial: Tensor
    ) -> None:
        super().__init__()
        self.source = source
        l1, self.l3 = irreps[0].l, irreps[1].l
        self.target = irreps[1]
        self.channels = channels * len(l2)
        #: Scalars need no coupling: their message is a spherical harmonic.
        self.coupling = Coupling(l1, self.l3, tuple(l2)) if l1 > 0 else None
        self.register_buffer("radial", radial if l1 > 0 else radial / math.sqrt(2 * self.l3 + 1))

    def forward(self, hidden: Tensor, sources: Tensor, edges: Edges) -> Tensor:
        """[n_edges, 2 l3 + 1, paths * channels] from features [n_edges, 2 l1 + 1, channels] of the neighbours."""
        weights = (hidden @ self.radial).index_select(0, edges.same_distance).unsqueeze(1)
        if self.coupling:
            return (edges.couplings[self.coupling] @ sources).reshape(-1, 2 * self.l3 + 1, self.channels) * weights
        message = sources * weights
        return message if self.l3 == 0 else edges.harmonics[self.l3].unsqueeze(2) * message


class Interaction(nn.Module):
    """One interaction block: self-interaction, convolution, self-interaction, self-connection, gate."""

    def __init__(
        self, parts: Mapping[str, nn.Module], modal: int | None, elements: Tensor, species: Blocks | None
    ) -> None:
        super().__init__()
        enter = Linear.of(parts["self_interaction_1"], modal)
        connect = _self_connection(parts["self_connection_intro"], elements)
        if species is not None:  # features are a function of the element: so are these
            enter, connect = Table(enter(species)), Table(connect(species, torch.arange(ROWS)))
        self.enter, self.connect = enter, connect
        convolution = parts["convolution"]
        *hidden, out = _layers(convolution.weight_nn)
        self.hidden = nn.ModuleList(hidden)
        self.paths = nn.ModuleList(_paths(convolution.convolution, out.weight))
        self.leave = Linear.of(parts["self_interaction_2"], modal, 1 / float(convolution.denominator.detach()))
        self.gate = Gate(parts["equivariant_gate"].gate)

    def forward(self, features: Blocks, atomic_numbers: Tensor, edges: Edges) -> Blocks:
        entered = self.enter(features, atomic_numbers)
        sources = [block.index_select(0, edges.neighbours) for block in entered]
        hidden = edges.radial
        for layer in self.hidden:
            hidden = layer(hidden)
        sums: dict[Irrep, list[Tensor]] = {}
        for path in self.paths:
            message = path(hidden, sources[path.source], edges)
            total = message.new_zeros(atomic_numbers.shape[0], 2 * path.l3 + 1, path.channels).index_add(
                0, edges.centres, message
            )
            sums.setdefault(path.target, []).append(total)
        gathered = [torch.cat(parts, dim=2) if len(parts) > 1 else parts[0] for parts in sums.values()]
        return self.gate(_plus(self.leave(gathered), self.connect(features, atomic_numbers)))


def _paths(product: nn.Module, radial: Tensor) -> list[Messages]:
    """Instructions of an official convolution, those that differ in l2 only together; they are sorted by output."""
    groups: dict[tuple[Irrep, int], list[tuple[int, Tensor]]] = {}
    at = 0
    for instruction in product.instructions:
        channels, irrep = product.irreps_in1[instruction.i_in1]
        if (
            instruction.connection_mode != "uvu"
            or not instruction.has_weight
            or product.irreps_in2[instruction.i_in2].mul != 1
        ):
            raise ExportError(
                "export_failed",
                f"koine's graph of SevenNet lacks the tensor product {instruction}",
                "report this checkpoint",
            )
        weights = radial[:, at : at + channels] * instruction.path_weight
        at += channels
        target = product.irreps_out[instruction.i_out].ir
        groups.setdefault((target, instruction.i_in1), []).append((product.irreps_in2[instruction.i_in2].ir.l, weights))
    paths = []
    for (target, source), group in groups.items():
        channels, irrep = product.irreps_in1[source]
        l2, weights = zip(*group, strict=True)
        paths.append(Messages(source, (irrep, target), l2, channels, torch.cat(weights, dim=1)))
    return paths


class Linear(nn.Module):
    """A linear layer between representations: for each output the input of its kind times one matrix."""

    def __init__(self, weights: Sequence[tuple[int, Tensor] | None], biases: Sequence[Tensor | None]) -> None:
        super().__init__()
        self.sources = [None if weight is None else weight[0] for weight in weights]
        for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            self.register_buffer(f"weight_{k}", None if weight is None else weight[1])
            self.register_buffer(f"bias_{k}", bias)

    @classmethod
    def of(cls, official: nn.Module, modal: int | None = None, factor: float = 1.0) -> Linear:
        """Reads the matrices by applying the official layer to unit vectors. Modalities come as further scalar inputs, a
        one-hot vector that is constant here. ``factor`` multiplies the inputs but not the modality.
        """
        linear = official.linear
        inputs = Irreps(getattr(official, "_irreps_in_wo_modal", official.irreps_in)).simplify()
        outputs = Irreps(official.irreps_out).simplify()
        modalities = linear.irreps_in.dim - inputs.dim
        probe = torch.zeros(1 + inputs.num_irreps, linear.irreps_in.dim, dtype=torch.float64)
        if modalities:
            probe[:, inputs.dim + modal] = 1
        probe[1 + torch.arange(inputs.num_irreps), torch.cat(_channels(inputs))] = 1
        with torch.no_grad():
            constant, *rows = linear(probe).split([1, *(mul for mul, _ in inputs)])
        weights: list[tuple[int, Tensor] | None] = []
        biases: list[Tensor | None] = []
        for (_, irrep), columns in zip(outputs, _channels(outputs), strict=True):
            source = next((i for i, (_, candidate) in enumerate(inputs) if candidate == irrep), None)
            bias = constant[:, columns] if irrep.l == 0 and constant[:, columns].any() else None
            weights.append(None if source is None else (source, (rows[source] - constant)[:, columns] * factor))
            biases.append(bias)
        return cls(weights, biases)

    def forward(self, features: Blocks, atomic_numbers: Tensor | None = None) -> Blocks:
        results: Blocks = []
        for k, source in enumerate(self.sources):
            result = None if source is None else features[source] @ getattr(self, f"weight_{k}")
            bias = getattr(self, f"bias_{k}")
            results.append(result if bias is None or result is None else result + bias)
        return results


class ElementLinear(nn.Module):
    """As ``Linear``, with matrices [ROWS, inputs, outputs] that depend on the element: NequIP's self-connection."""

    def __init__(self, weights: Sequence[tuple[int, Tensor] | None]) -> None:
        super().__init__()
        self.sources = [None if weight is None else weight[0] for weight in weights]
        for k, weight in enumerate(weights):
            self.register_buffer(f"weight_{k}", None if weight is None else weight[1])

    def forward(self, features: Blocks, atomic_numbers: Tensor) -> Blocks:
        return [
            None if source is None else features[source] @ getattr(self, f"weight_{k}").index_select(0, atomic_numbers)
            for k, source in enumerate(self.sources)
        ]


class Table(nn.Module):
    """Features that depend on the element only, one row [2l+1, channels] for each atomic number."""

    def __init__(self, rows: Blocks) -> None:
        super().__init__()
        self.count = len(rows)
        for k, block in enumerate(rows):
            self.register_buffer(f"rows_{k}", block)

    def forward(self, features: Blocks, atomic_numbers: Tensor) -> Blocks:
        tables = [getattr(self, f"rows_{k}") for k in range(self.count)]
        return [None if table is None else table.index_select(0, atomic_numbers) for table in tables]


def _self_connection(official: nn.Module, elements: Tensor) -> Linear | ElementLinear:
    if type(official).__name__ == "SelfConnectionLinearIntro":
        return Linear.of(official)
    if type(official).__name__ != "SelfConnectionIntro":
        raise ExportError(
            "export_failed",
            f"koine's graph of SevenNet lacks {type(official).__name__}",
            "it knows the types nequip and linear",
        )
    inputs, outputs = Irreps(official.irreps_in1).simplify(), Irreps(official.irreps_out).simplify()
    probe = torch.zeros(inputs.num_irreps, inputs.dim, dtype=torch.float64)
    probe[torch.arange(inputs.num_irreps), torch.cat(_channels(inputs))] = 1
    with torch.no_grad():
        rows = torch.stack([official.fc_tensor_product(probe, element.expand(len(probe), -1)) for element in elements])
    parts = rows.split([mul for mul, _ in inputs], dim=1)
    weights: list[tuple[int, Tensor] | None] = []
    for (_, irrep), columns in zip(outputs, _channels(outputs), strict=True):
        source = next((i for i, (_, candidate) in enumerate(inputs) if candidate == irrep), None)
        weights.append(None if source is None else (source, parts[source][:, :, columns]))
    return ElementLinear(weights)


class Gate(nn.Module):
    """Activated scalars, then the other representations times their activated gates."""

    def __init__(self, official: nn.Module) -> None:
        super().__init__()
        groups = (official.irreps_scalars, official.irreps_gates, official.irreps_gated)
        inputs = [irrep for _, irrep in official.irreps_in]
        filled = dict.fromkeys(inputs, 0)
        #: For scalars, gates and gated features: block, first channel, channels.
        places: list[list[tuple[int, int, int]]] = []
        for group in groups:
            places.append([])
            for mul, irrep in group:
                places[-1].append((inputs.index(irrep), filled[irrep], mul))
                filled[irrep] += mul
        self.scalars, self.gates, self.gated = places
        self.scalar_activations = nn.ModuleList(Activation(act) for act in official.act_scalars.acts)
        self.gate_activations = nn.ModuleList(Activation(act) for act in official.act_gates.acts)
        if len(self.scalars) != len(self.scalar_activations) or len({act.name for act in self.gate_activations}) > 1:
            raise ExportError(
                "export_failed", f"koine's graph of SevenNet lacks the gate {official}", "report this checkpoint"
            )

    def forward(self, features: Blocks) -> Blocks:
        def take(place: tuple[int, int, int]) -> Tensor:
            block, first, channels = place
            whole = features[block]
            return whole if channels == whole.shape[2] else whole[:, :, first : first + channels]

        scalars = [
            activation(take(place)) for activation, place in zip(self.scalar_activations, self.scalars, strict=True)
        ]
        if not self.gated:
            return scalars
        gates = [self.gate_activations[0](take(place)) for place in self.gates]
        gate = torch.cat(gates, dim=2) if len(gates) > 1 else gates[0]
        factors = gate.split([channels for _, _, channels in self.gated], dim=2)
        return scalars + [take(place) * factor for place, factor in zip(self.gated, factors, strict=True)]


class Activation(nn.Module):
    """An activation of e3nn, which scales it to unit second moment."""

    def __init__(self, normalized: nn.Module) -> None:
        super().__init__()
        from sevenn._const import ACTIVATION

        self.name = next((name for name, function in ACTIVATION.items() if function is normalized.f), "")
        if self.name not in ACTIVATIONS:
            raise ExportError(
                "export_failed",
                f"koine's graph of SevenNet lacks the activation {normalized.f}",
                f"it knows {', '.join(ACTIVATIONS)}",
            )
        self.scale = 1.0 if normalized._is_id else normalized.cst

    def forward(self, x: Tensor) -> Tensor:
        x = ACTIVATIONS[self.name](x)
        return x if self.scale == 1.0 else x * self.scale


class Dense(nn.Module):
    """One layer of e3nn's ``FullyConnectedNet`` with its normalisations in the matrix; the last has no activation."""

    def __init__(self, weight: Tensor, activation: Activation | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = x @ self.weight
        return self.activation(x) if self.activation else x


def _layers(network: nn.Module) -> list[Dense]:
    layers: list[Dense] = []
    scale = 1.0
    for layer in network:
        factor = scale / math.sqrt(layer.h_in * layer.var_in) * (1.0 if layer.act else math.sqrt(layer.var_out))
        activation = Activation(layer.act) if layer.act else None
        layers.append(Dense(layer.weight.detach() * factor, activation))
        scale = math.sqrt(layer.var_out)
        if activation:  # its scale goes into the next matrix
            scale *= activation.scale
            activation.scale = 1.0
    return layers


class Readout(nn.Module):
    """Energy of each atom in eV."""

    def __init__(self, modules: Mapping[str, nn.Module], elements: Tensor, modal: int | None) -> None:
        super().__init__()
        if "readout_FCN" in modules:
            self.layers = nn.ModuleList(_layers(modules["readout_FCN"].fcn))
        else:  # two linear layers are one
            scalars = modules["reduce_input_to_hidden"]._irreps_in_wo_modal.dim
            hidden = Linear.of(modules["reduce_input_to_hidden"], modal)
            energy = Linear.of(modules["reduce_hidden_to_energy"])
            identity = torch.eye(scalars, dtype=torch.float64).unsqueeze(1)
            constant = energy(hidden([torch.zeros_like(identity[:1])]))[0]
            self.layers = nn.ModuleList([Dense((energy(hidden([identity]))[0] - constant).squeeze(1), None)])
            self.register_buffer("constant", constant.reshape(1))
        rescale = modules["rescale_atomic_energy"]
        self.register_buffer("scale", _by_element(rescale, "scale", elements, modal))
        shift = _by_element(rescale, "shift", elements, modal)
        self.register_buffer("shift", shift + self.scale * self.constant if hasattr(self, "constant") else shift)

    def forward(self, embedding: Tensor, atomic_numbers: Tensor) -> Tensor:
        energy = embedding
        for layer in self.layers:
            energy = layer(energy)
        return energy.squeeze(1) * self.scale.index_select(0, atomic_numbers) + self.shift.index_select(
            0, atomic_numbers
        )


def _by_element(rescale: nn.Module, name: str, elements: Tensor, modal: int | None) -> Tensor:
    """[ROWS] shift or scale of each element."""
    values = getattr(rescale, name).detach().double()
    if getattr(rescale, f"use_modal_wise_{name}", False):
        values = values[modal]
    return elements @ values.expand(elements.shape[1])


def _one_hot(type_map: Mapping[int, int]) -> Tensor:
    """[ROWS, n_species]: the official numbering of elements; rows of other elements are zero."""
    rows = torch.zeros(ROWS, len(type_map), dtype=torch.float64)
    for number, species in type_map.items():
        rows[number, species] = 1
    return rows


def _raise(l: int) -> Tensor:
    """The matrix that makes the spherical harmonics of degree l, component-normalised, from the products of those of degree
    l - 1 with the vector: the Wigner 3j symbol times a number, which one direction fixes. Holds for vectors of any length.
    """
    direction = torch.tensor([0.48, 0.64, 0.6], dtype=torch.float64)
    wanted = spherical_harmonics(l, direction, normalize=False, normalization="component")
    if l == 1:
        return torch.eye(3, dtype=torch.float64) * (wanted @ direction)
    lower = spherical_harmonics(l - 1, direction, normalize=False, normalization="component")
    matrix = wigner_3j(l - 1, 1, l, dtype=torch.float64).reshape(-1, 2 * l + 1)
    made = torch.outer(lower, direction).flatten() @ matrix
    return matrix * (wanted @ made) / (made @ made)


def _channels(irreps: Irreps) -> list[Tensor]:
    """For each representation the columns of the first components of its channels."""
    return [
        part.start + (2 * irrep.l + 1) * torch.arange(mul)
        for (mul, irrep), part in zip(irreps, irreps.slices(), strict=True)
    ]


def _plus(a: Blocks, b: Blocks) -> Blocks:
    return [y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True)]


def _refuse_unknown(modules: Mapping[str, nn.Module]) -> None:
    whole = {
        "edge_embedding",
        "onehot_idx_to_onehot",
        "one_hot_modality",
        "onehot_to_feature_x",
        "reduce_input_to_hidden",
        "reduce_hidden_to_energy",
    }
    whole |= {"readout_FCN", "rescale_atomic_energy", "reduce_total_enegy", "force_output"}
    parts = {
        "self_connection_intro",
        "self_interaction_1",
        "convolution",
        "self_interaction_2",
        "self_connection_outro",
        "equivariant_gate",
    }
    unknown = [name for name in modules if name not in whole and name.partition("_")[2] not in parts]
    if unknown:
        raise ExportError(
            "export_failed",
            f"koine's graph of SevenNet lacks the modules {', '.join(unknown)}",
            "report this checkpoint",
        )
