"""Nequix (Koker, Kotak, Smidt 2025; nequix 0.4.5 in JAX): a NequIP with a layer norm.

The tensor product of a neighbour's features with the spherical harmonics of its direction is linear in both, so the sum over
neighbours is taken first, as matrix products of harmonics with (radial weight x feature), and the Clebsch-Gordan coefficients
meet the sums, once an atom instead of once an edge. Matrix products need neighbours in rows of equal length: each atom's
edges are cut into chunks of ``CHUNK`` and the last one is filled with zeros, so that an atom with few neighbours costs little
beside one with many. Radial networks depend on the distance alone and run once for each *different* distance. Nothing of this
is an approximation.

Matrices, coupling coefficients and normalisations are read off the official modules by applying them to unit vectors, so no
convention of e3nn is repeated here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # before JAX is imported: its GPU plugin complains where there is none

import e3nn_jax as e3nn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch
from nequix.calculator import NequixCalculator, from_pretrained
from nequix.data import atomic_numbers_to_indices, preprocess_graph
from nequix.model import Nequix, load_model
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from ..crystals import Structure
from ..family import Exported, ExportError, Facts, Native, Precision, Request
from ..graphs.angular import SphericalHarmonics
from ..graphs.distinct import distinct
from ..graphs.edges import rows

#: Edges in a chunk: longer ones waste more on atoms with few neighbours, shorter ones make more partial sums.
CHUNK = 16

#: Edges in one call of the official code, padded to one shape: JAX compiles every shape anew.
NATIVE_EDGES = 4096


@dataclass(frozen=True)
class Coupling:
    """One path of a tensor product: features of degree ``l1`` with harmonics of degree ``l2`` to degree ``l3``."""

    l1: int
    l2: int
    l3: int
    #: Channels, those of the features.
    mul: int
    #: First of its columns among the outputs of the radial network.
    column: int


def paths_of(inputs: Mapping[int, int], l_max: int, outputs: Sequence[int]) -> list[Coupling]:
    """Paths in e3nn's order: by output degree, then input, then harmonic. ``inputs`` maps a degree to its channels."""
    found = [
        (l3, l1, l2)
        for l1 in inputs
        for l2 in range(l_max + 1)
        for l3 in range(abs(l1 - l2), l1 + l2 + 1)
        if l3 in outputs and (l1 + l2 + l3) % 2 == 0  # parity is (-1)^l throughout
    ]
    found.sort(key=lambda path: path[0])
    columns = np.cumsum([0] + [inputs[l1] for _, l1, _ in found])
    return [
        Coupling(l1, l2, l3, inputs[l1], int(column)) for (l3, l1, l2), column in zip(found, columns[:-1], strict=True)
    ]


