"""
The official SevenNet as a peer of koine's embeddings: the calculator in a loop, as a user would call it (energy, forces,
stress), and the batched forward without its force module and without gradients; graphs are built in both.

Run in the environment `sevennet` (models/export/environments). One JSON object a line on stdin and on stdout:
{"model": "7net-0", "modality": null, "structures": "a.extxyz", "threads": 1, "batch_sizes": [1, 16]} is answered by
{"structures": 60, "calculator": seconds, "batched": {"1": seconds, "16": seconds}, "version": "0.13.0"}.
"""

import contextlib
import json
import sys
from importlib.metadata import version
from time import perf_counter

import torch
from ase.io import read
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import load_checkpoint
from torch_geometric.data import Batch


def seconds(work):
    start = perf_counter()
    work()
    return perf_counter() - start


def peer(ask):
    torch.set_num_threads(ask["threads"])
    calculator = SevenNetCalculator(ask["model"], device="cpu", modal=ask.get("modality"))
    model = load_checkpoint(ask["model"]).build_model().eval()
    model.delete_module_by_key("force_output")
    model.key_grad = None
    frames = read(ask["structures"], index=":")

    def graph(crystal):
        data = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(crystal, model.cutoff))
        if ask.get("modality"):
            data["data_modality"] = ask["modality"]
        return data

    def loop(atoms):
        for crystal in atoms:
            calculator.calculate(crystal)

    def batched(atoms, size):
        with torch.no_grad():
            for start in range(0, len(atoms), size):
                model(Batch.from_data_list([graph(crystal) for crystal in atoms[start : start + size]]))

    loop(frames[:2])
    batched(frames[:2], 2)
    return {
        "structures": len(frames),
        "calculator": seconds(lambda: loop(frames)),
        "batched": {size: seconds(lambda: batched(frames, size)) for size in ask["batch_sizes"]},
        "version": version("sevenn"),
    }


for line in sys.stdin:
    with contextlib.redirect_stdout(sys.stderr):
        answer = peer(json.loads(line))
    print(json.dumps(answer), flush=True)
