"""The networks of the reference potentials: official classes in small configurations, seen as energy and forces of a batch.

Each builder imports its package when called, so that an environment with only one of the packages can use this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from batches import Batch
from potentials import Potential

PACKAGES = {"mace": "mace", "sevennet": "sevenn", "orb": "orb_models"}
"""Python package of each family."""

Predict = Callable[[Batch, bool], tuple[torch.Tensor, torch.Tensor]]
"""(batch, training) -> energies [n_structures] above the reference energies, forces [n_atoms, 3]"""


@dataclass
class Built:
    """An official module and how to ask it for energies and forces."""

    module: torch.nn.Module
    predict: Predict
    save: Callable[[Path], None]
    """writes the module as the family's official checkpoint"""
    load: Callable[[Path], None]
    """reads weights back from such a checkpoint"""


@dataclass(frozen=True)
class Statistics:
    """What the training part decides about a network before training."""

    elements: list[int]
    references: np.ndarray
    """float64 [119], eV per element"""
    average_neighbours: float


def build(potential: Potential, statistics: Statistics, seed: int | None = None) -> Built:
    """The untrained network, from the potential's seed or another."""
    torch.manual_seed(potential.seed if seed is None else seed)
    builders = {"mace": _mace, "sevennet": _sevennet, "orb": _orb}
    return builders[potential.family](potential, statistics)


def forces_from_edges(energy: torch.Tensor, batch: Batch, training: bool) -> torch.Tensor:
    """Minus the gradient of the energy in the positions, by way of the edge vectors v = r_neighbour - r_centre."""
    (gradient,) = torch.autograd.grad(energy.sum(), batch.edge_vectors, create_graph=training)
    centre, neighbour = batch.edge_index
    forces = torch.zeros(len(batch.atomic_numbers), 3, dtype=gradient.dtype, device=gradient.device)
    return forces.index_add(0, centre, gradient).index_add(0, neighbour, -gradient)


def _mace(potential: Potential, statistics: Statistics) -> Built:
    from e3nn import o3
    from mace.modules import ScaleShiftMACE, interaction_classes
    from mace.modules.blocks import RealAgnosticResidualInteractionBlock  # noqa: F401  (named in the checkpoint)

    settings = dict(potential.hyperparameters)
    elements = statistics.elements
    block = interaction_classes["RealAgnosticResidualInteractionBlock"]
    module = ScaleShiftMACE(
        r_max=settings["r_max"],
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=settings["max_ell"],
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=settings["num_interactions"],
        num_elements=len(elements),
        hidden_irreps=o3.Irreps(settings["hidden_irreps"]),
        MLP_irreps=o3.Irreps(settings["MLP_irreps"]),
        gate=torch.nn.functional.silu,
        atomic_energies=statistics.references[elements],
        avg_num_neighbors=statistics.average_neighbours,
        atomic_numbers=elements,
        correlation=settings["correlation"],
        radial_MLP=settings["radial_MLP"],
        radial_type="bessel",
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    column = torch.full((119,), -1)
    column[elements] = torch.arange(len(elements))

    def predict(batch: Batch, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = batch.edge_vectors.requires_grad_(True)
        n = len(batch.atomic_numbers)
        one_hot = torch.nn.functional.one_hot(column.to(vectors.device)[batch.atomic_numbers], len(elements))
        # MACE adds `shifts` to the difference of positions: with all atoms at the origin the shifts are the edge vectors.
        out = module(
            {
                "positions": vectors.new_zeros(n, 3),
                "shifts": vectors,
                "unit_shifts": torch.zeros_like(vectors),
                "cell": torch.eye(3).repeat(len(batch.n_atoms), 1).to(vectors),
                "node_attrs": one_hot.to(vectors.dtype),
                "edge_index": batch.edge_index,
                "batch": batch.structure_index,
                "ptr": torch.cat([batch.n_atoms.new_zeros(1), batch.n_atoms.cumsum(0)]),
                "head": torch.zeros_like(batch.n_atoms),
            },
            training=training,
            compute_force=False,
        )
        energy = out["interaction_energy"]
        return energy, forces_from_edges(energy, batch, training)

    def save(path: Path) -> None:
        # The official checkpoint of MACE is the pickled module; `mace_mp` and the calculators load it by torch.load.
        torch.save(module, path)

    def load(path: Path) -> None:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=False).state_dict())

    return Built(module, predict, save, load)


