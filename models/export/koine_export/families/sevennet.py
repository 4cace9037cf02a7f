"""SevenNet (package ``sevenn``): NequIP-style equivariant message passing; the graph is ``graphs/sevennet.py``.

Settings: ``modality`` (needed by multi-modal checkpoints), ``random_weights=true`` (said on the card). Layers: ``0`` to the
last interaction block, or ``last``: the scalars after the block's gate; only with the last comes the energy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..family import Exported, ExportError, Facts, Native, Precision, Request
from ..graphs.sevennet import SCALAR, SevenNet

if TYPE_CHECKING:
    from sevenn.checkpoint import SevenNetCheckpoint
    from sevenn.nn.sequential import AtomGraphSequential

    from ..crystals import Structure


def load(request: Request) -> Exported:
    """Loads a checkpoint of the package, by name (``7net-0``, ``7net-l3i5``, ...) or from a file, fine-tuned ones included."""
    checkpoint = _checkpoint(request)
    try:
        model = checkpoint.build_model().eval()
    except Exception as error:
        raise ExportError(
            "bad_checkpoint",
            f"{Path(checkpoint.checkpoint_path).name}: sevenn {version('sevenn')} cannot build this model: {type(error).__name__}: {error}",
            "check that this release of sevenn reads the file: sevenn checkpoint FILE",
        ) from error
    modality = _modality(model, request)
    last = max(int(name.split("_")[0]) for name in model._modules if name.endswith("_equivariant_gate"))
    layer = _layer(request.layer, last)
    encoder = SevenNet(model, layer, modality).float().eval()
    name = f"SevenNet {request.official or Path(checkpoint.checkpoint_path).stem}" + (
        f" (modality {modality})" if modality else ""
    )
    facts = Facts(
        family="SevenNet",
        name=name,
        package="sevenn",
        package_version=version("sevenn"),
        equivariant=True,
        conservative=True,
        parameters=sum(weights.numel() for weights in model.parameters()),
        cutoff_angstrom=float(model.cutoff),
        elements=sorted(
            number for number in model.type_map if number > 0
        ),  # of all the periodic table: ASE's X as well
        layer=f"scalars after {layer}_equivariant_gate"
        + (" (last gate), before reduce_input_to_hidden" if layer == last else f" (of 0 to {last})"),
        dim=encoder.dim,
        invariant=True,
        weights_file=Path(checkpoint.checkpoint_path),
        random_weights=request.setting("random_weights", ("true", "false")) == "true",
    )
    return Exported(
        module=encoder,
        facts=facts,
        native=_native(checkpoint, layer, modality),
        outputs=("node_embedding", "node_energy") if layer == last else ("node_embedding",),
    )


def _checkpoint(request: Request) -> SevenNetCheckpoint:
    from sevenn.util import get_available_pretrained_models, load_checkpoint, pretrained_name_to_path

    try:
        path = request.checkpoint or pretrained_name_to_path(request.official)
    except ValueError as error:
        names = ", ".join(get_available_pretrained_models())
        raise ExportError(
            "weights_unavailable", f"sevenn knows no model '{request.official}'", f"it knows {names}"
        ) from error
    except Exception as error:
        raise ExportError(
            "weights_unavailable",
            f"sevenn could not download '{request.official}': {type(error).__name__}: {error}",
            "download the checkpoint named in the release notes of MDIL-SNU/SevenNet elsewhere and give it with --checkpoint FILE",
        ) from error
    try:
        checkpoint = load_checkpoint(path)
        config, weights = checkpoint.config, checkpoint.model_state_dict
    except Exception as error:
        raise _not_a_checkpoint(path, f"{type(error).__name__}: {error}") from error
    if not config or not weights:
        raise _not_a_checkpoint(path, "it has no config or no model_state_dict")
    return checkpoint


def _not_a_checkpoint(path: object, reason: str) -> ExportError:
    remedy = "give a checkpoint_*.pth that sevenn's training wrote; a deployed (TorchScript) model lacks what is needed"
    return ExportError("bad_checkpoint", f"{Path(str(path)).name} is not a SevenNet checkpoint: {reason}", remedy)


def _modality(model: AtomGraphSequential, request: Request) -> str | None:
    known = list(model.modal_map or {})
    given = request.setting("modality", known or None)
    if known and given is None:
        raise ExportError(
            "bad_checkpoint",
            f"this checkpoint has the modalities {', '.join(known)}",
            f"choose one: --set modality={known[0]}",
        )
    if given and not known:
        raise ExportError(
            "bad_checkpoint", f"--set modality={given}: this checkpoint has no modalities", "leave the setting out"
        )
    return given


def _layer(name: str | None, last: int) -> int:
    if name in (None, "last"):
        return last
    number = name.removesuffix("_equivariant_gate")
    if number.isdecimal() and int(number) <= last:
        return int(number)
    raise ExportError(
        "unsupported_layer",
        f"--layer {name}: this model has the interaction blocks 0 to {last}",
        f"give one of them, or last (= {last})",
    )


def _native(
    checkpoint: SevenNetCheckpoint, layer: int, modality: str | None
) -> Callable[[Sequence[Structure], Precision], list[Native]]:
    """The official model on graphs of the official graph builder, one structure at a time."""

    def run(structures: Sequence[Structure], precision: Precision) -> list[Native]:
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.nn.node_embedding import OnehotEmbedding
        from sevenn.train.dataload import unlabeled_atoms_to_graph

        dtype = getattr(torch, precision)
        model = checkpoint.build_model().eval().to(dtype)
        model.delete_module_by_key("force_output")
        model.set_is_batch_data(False)
        model.key_grad = None
        seen: list[Tensor] = []
        gate = model._modules[f"{layer}_equivariant_gate"]
        scalars = sum(multiplicity for multiplicity, irrep in gate.gate.irreps_out if irrep == SCALAR)
        gate.register_forward_hook(lambda module, arguments, data: seen.append(data["x"][:, :scalars].clone()))
        for module in model:
            if isinstance(module, OnehotEmbedding):  # it casts to float32, whatever the model's precision
                module.register_forward_hook(lambda module, arguments, data: _cast(data, module, dtype))
        results = []
        for s in structures:
            graph = unlabeled_atoms_to_graph(s.atoms, model.cutoff)
            vectors = torch.from_numpy(graph["edge_vec"]).to(dtype)  # the next line casts to float32
            data = AtomGraphData.from_numpy_dict(graph)
            data["edge_vec"] = vectors
            if modality:
                data["data_modality"] = modality
            with torch.no_grad():
                energy = float(model(data)["inferred_total_energy"])
            results.append(Native(seen.pop().numpy(), energy))
        return results

    return run


def _cast(data, module, dtype: torch.dtype):
    for key in (module.key_output, module.key_additional_output):
        if key is not None:
            data[key] = data[key].to(dtype)
    return data
