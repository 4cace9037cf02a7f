"""Errors of a trained potential on the test part, against two baselines, and how well it knows rotations.

`python evaluate.py ref-mace-s --data FOLDER` writes `results/<id>.json` and the training curve `results/<id>.csv` beside this
file. The test part is for this script alone: every choice (schedule, sizes, when to stop) is made on the validation part.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from batches import Batch, BatchMaker, random_rotations
from data import FORCE_BEARING, SUBSETS, Frames, cache_folder, load_frames
from networks import Built
from potentials import POTENTIALS, Potential
from train import Training, errors

RESULTS = Path(__file__).parent / "results"


def part_errors(built: Built, maker: BatchMaker, part: str = "test") -> dict[str, dict[str, float | int]]:
    """Mean absolute errors and those of the baselines, of all subsets, of the force-bearing ones and of each alone.

    Energy: mean over frames of the error per atom; baseline: the reference energies, a sum over elements fitted to the
    training part. Force: mean over all components of all atoms; baseline: zero.
    """
    frames = maker.frames
    groups = {"all": SUBSETS, "force-bearing": FORCE_BEARING} | {subset: (subset,) for subset in SUBSETS}
    everything = frames.select(part)
    energy, force = errors(built, maker, everything)
    atoms = np.diff(frames.atom_offsets)[everything]
    no_force = frames.zero_force_errors()[everything]
    no_energy = np.abs(maker.energies[everything]) / atoms
    found = {}
    for name, subsets in groups.items():
        rows = np.isin(frames.subset[everything], [SUBSETS.index(subset) for subset in subsets])
        if not rows.any():
            continue
        found[name] = {
            "structures": int(rows.sum()),
            "test_energy_mae_mev_per_atom": 1e3 * float(energy[rows].mean()),
            "baseline_energy_mae_mev_per_atom": 1e3 * float(no_energy[rows].mean()),
            "test_force_mae_ev_per_angstrom": float(np.average(force[rows], weights=atoms[rows])),
            "baseline_force_mae_ev_per_angstrom": float(np.average(no_force[rows], weights=atoms[rows])),
        }
    return found


def symmetry_errors(built: Built, maker: BatchMaker, chosen: np.ndarray, turns: np.ndarray) -> dict[str, float]:
    """What turning the crystals by orthogonal matrices changes that it must not change.

    :param chosen: frame numbers [n]
    :param turns: [n, 3, 3]
    :returns: largest change of energy, meV/atom, and mean |F(Rx) - R F(x)| over mean |F(x)|
    """
    energies, forces = _predicted(built, maker.batch(chosen))
    turned = maker.batch(chosen, turns)
    turned_energies, turned_forces = _predicted(built, turned)
    expected = np.einsum("aij,aj->ai", turns[turned.structure_index.cpu().numpy()], forces)
    change = np.abs(turned_energies - energies) / turned.n_atoms.cpu().numpy()
    return {
        "max_energy_change_mev_per_atom": 1e3 * float(change.max()),
        "mean_force_change_relative": float(np.abs(turned_forces - expected).mean() / np.abs(forces).mean()),
    }


def _predicted(built: Built, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    built.module.eval()
    energies, forces = built.predict(batch, False)
    return energies.detach().cpu().double().numpy(), forces.detach().cpu().double().numpy()


def evaluate(potential: Potential, frames: Frames, device: torch.device) -> dict[str, object]:
    """The record that `results/<id>.json` holds.

    :raises ValueError: when the training has not come to its end: nothing may be decided by the test part
    """
    training = Training(potential, frames, device)
    if not training.finished:
        raise ValueError(
            f"reference/evaluate: {potential.id} has {len(training.curve)} epochs in {training.folder}: "
            "train it to the end of its schedule before the test part is looked at"
        )
    built, maker = training.built, training.maker
    built.load(training.checkpoint)
    generator = np.random.default_rng(potential.seed)
    some = generator.choice(frames.select("test", FORCE_BEARING), 32, replace=False)
    rotations = random_rotations(len(some), generator)
    rotations *= np.linalg.det(rotations)[:, None, None]
    return {
        "id": potential.id,
        "parameters": sum(p.numel() for p in built.module.parameters()),
        "train_frames": len(frames.select("train", potential.subsets)),
        "test_frames": len(frames.select("test")),
        "epochs": len(training.curve),
        "steps": sum(line["steps"] for line in training.curve),
        "seed": potential.seed,
        **({"remark": potential.remark} if potential.remark else {}),
        "test": part_errors(built, maker),
        "rotation": symmetry_errors(built, maker, some, rotations),
        "inversion": symmetry_errors(built, maker, some, np.tile(-np.eye(3), (len(some), 1, 1))),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="+", choices=list(POTENTIALS), metavar="ID")
    parser.add_argument("--data", type=Path, required=True, help="folder of the MatterSim frames (*.xyz.gz)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(exist_ok=True)
    for id in options.ids:
        potential = POTENTIALS[id]
        frames = load_frames(options.data, potential.cutoff, potential.max_neighbours)
        record = evaluate(potential, frames, torch.device(options.device))
        (RESULTS / f"{id}.json").write_text(json.dumps(_rounded(record), indent=1) + "\n")
        shutil.copyfile(cache_folder() / id / "curve.csv", RESULTS / f"{id}.csv")
        for name, part in record["test"].items():
            force = part["test_force_mae_ev_per_angstrom"] / part["baseline_force_mae_ev_per_angstrom"]
            energy = part["test_energy_mae_mev_per_atom"] / part["baseline_energy_mae_mev_per_atom"]
            print(f"{id} {name}: force {force:.3f} of zero, energy {energy:.3f} of composition")


def _rounded(value: object) -> object:
    """Five significant digits of every number."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