class Convolution(nn.Module):
    """One layer of the network on chunked edges; features are a dict from degree l to [n_atoms, 2l + 1, channels]."""

    def __init__(self, layer: Any, l_max: int) -> None:
        super().__init__()
        inputs = channels_of(layer.linear_1.irreps_in)
        outputs = channels_of(layer.output_irreps)
        widened = channels_of(layer.linear_2.irreps_out)
        self.inputs, self.outputs, self.widened = inputs, outputs, widened
        self.paths = paths_of(inputs, l_max, list(outputs))
        summed = {l3: sum(path.mul for path in self.paths if path.l3 == l3) for l3 in outputs}
        *hidden, last = [np.asarray(linear.weights) for linear in layer.radial_mlp.layers]
        if last.shape[1] != sum(path.mul for path in self.paths):
            raise ExportError(
                "bad_checkpoint",
                f"radial network of {last.shape[1]} outputs, not {sum(summed.values())}",
                "give a checkpoint of nequix 0.4",
            )

        def constant(name: str, value: np.ndarray) -> None:
            self.register_buffer(name, torch.tensor(np.asarray(value), dtype=torch.float32))

        for k, matrix in enumerate(hidden):
            constant(f"hidden_{k}", matrix)
        self.hidden = len(hidden)
        self.couples: list[tuple[int, int, list[Coupling]]] = []
        for l1 in inputs:
            for l2 in range(l_max + 1):
                paths = [path for path in self.paths if (path.l1, path.l2) == (l1, l2)]
                if paths:
                    self.couples.append((l1, l2, paths))
                    constant(
                        f"radial_{l1}_{l2}",
                        np.concatenate([last[:, path.column : path.column + path.mul] for path in paths], axis=1),
                    )
                    # rows (path, m3), columns (m2, path, m1): the sums of all paths of this couple are coupled in one product
                    couplings = [
                        coupling_of(l1, l2, path.l3).transpose(2, 1, 0) / math.sqrt(layer.avg_n_neighbors)
                        for path in paths
                    ]
                    blocks = [
                        np.where(np.arange(len(paths))[:, None] == k, each[:, :, None, :], 0.0)
                        for k, each in enumerate(couplings)
                    ]
                    constant(f"coupling_{l1}_{l2}", np.concatenate([block.reshape(len(block), -1) for block in blocks]))
        for name, linear, channels in (
            ("mix", layer.linear_1, inputs),
            ("combine", layer.linear_2, summed),
            ("skip", layer.skip, inputs),
        ):
            for degree, matrix in matrices_of(linear, channels).items():
                constant(f"{name}_{degree}", matrix)
        self.has_norm = layer.layer_norm is not None
        if self.has_norm:
            self.epsilon = float(layer.layer_norm.eps)
            for degree, weight in zip(widened, layer.layer_norm.affine_weight, strict=True):
                constant(f"norm_{degree}", weight)
        self.activation = float(e3nn.normalize_function(jax.nn.silu)(1.0) / jax.nn.silu(1.0))

    def forward(self, features: dict[int, Tensor], chunks: Chunks, basis: Tensor) -> dict[int, Tensor]:
        """``basis`` is [n_radii, k]."""
        sums = self._sums(
            {degree: values @ getattr(self, f"mix_{degree}") for degree, values in features.items()}, chunks, basis
        )
        combined = {}
        for degree in self.widened:
            combined[degree] = sums[degree] @ getattr(self, f"combine_{degree}")
            if degree in features:
                combined[degree] = combined[degree] + features[degree] @ getattr(self, f"skip_{degree}")
        return self._gated(self._normalised(combined) if self.has_norm else combined)

    def _sums(self, mixed: dict[int, Tensor], chunks: Chunks, basis: Tensor) -> dict[int, Tensor]:
        """Sum over neighbours of the tensor product, for each degree [n_atoms, 2l + 1, channels of all paths]."""
        hidden = basis
        for k in range(self.hidden):
            hidden = silu(hidden @ getattr(self, f"hidden_{k}"))
        atoms = mixed[0].shape[0]
        sent = {
            degree: values.index_select(0, chunks.neighbour).reshape(-1, CHUNK, *_inner(degree), values.shape[2])
            for degree, values in mixed.items()
        }
        found: dict[Coupling, Tensor] = {}
        for l1, l2, paths in self.couples:
            mul = paths[0].mul
            radial = rows(hidden @ getattr(self, f"radial_{l1}_{l2}"), chunks.radius)
            if l1 > 0:  # a scalar has one path to each degree and one component: the shapes agree as they are
                radial = radial.reshape(-1, CHUNK, len(paths), 1, mul)
            product = radial * sent[l1]
            partial = chunks.harmonics[l2] @ (product.flatten(2) if l1 > 0 else product)
            total = partial.new_zeros(atoms, *partial.shape[1:]).index_add(0, chunks.centre, partial)
            coupled = getattr(self, f"coupling_{l1}_{l2}") @ total.reshape(atoms, -1, mul)
            found.update(zip(paths, coupled.split([2 * path.l3 + 1 for path in paths], dim=1), strict=True))
        return {
            degree: torch.cat([found[path] for path in self.paths if path.l3 == degree], dim=2)
            for degree in self.widened
        }

    def _normalised(self, features: dict[int, Tensor]) -> dict[int, Tensor]:
        square = sum(
            (values * values).sum((1, 2)) / ((2 * degree + 1) ** 2 * len(features))
            for degree, values in features.items()
        )
        scale = torch.rsqrt(square + self.epsilon)[:, None, None]
        return {degree: values * scale * getattr(self, f"norm_{degree}") for degree, values in features.items()}

    def _gated(self, features: dict[int, Tensor]) -> dict[int, Tensor]:
        """Scalars through silu; the last ones are gates of all other channels, in order."""
        scalars = silu(features[0]) * self.activation
        kept, *gates = scalars.split(
            [self.outputs[0]] + [self.outputs[degree] for degree in self.outputs if degree > 0], dim=2
        )
        others = [degree for degree in self.outputs if degree > 0]
        return {0: kept} | {degree: features[degree] * gate for degree, gate in zip(others, gates, strict=True)}


