"""
SevenNet-omat as in its paper, with seeded random weights in the official checkpoint format:
``python tests/paper_sevennet.py FILE [SEED]``. For proofs at full size where the published file can't be downloaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import sevenn
import torch
from ase.data import chemical_symbols
from sevenn._const import DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG
from sevenn.model_build import build_E3_equivariant_model
from sevenn.nn.node_embedding import get_type_mapper_from_specie

#: The 89 elements of OMat24.
SPECIES = [chemical_symbols[z] for z in [*range(1, 84), *range(89, 95)]]


def write(path: Path, seed: int = 0) -> Path:
    """Cutoff 6 Å, lmax 3, five blocks of 128x0e+64x1e+32x2e+32x3e, no parity, linear self-connections."""
    torch.manual_seed(seed)
    type_map = get_type_mapper_from_specie(SPECIES)
    hidden = "128x0e+64x1e+32x2e+32x3e"
    config = {
        **DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG,
        "cutoff": 6.0,
        "channel": 128,
        "lmax": 3,
        "num_convolution_layer": 5,
        "irreps_manual": ["128x0e", *[hidden] * 4, "128x0e"],
        "is_parity": False,
        "self_connection_type": "linear",
        "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": 8},
        "cutoff_function": {"cutoff_function_name": "XPLOR", "cutoff_on": 5.5},
        "weight_nn_hidden_neurons": [64, 64],
        "conv_denominator": 60.0,
        "shift": [-4.0] * len(type_map),
        "scale": 1.7,
        "_type_map": type_map,
        "_number_of_species": len(type_map),
        "chemical_species": sorted(SPECIES),
        "version": sevenn.__version__,
    }
    model = build_E3_equivariant_model(config)
    torch.save({"config": config, "model_state_dict": model.state_dict(), "epoch": 0, "time": "", "hash": ""}, path)
    return path


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
