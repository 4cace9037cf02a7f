"""Proof that the seven potentials of Li & Walsh (arXiv 2512.05349) export: their official classes at their official, full size with
seeded random weights, saved in the official checkpoint format, loaded through the official loader, exported and compared.

    PYTHONPATH=models/export <python of environment torch> models/export/paper_seven.py --structures dev.extxyz --output STORE
    PYTHONPATH=models/export <python of environment sevennet> models/export/paper_seven.py --structures dev.extxyz --output STORE

Each run makes the models whose package its environment has, as a model store: `koine run` takes it by `model_store`. The weights
are random, so the models are no potentials; what is proven is that the graph computes what the official code does at this size.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SEED = 2512_05349

#: Of the 89 elements of the Materials Project.
ELEMENTS = [*range(1, 84), *range(89, 95)]


@dataclass(frozen=True)
class Model:
    """One of the seven."""

    id: str
    family: str
    #: Package that builds it.
    package: str
    #: Trainable numbers of the official model; None where no source states them.
    parameters: int | None
    suffix: str
    build: Callable[[Path], int]
    layer: str
    #: Whether rotation must leave the embedding alone.
    invariant: bool = True


def mace(hidden_irreps: str, **other: Any) -> Callable[[Path], int]:
    """A ScaleShiftMACE of MACE-MP-0 (Batatia et al., arXiv 2401.00096), or with ``other`` that of OMAT-0."""

    def build(path: Path) -> int:
        import mace  # noqa: F401 - before e3nn, whose loading it prepares
        import torch
        from e3nn import o3
        from mace import modules

        blocks = {
            key: modules.interaction_classes[other.pop(key, "RealAgnosticResidualInteractionBlock")]
            for key in ("interaction_cls_first", "interaction_cls")
        }
        model = modules.ScaleShiftMACE(
            r_max=6.0,
            num_bessel=10,
            num_polynomial_cutoff=5,
            max_ell=3,
            num_interactions=2,
            num_elements=len(ELEMENTS),
            hidden_irreps=o3.Irreps(hidden_irreps),
            MLP_irreps=o3.Irreps("16x0e"),
            atomic_energies=np.random.default_rng(SEED).normal(-4.0, 2.0, len(ELEMENTS)),
            avg_num_neighbors=61.96,
            atomic_numbers=ELEMENTS,
            correlation=3,
            gate=torch.nn.functional.silu,
            radial_MLP=[64, 64, 64],
            atomic_inter_scale=0.8,
            atomic_inter_shift=0.16,
            **blocks,
            **other,
        )
        torch.save(model, path)
        return sum(p.numel() for p in model.parameters())

    return build


def orb(architecture: str) -> Callable[[Path], int]:
    """Orb-v3 (Rhodes et al., arXiv 2504.06231); counts the graph network without the heads."""

    def build(path: Path) -> int:
        import torch
        from orb_models.forcefield import pretrained

        model = getattr(pretrained, architecture)(device="cpu")
        torch.save(model.state_dict(), path)
        return sum(p.numel() for p in model.model.parameters())

    return build


def sevennet_omat(path: Path) -> int:
    """SevenNet-omat. No source states its network; it was released with SevenNet-MF-ompa, whose the package states as a preset
    and whose 25,734,966 parameters that preset has, with modalities and 119 shifts for each of the two. Taken here without
    modalities: parity, NequIP's self-connection, l_max 3, 5 interaction blocks, cutoff 6 Å, all of the periodic table.
    """
    from importlib.resources import files

    import sevenn
    import torch
    import yaml
    from sevenn._const import DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG
    from sevenn.model_build import build_E3_equivariant_model
    from sevenn.util import chemical_species_preprocess

    preset = yaml.safe_load((files(sevenn) / "presets" / "mf_ompa_fine_tune.yaml").read_text())["model"]
    configuration = {
        **DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG,
        **{key: value for key, value in preset.items() if not key.startswith("use_modal")},
        **chemical_species_preprocess([], universal=True),
        "conv_denominator": 60.0,
        "shift": np.random.default_rng(SEED).normal(-4.0, 2.0, 119).tolist(),
        "scale": 1.7,
        "version": sevenn.__version__,
    }
    model = build_E3_equivariant_model(configuration)
    torch.save(
        {
            "config": configuration,
            "model_state_dict": model.state_dict(),
            "epoch": 0,
            "time": "",
            "hash": "random weights",
        },
        path,
    )
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


OMAT = {
    "interaction_cls_first": "RealAgnosticDensityInteractionBlock",
    "interaction_cls": "RealAgnosticDensityResidualInteractionBlock",
    "distance_transform": "Agnesi",
    "pair_repulsion": True,
}

SEVEN = (
    Model("mace-mp-0-small", "mace", "mace", 3_847_696, ".model", mace("128x0e"), "first"),
    Model("mace-mp-0-medium", "mace", "mace", 4_688_656, ".model", mace("128x0e + 128x1o"), "first"),
    Model("mace-mp-0-large", "mace", "mace", 5_725_072, ".model", mace("128x0e + 128x1o + 128x2e"), "first"),
    Model("mace-omat-0-medium", "mace", "mace", 9_063_204, ".model", mace("128x0e + 128x1o", **OMAT), "first"),
    Model("sevennet-omat", "sevennet", "sevenn", None, ".pth", sevennet_omat, "last"),
    Model(
        "orb-v3-conservative-inf-omat",
        "orb",
        "orb_models",
        25_365_773,
        ".ckpt",
        orb("orb_v3_conservative_architecture"),
        "last",
        invariant=False,
    ),
    Model(
        "orb-v3-direct-inf-omat",
        "orb",
        "orb_models",
        25_365_773,
        ".ckpt",
        orb("orb_v3_direct_architecture"),
        "last",
        invariant=False,
    ),
)


def prove(model: Model, structures: Path, store: Path, gate: float, keep: Path | None) -> dict[str, Any]:
    """Builds, saves (in ``keep``, if given), loads, exports and compares one of the seven; returns what was found."""
    import torch

    from koine_export.family import ExportError, Request
    from koine_export.harness import export
    from koine_export.parity import Gates

    torch.manual_seed(SEED)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = (keep or Path(folder)) / f"{model.id}{model.suffix}"
        parameters = model.build(checkpoint)
        if model.parameters not in (None, parameters):
            raise SystemExit(
                f"{model.id}: {parameters:,} parameters, where the official model has {model.parameters:,}"
            )
        id = f"paper-random-{model.id}"
        request = Request(
            None, checkpoint, model.layer, {"random_weights": "true"}, lambda line: print(f"  {line}", file=sys.stderr)
        )
        entry = {
            "name": f"{model.id}, official classes at full size, seeded random weights (no potential)",
            "licence": "made by models/export/paper_seven.py",
        }
        found = export(model.family, request, id, entry, structures, store / id, Gates(max_float64=gate))
    rotation = found["invariance"]["rotation"]
    if model.invariant and rotation > gate:
        raise ExportError(
            "parity_failed", f"{id} changes by {rotation:.1e} RMS under rotation", "an invariant layer must not"
        )
    return {"id": id, "parameters": parameters, "seconds": round(time.monotonic() - started, 1)} | {
        key: found[key] for key in ("onnx_bytes", "onnx_nodes", "parity", "invariance", "left_out")
    }


def main() -> int:
    """Proves those of the seven that this environment can build; one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, required=True, help="extended XYZ file to compare on")
    parser.add_argument("--output", type=Path, required=True, help="model store to write into")
    parser.add_argument("--checkpoints", type=Path, help="folder that keeps the checkpoints")
    parser.add_argument("--only", nargs="*", help="ids, without 'paper-random-'")
    parser.add_argument("--gate", type=float, default=1e-5, help="largest error against native float64, in RMS")
    options = parser.parse_args()
    chosen = [model for model in SEVEN if options.only is None or model.id in options.only]
    here = [model for model in chosen if importlib.util.find_spec(model.package)]
    if not here:
        print(f"this environment has none of {', '.join(sorted({model.package for model in chosen}))}", file=sys.stderr)
        return 2
    failed = 0
    for model in here:
        print(model.id, file=sys.stderr)
        try:
            print(
                json.dumps(prove(model, options.structures, options.output, options.gate, options.checkpoints)),
                flush=True,
            )
        except Exception as error:
            failed += 1
            print(json.dumps({"id": model.id, "error": f"{type(error).__name__}: {error}"}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
