"""CHGNet (package ``chgnet``): message passing on atoms, bonds and angles; the graph is ``graphs/chgnet.py``.

Structures with an atom without neighbours are refused, as by the package. Settings: ``random_weights=true`` (said on the card).
Layers: the features after an ``AtomConv`` block, ``0`` to the last but one, or ``last`` for that one, which is the package's own
choice (``return_atom_feas``); only with it comes the energy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from chgnet.model import model as official_model
from chgnet.model.composition_model import AtomRef
from torch import Tensor

from ..crystals import Structure
from ..family import Exported, ExportError, Facts, Native, Precision, Request
from ..graphs.chgnet import CHGNet

#: Elements that the published models were trained on: all up to Pu but Po, At, Rn, Fr, Ra, which MPtrj lacks.
ELEMENTS = [*range(1, 84), *range(89, 95)]


def load(request: Request) -> Exported:
    """Loads 0.2.0, 0.3.0 or r2scan from the package, or a file that ``CHGNet.from_file`` reads (those of its trainer)."""
    path = _weights(request)
    model = _official(path)
    _refuse_unknown(model)
    blocks = model.n_conv - 1
    layer = _layer(request.layer, blocks)
    last = layer == blocks - 1
    encoder = CHGNet(model.double(), layer).float().eval()
    facts = Facts(
        family="CHGNet",
        name=f"CHGNet {request.official or path.stem}",
        package="chgnet",
        package_version=version("chgnet"),
        equivariant=False,
        conservative=True,
        parameters=model.n_params,
        cutoff_angstrom=float(model.graph_converter.atom_graph_cutoff),
        angle_cutoff_angstrom=float(model.graph_converter.bond_graph_cutoff),
        elements=ELEMENTS,
        layer="atom_fea: atom features after "
        + (f"AtomConv block {layer} of 0 to {model.n_conv - 1}" + (", before the last one" if last else "")),
        dim=model.atom_fea_dim,
        invariant=True,
        weights_file=path,
        isolated_atoms="reject",
        random_weights=request.setting("random_weights", ("true", "false")) == "true",
    )
    inputs = ("atomic_numbers", "edge_index", "edge_vectors", "edge_to_bond", "bond_to_edge", "angle_index")
    return Exported(
        module=encoder,
        facts=facts,
        native=_native(path, layer),
        inputs=(*inputs, "structure_index") if encoder.biased_bonds else inputs,
        outputs=("node_embedding", "node_energy") if last else ("node_embedding",),
    )


def _weights(request: Request) -> Path:
    if request.checkpoint:
        return request.checkpoint
    folder = Path(official_model.module_dir).parent / "pretrained" / str(request.official)
    files = sorted(folder.glob("*.pth.tar"))
    if len(files) != 1:
        names = ", ".join(sorted(path.name for path in folder.parent.iterdir() if path.is_dir()))
        raise ExportError(
            "weights_unavailable", f"chgnet {version('chgnet')} has no model '{request.official}'", f"it has {names}"
        )
    return files[0]


def _official(path: Path) -> official_model.CHGNet:
    """The official model of a file. Files older than the option ``mlp_out_bias`` do not state it; their weights do."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=False)["model"]
        biased = any(name.endswith("mlp_out.layers.1.bias") for name in state["state_dict"])
        stated = {} if "mlp_out_bias" in state["model_args"] else {"mlp_out_bias": biased}
        return official_model.CHGNet.from_file(str(path), **stated).eval()
    except Exception as error:
        raise ExportError(
            "bad_checkpoint",
            f"{path.name} is not a CHGNet checkpoint: {type(error).__name__}: {error}",
            "give a file that CHGNet.from_file reads, such as chgnet's Trainer writes: {'model': {'state_dict', 'model_args'}, ...}",
        ) from error


def _refuse_unknown(model: official_model.CHGNet) -> None:
    """Options of the constructor that the graph below does not have."""
    options = model.model_args
    reference = model.composition_model
    wrong = [
        f"{name}={options.get(name)!r}"
        for name, fine in (
            ("non_linearity", options.get("non_linearity", "silu") == "silu"),
            ("conv_norm", options.get("conv_norm") is None),
            ("gMLP_norm", options.get("gMLP_norm", "layer") in ("layer", None)),
            ("readout_norm", options.get("readout_norm", "layer") in ("layer", None)),
            ("mlp_first", model.mlp_first),
            (
                "composition_model",
                reference is None or (isinstance(reference, AtomRef) and reference.is_intensive == model.is_intensive),
            ),
        )
        if not fine
    ]
    if wrong:
        raise ExportError(
            "export_failed",
            f"koine's graph of CHGNet lacks {', '.join(wrong)}",
            "train with the options of the published models",
        )


def _layer(name: str | None, blocks: int) -> int:
    if name in (None, "last"):
        return blocks - 1
    if name.isdecimal() and int(name) < blocks:
        return int(name)
    raise ExportError(
        "unsupported_layer",
        f"--layer {name}: this model has the AtomConv blocks 0 to {blocks - 1}",
        f"give one of them, or last (= {blocks - 1})",
    )


def _native(path: Path, layer: int) -> Callable[[Sequence[Structure], Precision], list[Native]]:
    """The official model on graphs of the official converter, one structure at a time."""

    def run(structures: Sequence[Structure], precision: Precision) -> list[Native]:
        from pymatgen.core import Structure as Crystal

        model = _official(path).to(getattr(torch, precision))
        if model.composition_model is not None:
            model.composition_model.float()  # the package counts elements in float32
        seen: list[Tensor] = []
        model.atom_conv_layers[layer].register_forward_hook(
            lambda module, arguments, features: seen.append(features.clone())
        )
        results = []
        with _crystal_graphs_in(getattr(torch, precision)), torch.no_grad():
            for s in structures:
                graph = model.graph_converter(Crystal(s.cell, s.numbers, s.positions, coords_are_cartesian=True))
                energy = float(model([graph], task="e")["e"]) * (len(s.numbers) if model.is_intensive else 1)
                results.append(Native(seen.pop().numpy(), energy))
        return results

    return run


@contextlib.contextmanager
def _crystal_graphs_in(dtype: torch.dtype) -> Iterator[None]:
    """The package keeps the precision of its graphs in a constant of these modules."""
    from chgnet.graph import converter, crystalgraph

    modules = (official_model, converter, crystalgraph)
    before = [module.TORCH_DTYPE for module in modules]
    try:
        for module in modules:
            module.TORCH_DTYPE = dtype
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            module.TORCH_DTYPE = value
