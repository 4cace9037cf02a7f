"""Potentials of matgl: where their weights come from and what the official code makes of a crystal."""

from __future__ import annotations

import copy
import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import matgl
import torch
from ase.data import atomic_numbers
from matgl.config import MATGL_CACHE, PRETRAINED_MODELS_BASE_URL
from torch import nn

from .crystals import Structure
from .family import ExportError, Native, Precision, Request

#: Later releases load the published weights without complaint and compute something else: their aggregation changed.
MATGL_VERSION = "2.1.1"

#: What ``Potential.save`` writes and koine reads. Its third file, model.pt, is a pickle of what model.json says; koine does not open it.
FILES = ("model.json", "state.pt")

HOW_TO_SUPPLY = "save the Potential with `potential.save(FOLDER)` and give --checkpoint FOLDER (it holds model.json and state.pt), or a .zip of it"


def load_potential(request: Request, architecture: str) -> tuple[nn.Module, Path]:
    """A ``matgl.apps.pes.Potential`` in evaluation mode whose network is of this class (``TensorNet``), and its file of weights.

    Raises ``ExportError``: ``weights_unavailable`` if the official loader cannot reach them, ``bad_checkpoint`` if they are
    something else.
    """
    if version("matgl") != MATGL_VERSION:
        raise ExportError(
            "export_failed",
            f"matgl is {version('matgl')}: releases after {MATGL_VERSION} load these weights without error and give other energies",
            f"use the environment models/export/environments/matgl.lock, which has matgl {MATGL_VERSION}",
        )
    if request.official is not None:
        potential, weights = _official(request.official)
    else:
        assert request.checkpoint is not None
        potential, weights = _from_files(request.checkpoint, architecture)
    found = type(getattr(potential, "model", potential)).__name__
    if not isinstance(potential, _potential_class()) or found != architecture:
        source = request.official or request.checkpoint
        raise ExportError(
            "bad_checkpoint",
            f"{source} holds a {type(potential).__name__} of {found}, not a Potential of {architecture}",
            HOW_TO_SUPPLY,
        )
    return potential.eval(), weights


def atomic_numbers_of(model: nn.Module) -> list[int]:
    """Atomic numbers in the order of the network's element table."""
    return [atomic_numbers[symbol] for symbol in model.element_types]


def sums_over_atoms(potential: nn.Module) -> bool:
    """Whether the total energy is a sum of energies of atoms that the network gives: no mean added, no pair repulsion."""
    return float(potential.data_mean) == 0 and not potential.calc_repuls and not potential.model.is_intensive


def official(potential: nn.Module, layer: str, structures: Sequence[Structure], precision: Precision) -> list[Native]:
    """What the official code gives for each structure: its own neighbour list, its ``Potential`` without gradients, and the
    output of the submodule ``layer`` of the network (e.g. ``linear``) as embedding.
    """
    from matgl.ext.ase import Atoms2Graph

    potential = copy.deepcopy(potential)
    potential.calc_forces = potential.calc_stresses = potential.calc_hessian = False
    seen: list[torch.Tensor] = []
    potential.model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.append(output))
    results = []
    with _default_precision(precision), torch.no_grad():
        if precision == "float64":  # never .float(): some offsets are float64 in the official float32 run
            potential.double()
        convert = Atoms2Graph(potential.model.element_types, float(potential.model.cutoff))
        for structure in structures:
            energy = potential(*convert.get_graph(structure.atoms))[0]
            results.append(Native(seen.pop().numpy(), float(energy)))
    return results


@contextmanager
def _default_precision(precision: Precision) -> Iterator[None]:
    """matgl builds its graphs in a global default type."""
    matgl.set_default_dtype("float", int(precision.removeprefix("float")))
    try:
        yield
    finally:
        matgl.set_default_dtype("float", 32)


def _potential_class() -> type:
    from matgl.apps.pes import Potential

    return Potential


def _official(name: str) -> tuple[nn.Module, Path]:
    try:
        return matgl.load_model(name), MATGL_CACHE / name / "state.pt"
    except (ValueError, RuntimeError, OSError) as error:
        tried = f"{MATGL_CACHE / name}, then {PRETRAINED_MODELS_BASE_URL}{name}/"
        raise ExportError(
            "weights_unavailable",
            f"matgl.load_model('{name}') found nothing: it looked in {tried} ({_root(error)})",
            "check the name and the network; or put model.json and state.pt of that folder somewhere and give --checkpoint FOLDER",
        ) from error


def _from_files(path: Path, architecture: str) -> tuple[nn.Module, Path]:
    if path.name in FILES:  # state.pt is a zip file too
        folder = path.parent
    else:
        folder = _unzipped(path) if path.is_file() and zipfile.is_zipfile(path) else path
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ExportError("bad_checkpoint", f"{path} has no {' and no '.join(missing)}", HOW_TO_SUPPLY)
    try:
        described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        network = described["kwargs"]["model"]
        found = network["@class"]
        settings = network["init_args"]
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(
            "bad_checkpoint",
            f"{path}: model.json does not describe a saved Potential ({type(error).__name__}: {error})",
            HOW_TO_SUPPLY,
        ) from error
    if found != architecture:
        raise ExportError(
            "bad_checkpoint",
            f"{path} is a potential of class {found}, not {architecture}",
            f"give --family {found.lower()}",
        )
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    network_class = getattr(import_module("matgl.models"), architecture)
    arguments = {key: value for key, value in settings.items() if key != "dtype"}  # written as the text "torch.float32"
    kwargs = described["kwargs"]
    try:
        potential = _potential_class()(
            model=network_class(**arguments),
            element_refs=state.get("element_refs.property_offset"),
            data_mean=state["data_mean"],
            data_std=state["data_std"],
            **{key: kwargs[key] for key in ("calc_repuls", "zbl_trainable") if key in kwargs},
        )
        potential.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ExportError(
            "bad_checkpoint", f"{path}: state.pt does not fit model.json ({_root(error)})", HOW_TO_SUPPLY
        ) from error
    return potential, folder / "state.pt"


def _unzipped(path: Path) -> Path:
    """The folder with model.json inside a zip file, unpacked for the life of this process."""
    folder = Path(tempfile.mkdtemp(prefix="koine-matgl-"))
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if Path(name).name in FILES:
                (folder / Path(name).name).write_bytes(archive.read(name))
    return folder


def _root(error: BaseException) -> str:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
