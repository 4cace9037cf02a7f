"""MACE and ScaleShiftMACE checkpoints of mace-torch: MACE-MP-0, MPA-0, OMAT-0, MatPES, and fine-tuned ones.

Layers: ``first`` (default; scalars of the first interaction layer, as ``get_descriptors(num_layers=1, invariants_only=True)``
gives them) and ``all`` (those of every layer, side by side). Settings: ``energy=yes|no`` (with ``all`` yes unless told
otherwise; with ``first`` no, since it needs the other layers too), ``head=NAME`` for the energies of a multi-head model, ``random_weights=true`` (said on the card).

A checkpoint is a pickled module: loading it runs the code it names. Only convert files whose origin you trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from ..crystals import Structure
from ..family import Exported, ExportError, Facts, Native, Precision, Request

#: Interaction blocks whose arithmetic ``graphs.mace`` knows.
INTERACTIONS = (
    "RealAgnosticInteractionBlock",
    "RealAgnosticResidualInteractionBlock",
    "RealAgnosticDensityInteractionBlock",
    "RealAgnosticDensityResidualInteractionBlock",
)

#: Structures of one batch of the official forward.
BATCH = 8


def load(request: Request) -> Exported:
    """Loads a checkpoint with mace-torch and wraps it in its closed form."""
    path = request.checked(_file(request))
    model = _read(path)
    layer = request.layer or "first"
    if layer not in ("first", "all"):
        raise ExportError("unsupported_layer", f"MACE has no layer '{layer}'", "the layers are first, all")
    _refuse_unknown_parts(model, path)
    heads = list(getattr(model, "heads", None) or ["Default"])
    head = request.setting("head", heads) or heads[-1]
    energy = (request.setting("energy", ("yes", "no")) or ("yes" if layer == "all" else "no")) == "yes"

    from ..graphs.mace import MaceEncoder

    double = deepcopy(model).double()
    encoder = MaceEncoder(double, layer == "all", energy, heads.index(head)).float().eval()
    channels = [_scalars(product.linear.irreps_out) for product in model.products]
    facts = Facts(
        family="MACE",
        name=path.stem,
        package="mace-torch",
        package_version=version("mace-torch"),
        equivariant=True,
        conservative=True,
        parameters=sum(p.numel() for p in model.parameters()),
        cutoff_angstrom=float(model.r_max),
        elements=model.atomic_numbers.tolist(),
        layer="scalars of the first interaction layer"
        if layer == "first"
        else f"scalars of all {len(channels)} interaction layers",
        dim=sum(channels) if layer == "all" else channels[0],
        invariant=True,
        weights_file=path,
        random_weights=request.setting("random_weights", ("true", "false")) == "true",
    )

    def native(structures: Sequence[Structure], precision: Precision) -> list[Native]:
        return _native(
            double if precision == "float64" else deepcopy(double).float(),
            structures,
            precision,
            layer,
            energy,
            heads,
            head,
        )

    return Exported(
        encoder, facts, native, outputs=("node_embedding", "node_energy") if energy else ("node_embedding",)
    )


def _file(request: Request) -> Path:
    """The checkpoint given, or the one that the official loader downloads and keeps in its cache."""
    if request.checkpoint is not None:
        return request.checkpoint
    from mace.calculators.foundations_models import download_mace_mp_checkpoint, mace_mp_urls
    from mace.tools.utils import get_cache_dir

    name = request.official
    if name not in mace_mp_urls:
        raise ExportError(
            "weights_unavailable",
            f"mace-torch knows no foundation model '{name}'",
            f"it knows {', '.join(mace_mp_urls)}",
        )
    request.progress(f"downloading {mace_mp_urls[name]}")
    try:
        return Path(download_mace_mp_checkpoint(name))
    except Exception as error:
        raise ExportError(
            "weights_unavailable",
            f"mace_mp(model='{name}') could not download {mace_mp_urls[name]} to {get_cache_dir()}: {type(error).__name__}: {error}",
            "download that file by other means and give it with --checkpoint FILE, or put it into that folder under the name that mace-torch uses there",
        ) from error


def _read(path: Path) -> torch.nn.Module:
    from mace.calculators import mace_mp

    try:
        model = mace_mp(model=str(path), device="cpu", return_raw_model=True)
    except Exception as error:
        raise ExportError(
            "bad_checkpoint",
            f"{path}: mace-torch {version('mace-torch')} can't load it: {type(error).__name__}: {error}",
            "give a whole model as mace_run_train writes it (*.model), not a training checkpoint (*.pt) or a LAMMPS file",
        ) from error
    if type(model).__name__ not in ("MACE", "ScaleShiftMACE"):
        raise ExportError(
            "bad_checkpoint",
            f"{path} holds a {type(model).__name__}, not a MACE or ScaleShiftMACE",
            "give an energy model as mace_run_train writes it (*.model)",
        )
    return model.eval().requires_grad_(False)


def _refuse_unknown_parts(model: torch.nn.Module, path: Path) -> None:
    """Names the first part of a model that the closed form does not compute."""
    radial = model.radial_embedding
    unknown = [type(block).__name__ for block in model.interactions if type(block).__name__ not in INTERACTIONS]
    if hasattr(model, "joint_embedding"):
        unknown.append("inputs besides the crystal (joint_embedding)")
    if type(radial.bessel_fn).__name__ not in ("BesselBasis", "GaussianBasis"):
        unknown.append(type(radial.bessel_fn).__name__)
    if type(getattr(radial, "distance_transform", None)).__name__ not in (
        "NoneType",
        "AgnesiTransform",
        "SoftTransform",
    ):
        unknown.append(type(radial.distance_transform).__name__)
    if getattr(model.products[0], "cueq_config", None) is not None:
        unknown.append("cuequivariance layers; convert it with mace.cli.convert_cueq_e3nn")
    if any(ir.p != (-1) ** ir.l for product in model.products for _, ir in product.linear.irreps_out):
        unknown.append(f"hidden irreps {model.products[0].linear.irreps_out} beyond 0e, 1o, 2e, ...")
    if unknown:
        raise ExportError(
            "bad_checkpoint",
            f"{path}: the exporter does not know {', '.join(unknown)}",
            f"it knows models of {', '.join(INTERACTIONS)}",
        )


def _scalars(irreps) -> int:
    return irreps.count("0e")


def _native(
    model: torch.nn.Module,
    structures: Sequence[Structure],
    precision: Precision,
    layer: str,
    energy: bool,
    heads: Sequence[str],
    head: str,
) -> list[Native]:
    """The official forward over the official neighbour lists, in batches."""
    from mace import data
    from mace.tools import AtomicNumberTable, torch_geometric
    from mace.tools.torch_tools import default_dtype

    with default_dtype(precision):
        table = AtomicNumberTable(model.atomic_numbers.tolist())
        graphs = []
        for s in structures:
            configuration = data.config_from_atoms(s.atoms, head_name=head)
            graphs.append(
                data.AtomicData.from_config(configuration, z_table=table, cutoff=float(model.r_max), heads=list(heads))
            )
        results = []
        for batch in torch_geometric.dataloader.DataLoader(graphs, batch_size=BATCH, shuffle=False):
            with torch.no_grad():
                output = model(batch.to_dict(), compute_force=False)
            features, parts = output["node_feats"].numpy(), []
            for product in model.products:
                irreps = product.linear.irreps_out
                parts.append(features[:, : _scalars(irreps)])
                features = features[:, irreps.dim :]
            embedding = np.concatenate(parts, axis=1) if layer == "all" else parts[0]
            energies = output["energy"].tolist() if energy else [None] * batch.num_graphs
            results += map(Native, np.split(embedding, batch.ptr[1:-1].tolist()), energies)
    return results
