"""Trains reference potentials: `python train.py ref-mace-s --data FOLDER`, or `all` for those of this environment.

A run is a function of the potential's seed and schedule (numbers of epochs, never minutes), up to the rounding of the
machine's matrix library. After every epoch the state goes to the cache folder; the next start goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import csv
import importlib.util
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from batches import BatchMaker, random_rotations
from data import FORCE_BEARING, Frames, cache_folder, load_frames, reference_energies
from networks import PACKAGES, Built, Statistics, build
from potentials import POTENTIALS, Potential, Schedule


def statistics_of(potential: Potential, frames: Frames) -> Statistics:
    """Elements, reference energies and mean number of neighbours, from the training part.

    The reference energies come from all subsets, so that the seven potentials share one zero of energy.
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


def errors(
    built: Built, maker: BatchMaker, selection: np.ndarray, edges_per_batch: int = 8000
) -> tuple[np.ndarray, np.ndarray]:
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


class Training:
    """One potential between two epochs: weights, their moving average, optimiser, curve. Lives in the cache folder."""

    def __init__(self, potential: Potential, frames: Frames, device: torch.device):
        self.potential = potential
        self.frames = frames
        self.folder = cache_folder() / potential.id
        self.folder.mkdir(exist_ok=True)
        statistics = statistics_of(potential, frames)
        self.built = build(potential, statistics)
        self.module = self.built.module.to(device)
        self.maker = BatchMaker(frames, statistics.references, device)
        self.trained = [p for p in self.module.parameters() if p.requires_grad]
        decay = potential.schedule.weight_decay
        groups = [
            {"params": [p for p in self.trained if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in self.trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=potential.schedule.learning_rate)
        self.averaged = copy.deepcopy(self.module.state_dict())
        self.curve: list[dict[str, float]] = []
        if self._state.is_file():
            state = torch.load(self._state, map_location=device, weights_only=False)
            self.module.load_state_dict(state["module"])
            self.averaged = state["averaged"]
            self.optimiser.load_state_dict(state["optimiser"])
            self.curve = state["curve"]

    @property
    def _state(self) -> Path:
        return self.folder / "state.pt"

    @property
    def checkpoint(self) -> Path:
        """The averaged weights in the family's official format."""
        return self.folder / f"checkpoint.{self.potential.checkpoint_suffix}"

    @property
    def finished(self) -> bool:
        """Whether the schedule is at its end."""
        return len(self.curve) >= self.potential.schedule.epochs + self.potential.schedule.fine_epochs

    def epoch(self) -> dict[str, float]:
        """Trains for one epoch, validates the averaged weights, saves; returns the new line of the curve."""
        number, schedule = len(self.curve), self.potential.schedule
        if number == schedule.epochs:
            self.module.load_state_dict(self.averaged)
        # Each epoch has its own generator: a resumed run draws what an uninterrupted one would have drawn.
        generator = np.random.default_rng([self.potential.seed, number])
        selection = self.frames.select("train", self.potential.subsets)
        selection = self.maker.thinned(selection, "mptrj-random-1k", schedule.rest_share, generator)
        batches = self.maker.shuffled(selection, schedule.edges_per_batch, generator)
        self.module.train()
        losses = []
        for place, chosen in enumerate(batches):
            for group in self.optimiser.param_groups:
                group["lr"] = _learning_rate(schedule, number + place / len(batches), len(batches))
            rotations = random_rotations(len(chosen), generator) if schedule.rotate else None
            losses.append(self._step(chosen, rotations, fine=number >= schedule.epochs))
        live = copy.deepcopy(self.module.state_dict())
        self.module.load_state_dict(self.averaged)
        self.curve.append(
            {"epoch": number + 1, "steps": len(batches), "loss": round(float(np.mean(losses)), 5), **self._validation()}
        )
        self._save(live)
        self.module.load_state_dict(live)
        return self.curve[-1]

    def _step(self, chosen: np.ndarray, rotations: np.ndarray | None, fine: bool) -> float:
        """One step of the optimiser on one batch; returns the loss."""
        schedule = self.potential.schedule
        delta = schedule.fine_force_delta if fine else schedule.force_delta
        force_weight = schedule.fine_force_weight if fine else schedule.force_weight
        batch = self.maker.batch(chosen, rotations)
        energies, forces = self.built.predict(batch, True)
        loss = huber((energies - batch.energies) / batch.n_atoms, delta)
        loss = loss + force_weight * huber(forces - batch.forces, delta)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, schedule.gradient_clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"reference/train: {self.potential.id}: the gradient is {norm.item()} on frames {chosen.tolist()}"
            )
        self.optimiser.step()
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                if value.is_floating_point():
                    self.averaged[name].lerp_(value, 1.0 - schedule.average)
                else:
                    self.averaged[name].copy_(value)
        return float(loss.detach())

    def _validation(self) -> dict[str, float]:
        """Errors on the force-bearing validation frames: force as a share of the zero-force error, energy in eV/atom."""
        selection = self.frames.select("validation", FORCE_BEARING)
        energy_errors, force_errors = errors(self.built, self.maker, selection)
        atoms = np.diff(self.frames.atom_offsets)[selection]
        no_force = self.frames.zero_force_errors()[selection]
        return {
            "validation_force_ratio": round(float((force_errors * atoms).sum() / (no_force * atoms).sum()), 5),
            "validation_energy_mae_ev_per_atom": round(float(energy_errors.mean()), 5),
        }

    def _save(self, live: dict[str, torch.Tensor]) -> None:
        """Writes checkpoint, state and curve; whole files take the place of the old ones."""
        with _aside(self.checkpoint) as path:
            self.built.save(path)
        with _aside(self.folder / "curve.csv") as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.curve[0]))
            writer.writeheader()
            writer.writerows(self.curve)
        state = {
            "module": live,
            "averaged": self.averaged,
            "optimiser": self.optimiser.state_dict(),
            "curve": self.curve,
        }
        with _aside(self._state) as path:
            torch.save(state, path)


