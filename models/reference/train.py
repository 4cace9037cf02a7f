"""Trains reference potentials: `python train.py ref-mace-s [...]` or `python train.py all`.

A run is a function of the potential's seed and schedule (numbers of epochs, never minutes), up to the rounding of the
machine's matrix library. After every epoch the state goes to the cache folder; a second start goes on from there.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from batches import BatchMaker, random_rotations
from data import FORCE_BEARING, Frames, cache_folder, load_frames, reference_energies
from potentials import POTENTIALS, Built, Potential, Statistics, build


def statistics_of(potential: Potential, frames: Frames) -> Statistics:
    """Elements, reference energies and mean number of neighbours, all from the potential's own training part.

    The reference energies come from the whole training part, so that all seven potentials share one zero of energy.
    """
    train = frames.select("train", potential.subsets)
    everything = frames.select("train")
    atoms = np.diff(frames.atom_offsets)[train].sum()
    edges = np.diff(frames.edge_offsets)[train].sum()
    return Statistics(
        elements=frames.elements(train),
        references=reference_energies(frames.composition(everything), frames.energies[everything]),
        average_neighbours=float(edges / atoms),
    )


def learning_rate_factor(step: int, steps: int, warm_up: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < warm_up:
        return (step + 1) / warm_up
    along = (step - warm_up) / max(1, steps - warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, along)))


def huber(error: torch.Tensor, delta: float) -> torch.Tensor:
    """Mean Huber loss of errors."""
    return torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=delta)


def errors(built: Built, maker: BatchMaker, selection: np.ndarray, edges_per_batch: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    """Absolute errors: energy of each frame, eV/atom [n]; mean over the force components of each frame, eV/Å [n]."""
    energy_errors, force_errors = np.zeros(len(selection)), np.zeros(len(selection))
    edges = np.diff(maker.frames.edge_offsets)[selection]
    groups = np.split(np.arange(len(selection)), np.flatnonzero(np.diff(np.cumsum(edges) // edges_per_batch)) + 1)
    built.module.eval()
    for rows in groups:
        batch = maker.batch(selection[rows])
        energies, forces = built.predict(batch, False)
        energy_errors[rows] = ((energies.detach() - batch.energies).abs() / batch.n_atoms).cpu().numpy()
        absolute = (forces.detach() - batch.forces).abs().mean(dim=1)
        summed = torch.zeros_like(batch.energies).index_add(0, batch.structure_index, absolute)
        force_errors[rows] = (summed / batch.n_atoms).cpu().numpy()
    return energy_errors, force_errors


def train(potential: Potential, frames: Frames, device: torch.device, seconds: float = math.inf) -> Path:
    """Trains one potential to the end of its schedule.

    :param seconds: leave after this long, between two epochs; the next start goes on
    :returns: folder with `checkpoint.*` (official format, averaged weights) and `curve.csv`
    """
    folder = cache_folder() / potential.id
    folder.mkdir(exist_ok=True)
    schedule = potential.schedule
    statistics = statistics_of(potential, frames)
    built = build(potential, statistics)
    module = built.module.to(device)
    maker = BatchMaker(frames, statistics.references, device)
    selection = frames.select("train", potential.subsets)
    validation = frames.select("validation", FORCE_BEARING)
    zero_force = np.abs(frames.forces).mean(axis=1)
    no_force = frames.zero_force_errors()[validation]
    atoms = np.diff(frames.atom_offsets)[validation]

    trained = [p for p in module.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    other = [p for p in trained if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": other, "weight_decay": 0.0}],
        lr=schedule.learning_rate,
    )
    averaged = copy.deepcopy(module.state_dict())
    state_path = folder / "state.pt"
    curve: list[dict[str, float]] = []
    first = 0
    if state_path.is_file():
        state = torch.load(state_path, map_location=device, weights_only=False)
        module.load_state_dict(state["module"])
        averaged = state["averaged"]
        optimiser.load_state_dict(state["optimiser"])
        curve, first = state["curve"], state["epoch"] + 1

    started = time.monotonic()
    for epoch in range(first, schedule.epochs + schedule.fine_epochs):
        fine = epoch >= schedule.epochs
        if epoch == schedule.epochs:
            module.load_state_dict(averaged)
        # Each epoch has its own generator: a resumed run draws what an uninterrupted one would have drawn.
        generator = np.random.default_rng([potential.seed, epoch])
        seen = maker.thinned(selection, "mptrj-random-1k", schedule.rest_share, generator)
        batches = maker.shuffled(seen, schedule.edges_per_batch, generator)
        phase_epochs = schedule.fine_epochs if fine else schedule.epochs
        done = epoch - schedule.epochs if fine else epoch
        delta = schedule.fine_force_delta if fine else schedule.force_delta
        force_weight = schedule.fine_force_weight if fine else schedule.force_weight
        scale = schedule.fine_learning_rate if fine else 1.0
        module.train()
        losses = []
        epoch_started = time.monotonic()
        for number, chosen in enumerate(batches):
            # Epochs differ by a batch or two in length; the mean decides the position in the schedule.
            step = done * len(batches) + number
            rate = schedule.learning_rate * scale
            rate *= learning_rate_factor(step, phase_epochs * len(batches), schedule.warm_up_steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            batch = maker.batch(chosen, random_rotations(len(chosen), generator) if schedule.rotate else None)
            energies, forces = built.predict(batch, True)
            loss = huber((energies - batch.energies) / batch.n_atoms, delta)
            loss = loss + force_weight * huber(forces - batch.forces, delta)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(trained, schedule.gradient_clip)
            if torch.isfinite(norm):
                optimiser.step()
            losses.append(float(loss.detach()))
            with torch.no_grad():
                for name, value in module.state_dict().items():
                    if value.is_floating_point():
                        averaged[name].lerp_(value, 1.0 - schedule.average)
                    else:
                        averaged[name].copy_(value)
        spent = time.monotonic() - epoch_started

        live = copy.deepcopy(module.state_dict())
        module.load_state_dict(averaged)
        energy_errors, force_errors = errors(built, maker, validation)
        curve.append(
            {
                "epoch": epoch + 1,
                "steps": len(batches),
                "loss": round(float(np.nanmean(losses)), 5),
                "validation_force_ratio": round(
                    float((force_errors * atoms).sum() / (no_force * atoms).sum()), 5
                ),
                "validation_energy_mae_ev_per_atom": round(float(energy_errors.mean()), 5),
            }
        )
        checkpoint = folder / f"checkpoint.{potential.checkpoint_suffix}"
        built.save(checkpoint.with_suffix(".aside"))
        checkpoint.with_suffix(".aside").replace(checkpoint)
        module.load_state_dict(live)
        aside = state_path.with_suffix(".aside")
        torch.save(
            {
                "module": live,
                "averaged": averaged,
                "optimiser": optimiser.state_dict(),
                "curve": curve,
                "epoch": epoch,
            },
            aside,
        )
        aside.replace(state_path)
        with (folder / "curve.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(curve[0]))
            writer.writeheader()
            writer.writerows(curve)
        print(potential.id, curve[-1], f"{spent:.0f} s", flush=True)
        if time.monotonic() - started > seconds:
            break
    return folder


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="+", choices=[*POTENTIALS, "all"], metavar="ID")
    parser.add_argument("--data", type=Path, required=True, help="folder of the MatterSim frames (*.xyz.gz)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    parser.add_argument("--minutes", type=float, default=math.inf, help="leave after this long; the next start goes on")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for id in POTENTIALS if "all" in options.ids else options.ids:
        potential = POTENTIALS[id]
        frames = load_frames(options.data, potential.cutoff, potential.max_neighbours)
        train(potential, frames, torch.device(options.device), options.minutes * 60)


if __name__ == "__main__":
    main()
