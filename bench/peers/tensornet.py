"""
The official TensorNet (matgl 2.1.1) as a peer of koine's embeddings: the calculator in a loop, as a user would call it
(energy, forces, stress), and the batched forward of its Potential without gradients; graphs are built in both.

Run in the environment `matgl` (models/export/environments). One JSON object a line on stdin and on stdout:
{"model": "TensorNet-MatPES-PBE-v2025.1-PES", "structures": "a.extxyz", "threads": 1, "batch_sizes": [1, 16]}, where the model
is an official name or the folder of a saved Potential, is answered by
{"structures": 60, "calculator": seconds, "batched": {"1": seconds, "16": seconds}, "version": "2.1.1"}.
"""

import contextlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "export"))

import torch
from ase.io import read
from koine_export.family import Request
from koine_export.matgl_potential import load_potential
from matgl.ext.ase import Atoms2Graph, PESCalculator
from torch_geometric.data import Batch


def seconds(work):
    start = perf_counter()
    work()
    return perf_counter() - start


def potential_of(model):
    folder = Path(model)
    return load_potential(Request(None, folder) if folder.exists() else Request(model, None), "TensorNet")[0]


def peer(ask):
    torch.set_num_threads(ask["threads"])
    calculator = PESCalculator(potential_of(ask["model"]), stress_unit="eV/A3")
    scalar = potential_of(ask["model"])
    scalar.calc_forces = scalar.calc_stresses = False
    convert = Atoms2Graph(scalar.model.element_types, float(scalar.model.cutoff))
    frames = read(ask["structures"], index=":")

    def loop(atoms):
        for crystal in atoms:
            calculator.calculate(crystal)

    def batched(atoms, size):
        with torch.no_grad():
            for start in range(0, len(atoms), size):
                graphs, lattices, states = zip(*(convert.get_graph(crystal) for crystal in atoms[start : start + size]))
                scalar(Batch.from_data_list(list(graphs)), torch.cat(lattices), states[0])

    loop(frames[:2])
    batched(frames[:2], 2)
    return {
        "structures": len(frames),
        "calculator": seconds(lambda: loop(frames)),
        "batched": {size: seconds(lambda: batched(frames, size)) for size in ask["batch_sizes"]},
        "version": version("matgl"),
    }


for line in sys.stdin:
    with contextlib.redirect_stdout(sys.stderr):
        answer = peer(json.loads(line))
    print(json.dumps(answer), flush=True)
