"""The official CHGNet as a peer of koine's embeddings: the calculator in a loop, as a user would call it (energy, forces, stress,
magnetic moments), and the batched forward for energies and atom features alone, without gradients; graphs are built in both.
Environment `chgnet`; the protocol is in serve.py; "model" is an official name, e.g. "0.3.0".
"""

import torch
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.io.ase import AseAtomsAdaptor

from serve import serve


def peer(ask):
    torch.set_num_threads(ask["threads"])
    model = CHGNet.load(model_name=ask["model"], use_device="cpu", verbose=False)
    calculator = CHGNetCalculator(model, use_device="cpu")

    def forward(crystals):
        with torch.no_grad():
            model.predict_structure(
                [AseAtomsAdaptor.get_structure(crystal) for crystal in crystals],
                task="e",
                return_atom_feas=True,
                batch_size=len(crystals),
            )

    return calculator, forward


serve("chgnet", peer, lambda crystals: crystals[:2])
