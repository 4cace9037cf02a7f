"""The seven reference potentials: official classes in small configurations, seen as energy and forces of a batch.

Each builder imports its package when called, so that one environment with only one of the packages can use this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batches import Batch
from data import FORCE_BEARING, SUBSETS


@dataclass(frozen=True)
class Schedule:
    """How a potential is trained. Two phases: a Huber loss that is nearly quadratic, then one nearly absolute."""

    epochs: int
    learning_rate: float
    edges_per_batch: int
    fine_epochs: int
    """epochs of the second phase"""
    warm_up_steps: int = 200
    weight_decay: float = 1e-5
    force_delta: float = 1.0
    fine_force_delta: float = 0.1
    force_weight: float = 10.0
    fine_force_weight: float = 5.0
    fine_learning_rate: float = 0.25
    """of `learning_rate`"""
    gradient_clip: float = 5.0
    rest_share: float = 1.0
    """of the frames of `mptrj-random-1k` seen in each epoch, drawn anew: they are two fifths of all atoms, all near rest"""
    average: float = 0.995
    """decay a step of the moving average of the weights, which is what is kept"""
    rotate: bool = False
    """turn every structure at random each time it is seen (for networks that are not equivariant by construction)"""


@dataclass(frozen=True)
class Potential:
    """One line of the registry."""

    id: str
    family: str
    """family module of the exporter"""
    environment: str
    """environment of `models/export/environments` whose packages build it"""
    cutoff: float
    """Å"""
    hyperparameters: dict[str, Any]
    """given to the official class; also what the exporter is told (`--set`) where the checkpoint does not say"""
    schedule: Schedule
    subsets: tuple[str, ...] = SUBSETS
    seed: int = 1
    max_neighbours: int | None = None
    conservative: bool = True
    equivariant: bool = True

    @property
    def checkpoint_suffix(self) -> str:
        """what the official loader of the family expects"""
        return {"mace": "model", "sevennet": "pth", "orb": "ckpt"}[self.family]



MACE_SCHEDULE = Schedule(epochs=11, fine_epochs=4, learning_rate=0.03, edges_per_batch=2500, rest_share=0.35)
ORB_SCHEDULE = Schedule(epochs=10, fine_epochs=3, learning_rate=0.003, edges_per_batch=6000, rest_share=0.35, rotate=True)
MACE = {"max_ell": 2, "correlation": 2, "num_interactions": 2, "r_max": 4.5, "radial_MLP": [16, 16, 16], "MLP_irreps": "16x0e"}
SEVENNET = {
    "channel": 24,
    "lmax": 1,
    "num_convolution_layer": 3,
    "is_parity": True,
    "weight_nn_hidden_neurons": [32, 32],
    "self_connection_type": "linear",
}
ORB = {
    "latent_dim": 48,
    "base_mlp_hidden_dim": 64,
    "base_mlp_depth": 1,
    "head_mlp_hidden_dim": 48,
    "num_message_passing_steps": 3,
}

POTENTIALS: dict[str, Potential] = {
    potential.id: potential
    for potential in [
        Potential(
            id="ref-mace-s",
            family="mace",
            environment="torch",
            cutoff=4.5,
            hyperparameters=MACE | {"hidden_irreps": "16x0e"},
            schedule=replace(MACE_SCHEDULE, epochs=12, fine_epochs=4, rest_share=1.0),
            seed=11,
        ),
        Potential(
            id="ref-mace-m",
            family="mace",
            environment="torch",
            cutoff=4.5,
            hyperparameters=MACE | {"hidden_irreps": "16x0e + 16x1o"},
            schedule=replace(MACE_SCHEDULE, epochs=9, fine_epochs=3),
            seed=12,
        ),
        Potential(
            id="ref-mace-l",
            family="mace",
            environment="torch",
            cutoff=4.5,
            hyperparameters=MACE | {"hidden_irreps": "24x0e + 24x1o"},
            schedule=replace(MACE_SCHEDULE, epochs=8, fine_epochs=3),
            seed=13,
        ),
        Potential(
            id="ref-mace-hot",
            family="mace",
            environment="torch",
            cutoff=4.5,
            hyperparameters=MACE | {"hidden_irreps": "16x0e + 16x1o"},
            schedule=replace(MACE_SCHEDULE, epochs=12, fine_epochs=4),
            subsets=FORCE_BEARING,
            seed=14,
        ),
        Potential(
            id="ref-sevennet",
            family="sevennet",
            environment="sevennet",
            cutoff=4.5,
            hyperparameters=SEVENNET,
            schedule=replace(MACE_SCHEDULE, learning_rate=0.02),
            seed=15,
        ),
        Potential(
            id="ref-orb-con",
            family="orb",
            environment="torch",
            cutoff=6.0,
            max_neighbours=120,
            hyperparameters=ORB,
            schedule=ORB_SCHEDULE,
            equivariant=False,
            seed=16,
        ),
        Potential(
            id="ref-orb-dir",
            family="orb",
            environment="torch",
            cutoff=6.0,
            max_neighbours=120,
            hyperparameters=ORB,
            schedule=replace(ORB_SCHEDULE, epochs=11, fine_epochs=3),
            conservative=False,
            equivariant=False,
            seed=17,
        ),
    ]
}

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
    return {"mace": _build_mace, "sevennet": _build_sevennet, "orb": _build_orb}[potential.family](potential, statistics)


def forces_from_edges(energy: torch.Tensor, batch: Batch, training: bool) -> torch.Tensor:
    """Minus the gradient of the energy in the positions, by way of the edge vectors v = r_neighbour - r_centre."""
    (gradient,) = torch.autograd.grad(energy.sum(), batch.edge_vectors, create_graph=training)
    centre, neighbour = batch.edge_index
    forces = torch.zeros(len(batch.atomic_numbers), 3, dtype=gradient.dtype, device=gradient.device)
    return forces.index_add(0, centre, gradient).index_add(0, neighbour, -gradient)


def _build_mace(potential: Potential, statistics: Statistics) -> Built:
    from mace.modules import ScaleShiftMACE, interaction_classes
    from mace.modules.blocks import RealAgnosticResidualInteractionBlock  # noqa: F401  (named in the checkpoint)
    from e3nn import o3

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


def _build_sevennet(potential: Potential, statistics: Statistics) -> Built:
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


def _build_orb(potential: Potential, statistics: Statistics) -> Built:
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