def train(potential: Potential, frames: Frames, device: torch.device, seconds: float = math.inf) -> Training:
    """Trains one potential to the end of its schedule.

    :param seconds: leave after this long, between two epochs; the next start goes on
    """
    training = Training(potential, frames, device)
    deadline = time.monotonic() + seconds
    while not training.finished:
        started = time.monotonic()
        line = training.epoch()
        print(potential.id, line, f"{time.monotonic() - started:.0f} s", flush=True)
        if time.monotonic() > deadline:
            break
    return training


def _learning_rate(schedule: Schedule, epoch: float, steps_per_epoch: int) -> float:
    """Each of the two phases warms up and comes down; epochs differ by a batch or two, so place is counted in epochs."""
    fine = epoch >= schedule.epochs
    epochs = schedule.fine_epochs if fine else schedule.epochs
    along = epoch - schedule.epochs if fine else epoch
    factor = learning_rate_factor(round(along * steps_per_epoch), epochs * steps_per_epoch, schedule.warm_up_steps)
    return schedule.learning_rate * (schedule.fine_learning_rate if fine else 1.0) * factor


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A path to write to; what was written takes the place of `path` when all went well."""
    aside = path.with_name(f".{path.name}")
    yield aside
    aside.replace(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="+", choices=[*POTENTIALS, "all"], metavar="ID")
    parser.add_argument("--data", type=Path, required=True, help="folder of the MatterSim frames (*.xyz.gz)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="leave each after this long; the next start goes on"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    here = [id for id, potential in POTENTIALS.items() if importlib.util.find_spec(PACKAGES[potential.family])]
    for id in here if "all" in options.ids else options.ids:
        potential = POTENTIALS[id]
        frames = load_frames(options.data, potential.cutoff, potential.max_neighbours)
        train(potential, frames, torch.device(options.device), options.minutes * 60)


if __name__ == "__main__":
    main()
