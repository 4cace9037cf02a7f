"""The seven reference potentials: what each is built of and how it is trained. A change here is another potential."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

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
    remark: str = ""
    """what a reader of the test errors has to know; on the card and in the record"""

    @property
    def checkpoint_suffix(self) -> str:
        """what the official loader of the family expects"""
        return {"mace": "model", "sevennet": "pth", "orb": "ckpt"}[self.family]


MACE_SCHEDULE = Schedule(epochs=11, fine_epochs=4, learning_rate=0.03, edges_per_batch=2500, rest_share=0.35)
ORB_SCHEDULE = Schedule(
    epochs=10, fine_epochs=3, learning_rate=0.003, edges_per_batch=6000, rest_share=0.35, rotate=True
)
MACE = {
    "max_ell": 2,
    "correlation": 2,
    "num_interactions": 2,
    "r_max": 4.5,
    "radial_MLP": [16, 16, 16],
    "MLP_irreps": "16x0e",
}
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
            schedule=MACE_SCHEDULE,
            seed=13,
            remark="the test part was evaluated twice: first for a version of 8 epochs, then for this one of 15",
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
            schedule=replace(ORB_SCHEDULE, epochs=8, fine_epochs=2),
            conservative=False,
            equivariant=False,
            seed=17,
        ),
    ]
}
