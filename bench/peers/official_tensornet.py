"""The official TensorNet (matgl 2.1.1) as a peer of koine's embeddings: the calculator in a loop, as a user would call it
(energy, forces, stress), and the batched forward of its Potential without gradients; graphs are built in both.
Environment `matgl`; the protocol is in serve.py; "model" is an official name or the folder of a saved Potential.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "export"))

import torch
from matgl.ext.ase import Atoms2Graph, PESCalculator
from torch_geometric.data import Batch

from koine_export.family import Request
from koine_export.matgl_potential import load_potential
from serve import serve


def potential_of(model):
    folder = Path(model)
    return load_potential(Request(None, folder) if folder.exists() else Request(model, None), "TensorNet")[0]


def peer(ask):
    torch.set_num_threads(ask["threads"])
    calculator = PESCalculator(potential_of(ask["model"]), stress_unit="eV/A3")
    scalar = potential_of(ask["model"])
    scalar.calc_forces = scalar.calc_stresses = False
    convert = Atoms2Graph(scalar.model.element_types, float(scalar.model.cutoff))

    def forward(crystals):
        with torch.no_grad():
            graphs, lattices, states = zip(*(convert.get_graph(crystal) for crystal in crystals), strict=True)
            scalar(Batch.from_data_list(list(graphs)), torch.cat(lattices), states[0])

    return calculator, forward


serve("matgl", peer, lambda crystals: crystals[:2])
