"""The order of work of an export: load, reference, graph, parity, card. The same for every family."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from .card import Invariance, card
from .crystals import Structure, batch, read_atoms, structure
from .family import Exported, ExportError, Facts, Family, Native, Request
from .onnxgraph import session, tidied, to_onnx
from .parity import Gates, Parity, compare, deviation

#: Atoms in one batch of the parity check; small, as koine's own batches on a CPU are.
BATCH_ATOMS = 256


def family(name: str) -> Family:
    """The module of a family by its name, e.g. ``mace``."""
    known = sorted(path.stem for path in (Path(__file__).parent / "families").glob("*.py") if path.stem != "__init__")
    if name not in known:
        raise ExportError("bad_checkpoint", f"there is no family '{name}'", f"the families are {', '.join(known)}")
    try:
        return importlib.import_module(f".families.{name}", __package__)
    except ModuleNotFoundError as error:
        raise ExportError(
            "export_failed",
            f"the family '{name}' needs the Python package '{error.name}'",
            "run the exporter in the family's own environment",
        ) from error


@dataclass(frozen=True)
class Encoder:
    """An exported graph in ONNX Runtime."""

    model: onnx.ModelProto
    inputs: Sequence[str]
    #: Shapes of the outputs, e.g. ``{"node_embedding": ("n_atoms", 128)}``.
    outputs: Mapping[str, tuple[int | str, ...]]

    def embed(self, structures: Sequence[Structure], batch_atoms: int = BATCH_ATOMS) -> list[Native]:
        """Embeds structures in batches of at most ``batch_atoms`` atoms; 1 gives each a batch of its own."""
        runtime = session(self.model)
        results: list[Native] = []
        for group in _groups(structures, batch_atoms):
            values = dict(
                zip(self.outputs, runtime.run(list(self.outputs), dict(batch(group, self.inputs))), strict=True)
            )
            ends = np.cumsum([len(s.numbers) for s in group])[:-1]
            energies = [None] * len(group)
            if "node_energy" in values:
                energies = [float(part.sum(dtype=np.float64)) for part in np.split(values["node_energy"], ends)]
            results += map(Native, np.split(values["node_embedding"], ends), energies)
        return results


@dataclass(frozen=True)
class Report:
    """What ``export`` found."""

    encoder: Encoder
    structures: Sequence[Structure]
    native: Sequence[Native]
    native64: Sequence[Native] | None
    parity: Parity
    invariance: Invariance
    #: Ids of structures that the potential does not take.
    left_out: Sequence[str]


def accepted(atoms: Sequence[tuple[str, Any]], facts: Facts) -> tuple[list[Structure], list[str]]:
    """Structures that the potential takes, and the ids of the others (foreign elements, isolated atoms)."""
    elements = set(facts.elements)
    taken, left_out = [], []
    for id, crystal in atoms:
        candidate = structure(id, crystal, facts.cutoffs) if elements.issuperset(crystal.numbers.tolist()) else None
        if candidate is None or (
            facts.isolated_atoms == "reject" and len(set(candidate.graph.centres)) < len(candidate.numbers)
        ):
            left_out.append(id)
        else:
            taken.append(candidate)
    return taken, left_out


def encoder_of(loaded: Exported, structures: Sequence[Structure]) -> Encoder:
    """Exports the graph; the first structures serve as the example that the exporter traces."""
    import torch

    shapes = {
        name: ("n_atoms", loaded.facts.dim) if name == "node_embedding" else ("n_atoms",) for name in loaded.outputs
    }
    if isinstance(loaded.module, torch.nn.Module):
        edged = [
            s
            for s in structures
            if len(s.graph.centres) > 1 and (loaded.facts.angle_cutoff_angstrom is None or s.graph.angle_index.size)
        ]
        if not edged:
            raise ExportError(
                "export_failed", "none of the structures has edges", "give --structures with ordinary crystals"
            )
        example = [*sorted(edged, key=lambda s: len(s.graph.centres))[:2]]
        example = example * 2 if len(example) == 1 else example
        with torch.no_grad():
            model = to_onnx(loaded.module, batch(example, loaded.inputs), loaded.outputs)
    else:
        model = loaded.module()
    return Encoder(tidied(model, shapes), loaded.inputs, shapes)


def measure(loaded: Exported, atoms: Sequence[tuple[str, Any]], progress=lambda line: None) -> Report:
    """Exports a loaded potential and compares it with the official code on these crystals."""
    structures, left_out = accepted(atoms, loaded.facts)
    if not structures:
        raise ExportError(
            "parity_failed",
            f"the potential takes none of the {len(atoms)} structures",
            "give --structures whose elements it knows",
        )
    progress(f"official code on {len(structures)} structures")
    native = loaded.native(structures, "float32")
    native64 = loaded.native(structures, "float64") if "float64" in loaded.precisions else None
    progress("exporting the graph")
    encoder = encoder_of(loaded, structures)
    progress("comparing ONNX Runtime with the official code")
    together = encoder.embed(structures)
    energies = [result.energy for result in together] if "node_energy" in encoder.outputs else None
    parity = compare([result.embedding for result in together], energies, native, native64)
    return Report(
        encoder,
        structures,
        native,
        native64,
        parity,
        _invariance(encoder, structures, [result.embedding for result in together], loaded.facts),
        left_out,
    )


def export(
    name: str,
    request: Request,
    id: str,
    entry: Mapping[str, Any],
    structures: Path,
    output: Path,
    gates: Gates | None = None,
) -> dict[str, Any]:
    """Exports one potential into a model folder: ``model.onnx``, ``card.json``, ``reference.npz``, ``reference.extxyz``.

    Returns a summary. Raises ``ExportError``; then the folder holds no card.
    """
    loaded = _of_stated_elements(family(name).load(request), entry)
    report = measure(loaded, read_atoms(structures), request.progress)
    limits = gates or (Gates() if loaded.facts.tolerance is None else Gates(max=loaded.facts.tolerance))
    failures = report.parity.failures(limits)
    if failures:
        worst = report.structures[report.parity.float32.worst].id
        raise ExportError(
            "parity_failed",
            f"{id}: {'; '.join(failures)} (worst structure: {worst})",
            "the graph does not compute what the official code does: report this checkpoint and the package versions",
        )
    facts = loaded.facts
    written = card(
        id,
        facts,
        entry,
        report.encoder.inputs,
        report.encoder.outputs,
        report.encoder.model,
        report.parity,
        len(report.structures),
        report.invariance,
    )
    write_folder(output, report, written)
    return {
        "folder": str(output),
        "onnx_bytes": written["onnx_bytes"],
        "onnx_nodes": written["onnx_nodes"],
        "weights_sha256": written["weights_sha256"],
        "left_out": list(report.left_out),
        "parity": written["parity"],
        "invariance": written["invariance"],
    }


def _of_stated_elements(loaded: Exported, entry: Mapping[str, Any]) -> Exported:
    """Without the elements that a catalog entry leaves out: some networks have rows for elements that no training set had."""
    stated = entry.get("elements")
    if stated is None:
        return loaded
    return replace(loaded, facts=replace(loaded.facts, elements=[z for z in loaded.facts.elements if z in stated]))


def write_folder(output: Path, report: Report, written: Mapping[str, Any]) -> None:
    """Writes a model folder, the card last: a folder without a card is not a model."""
    from ase.io import write

    output.mkdir(parents=True, exist_ok=True)
    (output / "card.json").unlink(missing_ok=True)
    (output / "model.onnx").write_bytes(report.encoder.model.SerializeToString())
    arrays = {
        "ids": np.array([s.id for s in report.structures]),
        "offsets": np.cumsum([0] + [len(s.numbers) for s in report.structures]),
        "atomic_numbers": np.concatenate([s.numbers for s in report.structures]),
        "embedding": np.concatenate([r.embedding for r in report.native]).astype(np.float32),
    }
    for suffix, results in (("", report.native), ("_float64", report.native64)):
        if results and all(r.energy is not None for r in results):
            arrays[f"energy{suffix}"] = np.array([r.energy for r in results], dtype=np.float64)
    if report.native64:
        arrays["embedding_float64"] = np.concatenate([r.embedding for r in report.native64]).astype(np.float32)
    np.savez_compressed(output / "reference.npz", **arrays)
    frames = []
    for s in report.structures:
        frames.append(s.atoms)
        frames[-1].info["id"] = s.id
    write(output / "reference.extxyz", frames, format="extxyz")
    aside = output / ".card.json"
    aside.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, output / "card.json")


def _invariance(
    encoder: Encoder, structures: Sequence[Structure], original: Sequence[np.ndarray], facts: Facts
) -> Invariance:
    quaternions = np.random.default_rng(0).normal(size=(len(structures), 4))

    def change(turns: Sequence[np.ndarray]) -> float:
        turned = []
        for s, turn in zip(structures, turns, strict=True):
            atoms = s.atoms
            atoms.set_cell(atoms.cell.array @ turn.T)
            atoms.positions = atoms.positions @ turn.T
            turned.append(structure(s.id, atoms, facts.cutoffs))
        return deviation([result.embedding for result in encoder.embed(turned)], original).max

    return Invariance(
        rotation=change([_rotation(q) for q in quaternions]), inversion=change([-np.eye(3)] * len(structures))
    )


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def _groups(structures: Sequence[Structure], batch_atoms: int) -> list[list[Structure]]:
    groups: list[list[Structure]] = []
    atoms = 0
    for s in structures:
        atoms += len(s.numbers)
        if not groups or atoms > batch_atoms:
            groups.append([])
            atoms = len(s.numbers)
        groups[-1].append(s)
    return groups