def _sevennet(potential: Potential, statistics: Statistics) -> Built:
    import sevenn
    import sevenn._const as official
    import sevenn._keys as KEY
    from ase.data import chemical_symbols
    from sevenn.model_build import build_E3_equivariant_model

    # The official type map is alphabetical by symbol.
    by_symbol = sorted(statistics.elements, key=lambda z: chemical_symbols[z])
    config = official.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG | potential.hyperparameters
    config |= {
        "version": sevenn.__version__,
        KEY.MODEL_TYPE: "E3_equivariant_model",
        KEY.CUTOFF: potential.cutoff,
        KEY.RADIAL_BASIS: {KEY.RADIAL_BASIS_NAME: "bessel", KEY.BESSEL_BASIS_NUM: 8},
        KEY.CUTOFF_FUNCTION: {KEY.CUTOFF_FUNCTION_NAME: "poly_cut", KEY.POLY_CUT_P: 6},
        KEY.CHEMICAL_SPECIES: [chemical_symbols[z] for z in by_symbol],
        KEY.CHEMICAL_SPECIES_BY_ATOMIC_NUMBER: by_symbol,
        KEY.NUM_SPECIES: len(by_symbol),
        KEY.TYPE_MAP: {z: index for index, z in enumerate(by_symbol)},
        KEY.CONV_DENOMINATOR: [statistics.average_neighbours] * potential.hyperparameters[KEY.NUM_CONVOLUTION],
        KEY.SHIFT: [float(statistics.references[z]) for z in by_symbol],
        KEY.SCALE: 1.0,
        KEY.USE_MODALITY: False,
        KEY.DTYPE: "single",
    }
    module = build_E3_equivariant_model(config)
    module.set_is_batch_data(True)

    def predict(batch: Batch, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = batch.edge_vectors
        data = {
            KEY.ATOMIC_NUMBERS: batch.atomic_numbers,
            KEY.NODE_FEATURE: batch.atomic_numbers,
            KEY.EDGE_IDX: batch.edge_index,
            KEY.EDGE_VEC: vectors,
            KEY.BATCH: batch.structure_index,
            KEY.NUM_ATOMS: batch.n_atoms,
            KEY.CELL_VOLUME: torch.ones_like(batch.energies),
        }
        out = module(data)
        # The total of the module holds the element shifts, -1e4 eV in large cells: float32 would round the rest.
        above = out[KEY.SCALED_ATOMIC_ENERGY].squeeze(1)
        energy = torch.zeros_like(batch.energies).index_add(0, batch.structure_index, above)
        return energy, out[KEY.PRED_FORCE]

    def save(path: Path) -> None:
        torch.save(
            {
                "config": config,
                "model_state_dict": module.state_dict(),
                "optimizer_state_dict": {},
                "scheduler_state_dict": {},
                "epoch": 0,
                "time": "",
                "hash": potential.id,
            },
            path,
        )

    def load(path: Path) -> None:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=False)["model_state_dict"])

    return Built(module, predict, save, load)


def _orb(potential: Potential, statistics: Statistics) -> Built:
    from orb_models.forcefield.base import AtomGraphs
    from orb_models.forcefield.pretrained import orb_v3_conservative_architecture, orb_v3_direct_architecture

    architecture = orb_v3_conservative_architecture if potential.conservative else orb_v3_direct_architecture
    module = architecture(**potential.hyperparameters, has_stress=False, device="cpu")
    head = module.heads["energy"]
    with torch.no_grad():
        head.reference.linear.weight.copy_(torch.as_tensor(statistics.references[:118]))
        # Energies per atom above the references have mean 0 and a spread near 1 eV: nothing to normalise.
        head.normalizer.bn.running_mean.zero_()
        head.normalizer.bn.running_var.fill_(1.0)
    head.normalizer.online = False
    if not potential.conservative:
        module.heads["forces"].normalizer.online = False

    def predict(batch: Batch, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = batch.edge_vectors.requires_grad_(potential.conservative)
        graphs = AtomGraphs(
            senders=batch.edge_index[0],
            receivers=batch.edge_index[1],
            n_node=batch.n_atoms,
            n_edge=batch.n_edges,
            node_features={
                "atomic_numbers": batch.atomic_numbers,
                "atomic_numbers_embedding": torch.nn.functional.one_hot(batch.atomic_numbers, 118).to(vectors.dtype),
                "positions": vectors.new_zeros(len(batch.atomic_numbers), 3),
            },
            edge_features={"vectors": vectors},
            # The cell decides whether the net torque is removed (not in a crystal) and scales the stress, unused here.
            system_features={"cell": torch.eye(3).repeat(len(batch.n_atoms), 1, 1).to(vectors)},
            node_targets=None,
            edge_targets=None,
            system_targets=None,
            system_id=None,
            fix_atoms=None,
            tags=None,
            radius=potential.cutoff,
            max_num_neighbors=torch.tensor(potential.max_neighbours),
        )
        with torch.set_grad_enabled(training or potential.conservative):
            features = module.model(graphs)["node_features"]
            # `denormalize` of the official head without the references.
            energy = head.normalizer.inverse(head(features, graphs)) * batch.n_atoms
            repulsion = module.pair_repulsion_fn(graphs)
            energy = energy + repulsion["energy"]
            if potential.conservative:
                return energy, forces_from_edges(energy, batch, training)
            return energy, module.heads["forces"].predict(features, graphs) + repulsion["forces"]

    def save(path: Path) -> None:
        torch.save(module.state_dict(), path)

    def load(path: Path) -> None:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    return Built(module, predict, save, load)
