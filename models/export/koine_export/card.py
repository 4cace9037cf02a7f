"""The card beside an ONNX file; its schema is ``models/card.ts``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from .family import INPUTS, Facts, sha256
from .onnxgraph import OPSET
from .parity import Parity


@dataclass(frozen=True)
class Invariance:
    """Largest change of an embedding, in RMS, when the crystals are rotated and when they are inverted."""

    rotation: float
    inversion: float


def card(
    id: str,
    facts: Facts,
    entry: Mapping[str, Any],
    inputs: Sequence[str],
    outputs: Mapping[str, tuple[int | str, ...]],
    model: onnx.ModelProto,
    parity: Parity,
    n_structures: int,
    invariance: Invariance,
) -> dict[str, Any]:
    """A card as it is written. What a catalog entry says about licence, training data, functional and citation goes before what
    the family knows of them.
    """
    data = model.SerializeToString()

    def stated(name: str, otherwise: Any) -> Any:
        value = entry.get(name)
        return otherwise if value is None else value

    errors = {
        "max_relative_embedding_error": parity.float32.max,
        "max_energy_error_mev_per_atom": parity.energy_mev_per_atom,
        "n_structures": n_structures,
        "max_relative_embedding_error_vs_native_float64": parity.float64.max if parity.float64 else None,
        "rms_relative_embedding_error_vs_native_float64": parity.float64.rms if parity.float64 else None,
        "native_float32_vs_float64_relative": parity.native.max if parity.native else None,
        "tolerance": facts.tolerance,
    }
    offsets = "included" if facts.energy_quantity == "total" else "left out"
    energy = stated("energy_convention", f"{facts.energy_quantity} energy, eV, atomic offsets {offsets}")
    return {
        "schema_version": 2,
        "id": id,
        "family": facts.family,
        "name": stated("name", facts.name),
        "package": facts.package,
        "package_version": facts.package_version,
        "weights_file": facts.weights_file.name if facts.weights_file else None,
        "weights_sha256": sha256(facts.weights_file) if facts.weights_file else None,
        "licence": stated("licence", facts.licence),
        "training_data": stated("training_data", facts.training_data),
        "functional": stated("functional", facts.functional),
        "equivariant": facts.equivariant,
        "conservative": facts.conservative,
        "parameters": facts.parameters,
        "random_weights": facts.random_weights,
        "cutoff_angstrom": facts.cutoff_angstrom,
        "max_neighbours": facts.max_neighbours,
        "angle_cutoff_angstrom": facts.angle_cutoff_angstrom,
        "elements": sorted(int(z) for z in facts.elements),
        "isolated_atoms": facts.isolated_atoms,
        "embedding": {"layer": facts.layer, "dim": facts.dim, "invariant": facts.invariant},
        "inputs": {name: {"type": INPUTS[name][0], "shape": list(INPUTS[name][1])} for name in inputs},
        "outputs": {name: {"type": "float32", "shape": list(shape)} for name, shape in outputs.items()},
        "opset": OPSET,
        "onnx_sha256": hashlib.sha256(data).hexdigest(),
        "onnx_bytes": len(data),
        "onnx_nodes": len(model.graph.node),
        "intra_op_threads": 1,
        "parity": {name: value for name, value in errors.items() if value is not None},
        "energy_convention": energy if "node_energy" in outputs else None,
        "invariance": {"rotation": invariance.rotation, "inversion": invariance.inversion},
        "lineage": stated("lineage", id),
        "control": "random-weights" if facts.random_weights else None,
        "citation": stated("citation", None),
        "commercial_use": stated("commercial_use", None),
    }
