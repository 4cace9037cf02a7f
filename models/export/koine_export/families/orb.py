"""Orb-v3 checkpoints of orb-models, conservative and direct: official ones and local or fine-tuned state dicts.

Layers: ``last`` (default; node features after the last block), or the number of a block from 1 on; 0 is the encoder. A state
dict does not say which neighbour limit and activation it was trained with: ``--set max_neighbours=20`` (default 120) and
``--set activation=...`` (default silu). Everything else is read from its shapes.

An atom keeps its ``max_neighbours`` nearest neighbours. The official code cuts through a shell of equal distance in the order of
a k-d tree; koine keeps those first in (neighbour, shift) order. The native reference is given koine's edges, since the official
search also misses a few edges in skewed cells. The energy is a function of the average over a structure: there is none per atom.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path

import torch

from ..crystals import Structure
from ..family import Exported, ExportError, Facts, Native, Precision, Request

CUTOFF_ANGSTROM = 6.0
MAX_NEIGHBOURS = 120


def load(request: Request) -> Exported:
    """Loads weights with orb-models and wraps the graph network."""
    model, path = _official(request) if request.official is not None else _local(request)
    network = model.model
    if network.conditioner is not None:
        raise ExportError(
            "bad_checkpoint",
            f"{path.name} takes charge and spin, which a crystal of koine does not have",
            "use a model without conditioning, e.g. orb-v3-conservative-inf-omat",
        )
    n_blocks = len(network.gnn_stacks)
    block = _block(request.layer, n_blocks)
    double = in_float64(network)
    from ..graphs.orb import OrbEncoder

    facts = Facts(
        family="Orb",
        name=path.stem,
        package="orb-models",
        package_version=version("orb-models"),
        equivariant=False,
        conservative="forces" not in model.heads,
        parameters=sum(p.numel() for p in model.parameters()),
        cutoff_angstrom=model.system_config.radius,
        max_neighbours=model.system_config.max_num_neighbors,
        elements=range(1, network.atom_emb.embeddings.num_embeddings),
        layer=f"node features after message-passing block {block} of {n_blocks}"
        if block
        else "node features of the encoder (a function of the element)",
        dim=network.atom_emb.emb_size,
        invariant=block == 0,
        weights_file=path,
        random_weights=request.setting("random_weights", ("true", "false")) == "true",
    )

    def native(structures: Sequence[Structure], precision: Precision) -> list[Native]:
        return native_features(
            double if precision == "float64" else deepcopy(double).float(),
            model.system_config,
            structures,
            precision,
            block,
        )

    return Exported(OrbEncoder(double, block).float().eval(), facts, native)


def in_float64(network: torch.nn.Module) -> torch.nn.Module:
    """A copy in float64 that is the same function. The ``eps`` of an RMS norm, where unset, is the smallest step of the type in
    use: what was trained is that of float32, and the other one changes full-size embeddings by 2e-4 of the RMS.
    """
    double = deepcopy(network).double()
    for norm in double.modules():
        if isinstance(norm, torch.nn.RMSNorm) and norm.eps is None:
            norm.eps = torch.finfo(torch.float32).eps
    return double


def _official(request: Request) -> tuple[torch.nn.Module, Path]:
    from cached_path import cached_path, get_cache_dir
    from orb_models.forcefield.pretrained import ORB_PRETRAINED_MODELS

    name = request.official
    known = [key for key in ORB_PRETRAINED_MODELS if key.startswith("orb-v3-")]
    if name not in known:
        raise ExportError(
            "weights_unavailable", f"orb-models has no '{name}' of the third generation", f"it has {', '.join(known)}"
        )
    loader = ORB_PRETRAINED_MODELS[name]
    url = inspect.signature(loader).parameters["weights_path"].default
    request.progress(f"downloading {url}")
    try:
        path = Path(cached_path(url))
    except Exception as error:
        raise ExportError(
            "weights_unavailable",
            f"orb-models could not download {url} to {get_cache_dir()}: {type(error).__name__}: {error}",
            "download that file by other means and give it with --checkpoint FILE"
            + (" --set max_neighbours=20" if "-20-" in name else ""),
        ) from error
    request.checked(path)
    return _float32(
        lambda: loader(weights_path=str(path), device="cpu", precision="float32-highest", compile=False)
    ), path


def _local(request: Request) -> tuple[torch.nn.Module, Path]:
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.atomic_system import SystemConfig

    path = request.checked(request.checkpoint)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ExportError(
            "bad_checkpoint",
            f"{path} is not a state dict: {type(error).__name__}: {error}",
            "give a file as orb-models publishes it (torch.save of model.state_dict())",
        ) from error
    limit = request.setting("max_neighbours") or str(MAX_NEIGHBOURS)
    if not limit.isdecimal() or int(limit) < 1:
        raise ExportError(
            "bad_checkpoint",
            f"--set max_neighbours={limit} is not a positive whole number",
            "Orb-v3 has 120 (inf) or 20",
        )
    sizes = architecture(state, path)
    build = (
        pretrained.orb_v3_direct_architecture
        if any(key.startswith("heads.forces.") for key in state)
        else pretrained.orb_v3_conservative_architecture
    )
    configuration = SystemConfig(radius=CUTOFF_ANGSTROM, max_num_neighbors=int(limit))

    def build_and_load() -> torch.nn.Module:
        model = build(
            **sizes,
            activation=request.setting("activation", ("silu",)) or "silu",
            device="cpu",
            system_config=configuration,
        )
        return pretrained.load_model(model, str(path), device="cpu", precision="float32-highest", compile=False)

    try:
        return _float32(build_and_load), path
    except Exception as error:
        raise ExportError(
            "bad_checkpoint",
            f"{path} does not fit the Orb-v3 architecture of orb-models {version('orb-models')}: {error}",
            "give weights of an Orb-v3 model",
        ) from error


def architecture(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, int | bool]:
    """Sizes of an Orb-v3 network from the shapes in its state dict, as arguments of the official constructors."""
    state = (
        {key if key.startswith(("model.", "heads.")) else f"model.{key}": value for key, value in state.items()}
        if isinstance(state, Mapping)
        else {}
    )

    def layers(prefix: str) -> int:
        return sum(bool(re.fullmatch(re.escape(prefix) + r"\.NN-\d+\.weight", key)) for key in state)

    try:
        return {
            "latent_dim": state["model.atom_emb.embeddings.weight"].shape[1],
            "base_mlp_hidden_dim": state["model._encoder._node_fn.mlp.NN-0.weight"].shape[0],
            "base_mlp_depth": layers("model._encoder._node_fn.mlp") - 1,
            "head_mlp_hidden_dim": state["heads.energy.mlp.NN-0.weight"].shape[0],
            "head_mlp_depth": layers("heads.energy.mlp") - 1,
            "num_message_passing_steps": 1
            + max(int(match[1]) for key in state if (match := re.match(r"model\.gnn_stacks\.(\d+)\.", key))),
            "has_charge_spin_cond": any(key.startswith("model.conditioner.") for key in state),
            "has_stress": any(key.startswith(("heads.stress.", "grad_stress_normalizer.")) for key in state),
        }
    except (KeyError, ValueError) as error:
        raise ExportError(
            "bad_checkpoint",
            f"{path} is not an Orb-v3 state dict: {error} is missing",
            "give weights of an Orb-v3 model with its energy head",
        ) from error


def _block(layer: str | None, n_blocks: int) -> int:
    if layer in (None, "last"):
        return n_blocks
    if layer.isdecimal() and int(layer) <= n_blocks:
        return int(layer)
    raise ExportError(
        "unsupported_layer", f"this Orb has no layer '{layer}'", f"the layers are last and 0 (encoder) to {n_blocks}"
    )


def _float32(load) -> torch.nn.Module:
    """Runs an official loader, which sets torch's default type for the whole process."""
    before = torch.get_default_dtype()
    try:
        return load().eval()
    finally:
        torch.set_default_dtype(before)


