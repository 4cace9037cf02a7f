"""
The official CHGNet as a peer of koine's embeddings: the calculator in a loop, as a user would call it (energy, forces, stress,
magnetic moments), and the batched forward for energies and atom features alone, without gradients; graphs are built in both.

Run in the environment `chgnet` (models/export/environments). One JSON object a line on stdin and on stdout:
{"model": "0.3.0", "structures": "a.extxyz", "threads": 1, "batch_sizes": [1, 16]} is answered by
{"structures": 60, "calculator": seconds, "batched": {"1": seconds, "16": seconds}, "version": "0.4.2"}.
"""

import contextlib
import json
import sys
from importlib.metadata import version
from time import perf_counter

import torch
from ase.io import read
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.io.ase import AseAtomsAdaptor


def seconds(work):
    start = perf_counter()
    work()
    return perf_counter() - start


def peer(ask):
    torch.set_num_threads(ask["threads"])
    model = CHGNet.load(model_name=ask["model"], use_device="cpu", verbose=False)
    calculator = CHGNetCalculator(model, use_device="cpu")
    frames = read(ask["structures"], index=":")

    def loop(atoms):
        for crystal in atoms:
            calculator.calculate(crystal)

    def batched(atoms, size):
        crystals = [AseAtomsAdaptor.get_structure(crystal) for crystal in atoms]
        with torch.no_grad():
            model.predict_structure(crystals, task="e", return_atom_feas=True, batch_size=size)

    loop(frames[:2])
    return {
        "structures": len(frames),
        "calculator": seconds(lambda: loop(frames)),
        "batched": {size: seconds(lambda: batched(frames, size)) for size in ask["batch_sizes"]},
        "version": version("chgnet"),
    }


for line in sys.stdin:
    with contextlib.redirect_stdout(sys.stderr):
        answer = peer(json.loads(line))
    print(json.dumps(answer), flush=True)
