"""The official Orb-v3 as a peer of koine's embeddings: the calculator in a loop, as a user would call it (energy, forces, stress),
and the base network on batches, without heads and without gradients; graphs are built in both.
Environment `torch`; the protocol is in serve.py; "model" is a checkpoint, "official" the function of orb_models that loads it.
"""

import torch
from orb_models.forcefield import atomic_system, pretrained
from orb_models.forcefield.base import batch_graphs
from orb_models.forcefield.calculator import ORBCalculator

from serve import serve


def peer(ask):
    torch.set_num_threads(ask["threads"])
    network = getattr(pretrained, ask["official"])(
        weights_path=ask["model"], device="cpu", precision="float32-highest", compile=False
    )
    calculator = ORBCalculator(network, device="cpu")

    def forward(crystals):
        with torch.no_grad():
            network.model(
                batch_graphs(
                    [
                        atomic_system.ase_atoms_to_atom_graphs(crystal, network.system_config, device="cpu")
                        for crystal in crystals
                    ]
                )
            )

    return calculator, forward


serve("orb-models", peer, lambda crystals: crystals[:2])
