"""MatterSim-v1 (package ``mattersim``): M3GNet with three-body interactions; the graph is ``graphs/mattersim.py``.

The official code is float32 throughout (positions and cells are cast when a graph is made): there is no float64 run of it.
Settings: ``random_weights=true`` (said on the card). Layers: ``0`` to the last block, or ``last``: the atom features after it;
only with the last comes the energy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..family import Exported, ExportError, Facts, Native, Precision, Request
from ..graphs.mattersim import MatterSim

if TYPE_CHECKING:
    from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

    from ..crystals import Structure

#: Names of the package's loader.
OFFICIAL = ("mattersim-v1.0.0-1m", "mattersim-v1.0.0-5m")


def load(request: Request) -> Exported:
    """Loads mattersim-v1.0.0-1m or -5m (downloaded by the package), or a checkpoint in its format, fine-tuned ones included."""
    path = _weights(request)
    model = _official(path)
    last = len(model.graph_conv) - 1
    layer = _layer(request.layer, last)
    options = model.model_args
    encoder = MatterSim(model, layer).float().eval()
    facts = Facts(
        family="MatterSim",
        name=f"MatterSim {request.official or path.stem}",
        package="mattersim",
        package_version=version("mattersim"),
        equivariant=False,
        conservative=True,
        parameters=sum(weights.numel() for weights in model.parameters()),
        cutoff_angstrom=float(options["cutoff"]),
        angle_cutoff_angstrom=float(options["threebody_cutoff"]),
        elements=range(1, options["max_z"] + 1),
        layer=f"atom features after block {layer} of 0 to {last}"
        + (" (last), before the readout" if layer == last else ""),
        dim=options["units"],
        invariant=True,
        weights_file=path,
        random_weights=request.setting("random_weights", ("true", "false")) == "true",
    )
    return Exported(
        module=encoder,
        facts=facts,
        native=_native(path, layer),
        inputs=("atomic_numbers", "edge_index", "edge_vectors", "angle_index"),
        outputs=("node_embedding", "node_energy") if layer == last else ("node_embedding",),
        precisions=("float32",),
    )


def _weights(request: Request) -> Path:
    if request.checkpoint:
        return request.checkpoint
    name = str(request.official).lower().removesuffix(".pth")
    if name not in OFFICIAL:
        raise ExportError(
            "weights_unavailable",
            f"mattersim knows no model '{request.official}'",
            f"it knows {' and '.join(OFFICIAL)}",
        )
    file = f"mattersim-v1.0.0-{name[-2:].upper()}.pth"
    path = Path("~/.local/mattersim/pretrained_models").expanduser() / file
    if not path.exists():
        from mattersim.utils.download_utils import download_checkpoint

        request.progress(f"downloading {file}")
        try:
            download_checkpoint(file, save_folder=str(path.parent))
        except Exception as error:
            raise ExportError(
                "weights_unavailable",
                f"mattersim could not download {file}: {type(error).__name__}: {error}",
                f"download pretrained_models/{file} of microsoft/mattersim elsewhere and give it with --checkpoint FILE",
            ) from error
    return path


def _official(path: Path) -> M3Gnet:
    from mattersim.forcefield.potential import Potential

    try:
        state = torch.load(path, map_location="cpu")["model"]
        model = Potential.from_checkpoint(load_path=str(path), device="cpu", load_training_state=False).model.eval()
    except Exception as error:
        raise _not_a_checkpoint(path, f"{type(error).__name__}: {error}") from error
    wrong = set(state) ^ set(model.state_dict())  # the package loads what fits and passes over the rest
    if wrong:
        raise _not_a_checkpoint(path, f"its weights and those of M3Gnet differ in {', '.join(sorted(wrong)[:3])}")
    return model


def _not_a_checkpoint(path: Path, reason: str) -> ExportError:
    return ExportError(
        "bad_checkpoint",
        f"{path.name} is not a MatterSim checkpoint: {reason}",
        "give a file that mattersim's Potential.save wrote",
    )


def _layer(name: str | None, last: int) -> int:
    if name in (None, "last"):
        return last
    if name.isdecimal() and int(name) <= last:
        return int(name)
    raise ExportError(
        "unsupported_layer",
        f"--layer {name}: this model has the blocks 0 to {last}",
        f"give one of them, or last (= {last})",
    )


def _native(path: Path, layer: int) -> Callable[[Sequence[Structure], Precision], list[Native]]:
    """The official model on graphs of the official data loader, one structure at a time."""

    def run(structures: Sequence[Structure], precision: Precision) -> list[Native]:
        from mattersim.datasets.utils.build import build_dataloader
        from mattersim.forcefield.potential import batch_to_dict

        if precision != "float32":
            raise ValueError("koine_export/mattersim: the official code has no float64 run")
        model = _official(path)
        seen: list[Tensor] = []
        model.graph_conv[layer].register_forward_hook(
            lambda module, arguments, features: seen.append(features[0].clone())
        )
        options = model.model_args
        results = []
        for s in structures:
            (graph,) = build_dataloader(
                [s.atoms],
                cutoff=options["cutoff"],
                threebody_cutoff=options["threebody_cutoff"],
                batch_size=1,
                only_inference=True,
            )
            with torch.no_grad():
                energy = float(model(batch_to_dict(graph, device="cpu")))
            results.append(Native(seen.pop().numpy(), energy))
        return results

    return run