@dataclass(frozen=True)
class Chunks:
    """Edges of each atom in rows of ``CHUNK``, filled up with edges whose harmonics are zero."""

    #: [n_chunks] atom.
    centre: Tensor
    #: [n_chunks CHUNK]
    neighbour: Tensor
    #: [n_chunks, CHUNK] number of the distance among the different ones.
    radius: Tensor
    #: For each degree [n_chunks, 2l + 1, CHUNK].
    harmonics: Sequence[Tensor]


class NequixEncoder(nn.Module):
    """The official network on the contract's tensors."""

    def __init__(self, model: Nequix, config: Mapping[str, Any]) -> None:
        super().__init__()
        numbers = sorted(config["atomic_numbers"])
        species = torch.zeros(max(numbers) + 1, dtype=torch.int64)
        species[numbers] = torch.arange(len(numbers))
        self.register_buffer("species", species)
        self.cutoff, self.l_max, self.exponent = float(model.cutoff), model.lmax, float(model.radial_polynomial_p)
        self.harmonics = SphericalHarmonics(self.l_max, lambda points: harmonics_of(points, self.l_max))
        self.layers = nn.ModuleList(Convolution(layer, model.lmax) for layer in model.layers)

        def constant(name: str, value: np.ndarray) -> None:
            self.register_buffer(name, torch.tensor(np.asarray(value), dtype=torch.float32))

        constant("frequencies", np.arange(1, model.radial_basis_size + 1) * math.pi / self.cutoff)
        constant("elements", np.eye(len(numbers)))
        channels = channels_of(model.readout.irreps_in)
        constant("readout", matrices_of(model.readout, channels)[0] * float(model.scale))
        constant("offsets", np.asarray(model.atom_energies, dtype=np.float64) + float(model.shift))

    def forward(self, atomic_numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Contract's tensors to node_embedding [n_atoms, channels] and node_energy [n_atoms] in eV."""
        species = self.species.index_select(0, atomic_numbers)
        distances = torch.linalg.vector_norm(edge_vectors, dim=1)
        # one more, at the cutoff, for the edges that fill chunks up
        radii, edge_radius = distinct(pad(distances, (0, 1), value=self.cutoff))
        chunks = self._chunks(atomic_numbers.shape[0], edge_index, edge_radius, edge_vectors / distances[:, None])
        basis = self._basis(radii[:, None])
        features = {0: self.elements.index_select(0, species)[:, None]}
        for layer in self.layers:
            features = layer(features, chunks, basis)
        embedding = features[0][:, 0]
        return embedding, (embedding @ self.readout)[:, 0] + self.offsets.index_select(0, species)

    def _basis(self, radii: Tensor) -> Tensor:
        """[n_radii, k] Bessel functions times a polynomial cutoff, which is 1 - O(x^p), here as (1 - x)³ (1 + 3x + 6x² + ...)."""
        x = (radii / self.cutoff).clamp(max=1.0)
        series = torch.zeros_like(x)
        for k in reversed(range(round(self.exponent))):
            series = series * x + (k + 1) * (k + 2) / 2
        return torch.sin(radii * self.frequencies) * ((1 - x) ** 3 * series * (2 / self.cutoff) / radii)

    def _chunks(self, atoms: int, edge_index: Tensor, edge_radius: Tensor, directions: Tensor) -> Chunks:
        edges = edge_index.shape[1]
        centre, order = torch.sort(edge_index[0])
        degrees = torch.zeros(atoms, dtype=torch.int64).index_add(0, centre, torch.ones_like(centre))
        chunks = (degrees + (CHUNK - 1)) // CHUNK
        chunks_end = chunks.cumsum(0)
        # an edge's place: all places of the atoms before its centre, then its rank among the edges of its centre
        first = (chunks_end - chunks) * CHUNK - (degrees.cumsum(0) - degrees)
        place = first.index_select(0, centre) + torch.arange(edges)
        count = chunks_end[-1].item()
        torch._check(count >= 0)
        edge = torch.full((count * CHUNK,), edges).index_add(
            0, place, order - edges
        )  # the number ``edges`` is the empty edge
        ends = pad(edge_index, (0, 1)).index_select(1, edge)
        harmonics = self.harmonics(directions)
        harmonics = (
            pad(harmonics, (0, 0, 0, 1)).index_select(0, edge).reshape(-1, CHUNK, harmonics.shape[1]).transpose(1, 2)
        )
        return Chunks(
            ends[0].reshape(-1, CHUNK)[:, 0],
            ends[1],
            edge_radius.index_select(0, edge).reshape(-1, CHUNK),
            harmonics.split([2 * l + 1 for l in range(self.l_max + 1)], dim=1),
        )


def _inner(degree: int) -> tuple[int, ...]:
    """Axes (path, component) of a neighbour's features of this degree; none for scalars."""
    return (1, 2 * degree + 1) if degree > 0 else ()


def channels_of(irreps: e3nn.Irreps) -> dict[int, int]:
    """Channels of each degree. Raises ``ExportError`` unless every degree has the parity of its spherical harmonic."""
    channels = {ir.l: mul for mul, ir in irreps}
    if [(mul, e3nn.Irrep(l, (-1) ** l)) for l, mul in sorted(channels.items())] != [(mul, ir) for mul, ir in irreps]:
        raise ExportError(
            "bad_checkpoint",
            f"hidden features {irreps}: only 0e, 1o, 2e, 3o, ... are supported, each once",
            "export another checkpoint",
        )
    return channels


def matrices_of(linear: Any, channels: Mapping[int, int]) -> dict[int, np.ndarray]:
    """[channels in, channels out] of an equivariant linear layer, by degree: its answers to unit vectors of m = 0."""
    irreps = e3nn.Irreps([(mul, (l, (-1) ** l)) for l, mul in channels.items()])
    starts = dict(zip(channels, (s.start for s in irreps.slices()), strict=True))
    rows = [starts[l] + u * (2 * l + 1) for l, mul in channels.items() for u in range(mul)]
    answers = linear(e3nn.IrrepsArray(irreps, jnp.asarray(np.eye(irreps.dim, dtype=np.float32)[rows]))).regroup()
    blocks = dict(zip(channels_of(answers.irreps), answers.irreps.slices(), strict=True))
    ends = np.cumsum(list(channels.values()))
    return {
        l: np.asarray(answers.array)[end - mul : end, blocks[l]][:, :: 2 * l + 1]
        for (l, mul), end in zip(channels.items(), ends, strict=True)
        if l in blocks
    }


def coupling_of(l1: int, l2: int, l3: int) -> np.ndarray:
    """[2 l1 + 1, 2 l2 + 1, 2 l3 + 1] of e3nn's tensor product."""
    one, two, three = (e3nn.Irrep(l, (-1) ** l) for l in (l1, l2, l3))
    first = e3nn.IrrepsArray(e3nn.Irreps([(1, one)]), jnp.eye(one.dim)[:, None])
    second = e3nn.IrrepsArray(e3nn.Irreps([(1, two)]), jnp.eye(two.dim)[None])
    with float64():
        return np.asarray(
            e3nn.tensor_product(first.astype(jnp.float64), second.astype(jnp.float64), filter_ir_out=[three]).array
        )


def harmonics_of(points: Tensor, l_max: int) -> np.ndarray:
    """[n, (l_max + 1)²] e3nn's spherical harmonics of float64 vectors, component-normalised, homogeneous of degree l."""
    with float64():
        return np.asarray(
            e3nn.spherical_harmonics(
                e3nn.s2_irreps(l_max), jnp.asarray(points.numpy()), normalize=False, normalization="component"
            ).array
        )


@contextmanager
def float64() -> Iterator[None]:
    """JAX with double precision."""
    with jax.enable_x64(True):
        yield


class Tap(eqx.Module):
    """The readout, which also notes its input: the features that are the embedding."""

    readout: Any
    seen: list = eqx.field(static=True)

    def __call__(self, features: e3nn.IrrepsArray) -> e3nn.IrrepsArray:
        self.seen.append(features.array)
        return self.readout(features)


def official(
    model: Nequix, config: Mapping[str, Any], structures: Sequence[Structure], precision: Precision
) -> list[Native]:
    """``Nequix.node_energies`` on the official neighbour list, several structures in one padded call."""
    indices = atomic_numbers_to_indices(config["atomic_numbers"])
    graphs = [preprocess_graph(s.atoms, indices, model.cutoff, False) for s in structures]
    most = max(NATIVE_EDGES, *(len(graph["senders"]) for graph in graphs))
    groups: list[list[int]] = [[]]
    edges = 0
    for k, graph in enumerate(graphs):
        edges += len(graph["senders"])
        if edges > most:
            groups.append([])
            edges = len(graph["senders"])
        groups[-1].append(k)
    atoms = 1 + max(
        sum(len(structures[k].numbers) for k in group) for group in groups
    )  # the last one takes the padding
    results: list[Native] = []
    with jax.enable_x64(precision == "float64"):
        typed = jax.tree.map(lambda leaf: jnp.asarray(leaf, precision) if eqx.is_inexact_array(leaf) else leaf, model)

        @jax.jit
        def run(vectors, species, senders, receivers):
            seen: list[jax.Array] = []
            energies = eqx.tree_at(lambda m: m.readout, typed, Tap(typed.readout, seen)).node_energies(
                vectors, species, senders, receivers
            )
            return seen[0], energies[:, 0]

        for group in groups:
            vectors, species = np.zeros((most, 3), precision), np.zeros(atoms, np.int32)
            senders, receivers = np.full((2, most), atoms - 1, np.int32)
            offsets = np.cumsum([0] + [len(structures[k].numbers) for k in group])
            at = 0
            for k, first in zip(group, offsets, strict=False):
                graph, to = graphs[k], at + len(graphs[k]["senders"])
                positions = structures[k].positions.astype(precision)
                vectors[at:to] = (
                    positions[graph["senders"]]
                    - positions[graph["receivers"]]
                    + graph["shifts"].astype(precision) @ structures[k].cell.astype(precision)
                )
                senders[at:to], receivers[at:to] = graph["senders"] + first, graph["receivers"] + first
                species[first : first + len(graph["species"])] = graph["species"]
                at = to
            features, energies = (np.asarray(values) for values in run(vectors, species, senders, receivers))
            for first, end in pairwise(offsets):
                results.append(Native(features[first:end], float(energies[first:end].sum(dtype=np.float64))))
    return results


def read(request: Request) -> tuple[Nequix, dict[str, Any], Path]:
    """Model, its settings and the file they came from, by the official loaders."""
    if request.official is not None:
        file = Path("~/.cache/nequix/models").expanduser() / f"{request.official}.nqx"
        if request.official not in NequixCalculator.URLS:
            raise ExportError(
                "weights_unavailable",
                f"nequix has no model '{request.official}'",
                f"its models are {', '.join(NequixCalculator.URLS)}",
            )
        try:
            return *from_pretrained(request.official, use_kernel=False), file
        except OSError as error:
            raise ExportError(
                "weights_unavailable",
                f"nequix could not get '{request.official}': it looked for {file}, then at {NequixCalculator.URLS[request.official]} ({error})",
                "check the network; or put the file there, or give it with --checkpoint FILE",
            ) from error
    file = request.checkpoint
    assert file is not None
    try:
        if file.suffix == ".pt":
            return *_from_torch(file), file
        return *load_model(str(file)), file
    except (ValueError, KeyError, TypeError, RuntimeError, EOFError, OSError, AssertionError) as error:
        raise ExportError(
            "bad_checkpoint",
            f"{file.name} is not a Nequix checkpoint ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            "give a .nqx file that nequix.model.save_model wrote, or a .pt file of its torch backend",
        ) from error


def _from_torch(file: Path) -> tuple[Nequix, dict[str, Any]]:
    """A checkpoint of the torch backend, converted by nequix; unlike its calculator this writes nothing beside the file."""
    from nequix.torch_impl.model import load_model as load_torch_model
    from nequix.torch_impl.utils import convert_model_torch_to_jax

    model, config = load_torch_model(str(file), False)
    return convert_model_torch_to_jax(model, config, False)


def load(request: Request) -> Exported:
    """Loads a Nequix. Official names: ``nequix-mp-1``, ``nequix-omat-1``, ``nequix-oam-1`` and their phonon fine-tunes."""
    if request.layer not in (None, "last"):
        raise ExportError(
            "unsupported_layer", f"nequix has no embedding layer '{request.layer}'", "leave --layer out: it is last"
        )
    model, config, file = read(request)
    if any(layer.index_weights for layer in model.layers):
        raise ExportError(
            "bad_checkpoint",
            f"{file.name} has a skip connection for each element (index_weights)",
            "give a checkpoint without it",
        )
    dim = channels_of(model.readout.irreps_in)[0]
    facts = Facts(
        family="Nequix",
        name=request.official or file.stem,
        package="nequix",
        package_version=version("nequix"),
        equivariant=True,
        conservative=True,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))),
        cutoff_angstrom=float(model.cutoff),
        elements=config["atomic_numbers"],
        layer=f"{dim}x0e features after the last interaction layer (gate), before the linear readout",
        dim=dim,
        invariant=True,
        weights_file=file,
        licence="MIT (code repository); CC-BY-4.0 (checkpoints, as listed by Matbench Discovery)",
    )
    return Exported(
        NequixEncoder(model, config).eval(),
        facts,
        lambda structures, precision: official(model, config, structures, precision),
        outputs=("node_embedding", "node_energy"),
    )
