"""The official MACE as a peer of koine's embeddings: the calculator in a loop, as a user would call it (energy, forces, stress),
and the batched forward of all layers without gradients, from which the first layer's scalars are taken as
`get_descriptors(num_layers=1)` does; graphs are built in both.
Environment `torch`; the protocol is in serve.py; "model" is a checkpoint.
"""

import mace  # noqa: F401 - before e3nn, whose loading it prepares
import torch
from mace import data
from mace.calculators import MACECalculator
from mace.tools import torch_geometric, utils

from serve import serve


def peer(ask):
    torch.set_num_threads(ask["threads"])
    calculator = MACECalculator(model_paths=ask["model"], device="cpu", default_dtype="float32")
    model = calculator.models[0].eval()
    table = utils.AtomicNumberTable(model.atomic_numbers.tolist())

    def forward(crystals):
        graphs = [
            data.AtomicData.from_config(data.config_from_atoms(crystal), z_table=table, cutoff=float(model.r_max))
            for crystal in crystals
        ]
        with torch.no_grad():
            model(torch_geometric.Batch.from_data_list(graphs).to_dict(), compute_force=False, training=False)

    return calculator, forward


serve("mace-torch", peer, lambda crystals: crystals[:2])
