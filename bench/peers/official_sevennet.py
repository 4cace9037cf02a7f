"""The official SevenNet as a peer of koine's embeddings: the calculator in a loop, as a user would call it (energy, forces,
stress), and the batched forward without its force module and without gradients; graphs are built in both.
Environment `sevennet`; the protocol is in serve.py; "model" is an official name such as "7net-0" or a checkpoint, "modality" one of it.
"""

import torch
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import load_checkpoint
from torch_geometric.data import Batch

from serve import serve


def peer(ask):
    torch.set_num_threads(ask["threads"])
    calculator = SevenNetCalculator(ask["model"], device="cpu", modal=ask.get("modality"))
    model = load_checkpoint(ask["model"]).build_model().eval()
    model.delete_module_by_key("force_output")
    model.key_grad = None

    def graph(crystal):
        data = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(crystal, model.cutoff))
        if ask.get("modality"):
            data["data_modality"] = ask["modality"]
        return data

    def forward(crystals):
        with torch.no_grad():
            model(Batch.from_data_list([graph(crystal) for crystal in crystals]))

    return calculator, forward


serve("sevenn", peer, lambda crystals: crystals[:2])
