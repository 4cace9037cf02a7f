"""The official Nequix (0.4.5, JAX) as a peer of koine's embeddings: the calculator in a loop, as a user would call it (energy,
forces, stress), and its node energies, compiled, for several structures at once, padded as its calculator pads, without
gradients; graphs are built in both. JAX compiles every shape anew, which takes seconds a shape: the times are those of a second
pass over the same structures, when all shapes are compiled.
Environment `nequix`, one process for each number of threads: JAX takes as many as the process may use when it starts. The protocol is
in serve.py; "model" is an official name or a checkpoint.
"""

import os
from pathlib import Path

from serve import serve


def padded(count, step):
    return -(-(count + 1) // step) * step


def peer(ask):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: ask["threads"]])
    os.environ["JAX_PLATFORMS"] = "cpu"
    import equinox
    import numpy as np
    from nequix.calculator import NequixCalculator
    from nequix.data import preprocess_graph

    source = {"model_path": ask["model"]} if Path(ask["model"]).exists() else {"model_name": ask["model"]}
    calculator = NequixCalculator(**source, use_kernel=False)
    energies = equinox.filter_jit(calculator.model.node_energies)

    def forward(crystals):
        graphs = [preprocess_graph(crystal, calculator.atom_indices, calculator.cutoff, False) for crystal in crystals]
        offsets = np.cumsum([0] + [len(graph["species"]) for graph in graphs])
        edges = sum(len(graph["senders"]) for graph in graphs)
        vectors = np.zeros((padded(int(1.1 * edges), 64), 3), np.float32)
        species = np.zeros(padded(int(offsets[-1]), 8), np.int32)
        senders, receivers = np.full((2, len(vectors)), len(species) - 1, np.int32)
        at = 0
        for graph, first in zip(graphs, offsets[:-1], strict=True):
            to = at + len(graph["senders"])
            positions = graph["positions"]
            vectors[at:to] = (
                positions[graph["senders"]] - positions[graph["receivers"]] + graph["shifts"] @ graph["cell"]
            )
            senders[at:to], receivers[at:to] = graph["senders"] + first, graph["receivers"] + first
            species[first : first + len(graph["species"])] = graph["species"]
            at = to
        energies(vectors, species, senders, receivers).block_until_ready()

    return calculator, forward


serve("nequix", peer, lambda crystals: crystals)
