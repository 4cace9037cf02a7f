"""Energies of an exported potential against DFT frames:
``python -m koine_export.physics FOLDER FRAMES.xyz [--limit N] [--without H N O ...]``.

Parity with the official code proves nothing if the installed release computes something else than was trained (later
releases of matgl do); frames of the potential's own functional show it. Prints one JSON line, in meV/atom:

* ``mae``: mean absolute error as it is. Training on corrected energies (MP2020: anions, and metals beside O and F) shows as an
  error here; ``--without H N O F Si S Cl Se Br Sb Te I`` leaves the frames that such corrections do not touch;
* ``mae_without_offsets``: after the best constant for each element is taken out of the difference, by least squares;
* ``mae_composition``: the same fit to the DFT energies alone, the baseline of a potential that knows only the composition.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from .crystals import Structure, neighbour_graph
from .harness import Encoder


def energy_errors(
    folder: Path, frames: Path, limit: int | None = None, without: Sequence[str] = ()
) -> dict[str, float | int | str]:
    """Compares a model folder (``card.json``, ``model.onnx`` with ``node_energy``) with frames that hold ``energy``."""
    from ase.data import atomic_numbers
    from ase.io import read

    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if "node_energy" not in card["outputs"]:
        raise ValueError(f"koine_export/physics: '{card['id']}' gives no node_energy; choose a model that does")
    elements = set(card["elements"]).difference(atomic_numbers[symbol] for symbol in without)
    structures, energies = [], []
    for k, atoms in enumerate(read(frames, index=slice(None, limit))):
        graph = neighbour_graph(
            atoms.positions,
            atoms.cell.array,
            card["cutoff_angstrom"],
            card["max_neighbours"],
            card["angle_cutoff_angstrom"],
        )
        isolated = card["isolated_atoms"] == "reject" and len(set(graph.centres)) < len(atoms)
        if elements.issuperset(atoms.numbers.tolist()) and not isolated:
            structures.append(
                Structure(str(k), atoms.numbers.astype(np.int64), atoms.positions, atoms.cell.array, graph)
            )
            energies.append(atoms.get_potential_energy() / len(atoms))
    shapes = {name: tuple(output["shape"]) for name, output in card["outputs"].items()}
    encoder = Encoder(onnx.load(folder / "model.onnx"), list(card["inputs"]), shapes)
    dft = np.array(energies)
    predicted = np.array(
        [result.energy / len(s.numbers) for result, s in zip(encoder.embed(structures, 48), structures, strict=True)]
    )
    fractions = np.stack([np.bincount(s.numbers, minlength=119) / len(s.numbers) for s in structures])

    def residual(values: np.ndarray) -> np.ndarray:
        return values - fractions @ np.linalg.lstsq(fractions, values, rcond=None)[0]

    def mean(values: np.ndarray) -> float:
        return round(1000 * float(np.abs(values).mean()), 2)

    return {
        "id": card["id"],
        "frames": len(structures),
        "mae": mean(predicted - dft),
        "mae_without_offsets": mean(residual(predicted - dft)),
        "mae_composition": mean(residual(dft)),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m koine_export.physics", description="Energies of a model folder against DFT frames."
    )
    parser.add_argument("folder", type=Path, help="model folder")
    parser.add_argument("frames", type=Path, help="extended XYZ with energies, may be gzipped")
    parser.add_argument("--limit", type=int, help="first frames only")
    parser.add_argument(
        "--without", nargs="*", default=[], metavar="SYMBOL", help="leave out frames with these elements"
    )
    options = parser.parse_args()
    print(json.dumps(energy_errors(options.folder, options.frames, options.limit, options.without)))


if __name__ == "__main__":
    main()