def native_features(
    network, configuration, structures: Sequence[Structure], precision: Precision, block: int, own_edges: bool = False
) -> list[Native]:
    """Node features by the official graph network, one structure at a time. ``own_edges``: with the official neighbour search
    instead of koine's edges.
    """
    from orb_models.forcefield.atomic_system import ase_atoms_to_atom_graphs

    dtype = getattr(torch, precision)
    found: list[torch.Tensor] = []
    watched = network.gnn_stacks[block - 1] if block else network._encoder
    handle = watched.register_forward_hook(lambda module, inputs, outputs: found.append(outputs[0]))
    try:
        with torch.no_grad():
            for s in structures:
                graph = ase_atoms_to_atom_graphs(
                    s.atoms,
                    configuration,
                    device=torch.device("cpu"),
                    output_dtype=dtype,
                    graph_construction_dtype=torch.float64,
                )
                if not own_edges:
                    graph = graph._replace(
                        senders=torch.from_numpy(s.graph.centres),
                        receivers=torch.from_numpy(s.graph.neighbours),
                        n_edge=torch.tensor([len(s.graph.centres)]),
                        edge_features={
                            "vectors": torch.from_numpy(s.graph.vectors).to(dtype),
                            "unit_shifts": torch.from_numpy(s.graph.shifts).to(dtype),
                        },
                    )
                network(graph)
    finally:
        handle.remove()
    return [Native(features.numpy()) for features in found]
