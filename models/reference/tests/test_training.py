"""Training: batches, forces, resumption, symmetry. The networks are the real ones, the crystals random."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from batches import BatchMaker, random_rotations
from data import Frames
from evaluate import part_errors, symmetry_errors
from networks import build, forces_from_edges
from potentials import POTENTIALS, Potential
from train import learning_rate_factor, statistics_of, train

CPU = torch.device("cpu")
HERE = [potential for potential in POTENTIALS.values() if potential.environment == "torch"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def maker_of(frames: Frames, potential: Potential) -> BatchMaker:
    return BatchMaker(frames, statistics_of(potential, frames).references, CPU)


def brief(potential: Potential) -> Potential:
    """Two epochs of a few steps."""
    schedule = replace(
        potential.schedule, epochs=1, fine_epochs=1, edges_per_batch=400, warm_up_steps=2, rest_share=1.0
    )
    return replace(potential, schedule=schedule)


def test_a_batch_holds_each_frame_as_it_is_alone(frames: Frames) -> None:
    maker = maker_of(frames, HERE[0])
    both, first, second = maker.batch(np.array([3, 7])), maker.batch(np.array([3])), maker.batch(np.array([7]))
    assert torch.equal(both.forces, torch.cat([first.forces, second.forces]))
    assert torch.equal(both.edge_index, torch.cat([first.edge_index, second.edge_index + len(first.forces)], dim=1))
    assert torch.equal(both.structure_index, torch.repeat_interleave(torch.arange(2), both.n_atoms))


def test_every_frame_is_seen_once_in_an_epoch_and_batches_keep_to_the_budget(frames: Frames) -> None:
    maker = maker_of(frames, HERE[0])
    batches = maker.shuffled(np.arange(20), 600, np.random.default_rng(0))
    assert sorted(np.concatenate(batches)) == list(range(20))
    edges = np.diff(frames.edge_offsets)
    assert all(edges[batch].sum() <= 600 or len(batch) == 1 for batch in batches)


def test_rotations_are_orthogonal_and_half_of_them_invert() -> None:
    turns = random_rotations(400, np.random.default_rng(0))
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3))
    assert 0.4 < (np.linalg.det(turns) < 0).mean() < 0.6


def test_forces_from_edges_are_those_of_the_labels(frames: Frames) -> None:
    batch = maker_of(frames, HERE[0]).batch(np.arange(4))
    length = batch.edge_vectors.requires_grad_(True).norm(dim=1)
    assert torch.allclose(forces_from_edges((0.05 * (length - 2.0) ** 2).sum(), batch, False), batch.forces, atol=1e-4)


def test_the_learning_rate_warms_up_and_comes_down() -> None:
    factors = [learning_rate_factor(step, 1000, 200) for step in range(1000)]
    assert factors[0] == pytest.approx(0.005) and max(factors) == factors[200] == 1.0 and factors[-1] < 0.0101
    assert all(later <= earlier for earlier, later in pairwise(factors[200:]))


@pytest.mark.parametrize("potential", HERE, ids=lambda potential: potential.id)
def test_an_untrained_network_has_the_symmetries_its_card_claims(frames: Frames, potential: Potential) -> None:
    built = build(potential, statistics_of(potential, frames))
    turns = random_rotations(6, np.random.default_rng(1))
    found = symmetry_errors(built, maker_of(frames, potential), np.arange(6), turns)
    assert (found["mean_force_change_relative"] < 1e-4) == potential.equivariant


@pytest.mark.parametrize("potential", [p for p in HERE if p.conservative], ids=lambda potential: potential.id)
def test_conservative_forces_are_minus_the_slope_of_the_energy(frames: Frames, potential: Potential) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        built = build(potential, statistics_of(potential, frames))
        built.module.double().eval()
        maker = maker_of(frames, potential)
        _, forces = built.predict(maker.batch(np.array([2])), False)
        energies = []
        for step in (1e-4, -1e-4):
            moved = maker.batch(np.array([2]))
            moved.edge_vectors[moved.edge_index[0] == 0, 1] -= step
            moved.edge_vectors[moved.edge_index[1] == 0, 1] += step
            energies.append(float(built.predict(moved, False)[0].detach().sum()))
        assert float(forces[0, 1]) == pytest.approx(-(energies[0] - energies[1]) / 2e-4, rel=1e-4, abs=1e-7)
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    potential = brief(POTENTIALS["ref-mace-s"])
    weights = []
    for name, seconds in (("at once", [1e9]), ("in pieces", [0.0, 1e9])):
        monkeypatch.setenv("KOINE_CACHE_DIR", str(tmp_path / name))
        for limit in seconds:
            training = train(potential, frames, CPU, limit)
        weights.append(torch.load(training.checkpoint, weights_only=False).state_dict())
        assert training.finished and len((training.folder / "curve.csv").read_text().splitlines()) == 3
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_training_lowers_the_error_and_checkpoints_are_read_back(
    frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOINE_CACHE_DIR", str(tmp_path))
    potential = brief(POTENTIALS["ref-orb-con"])
    potential = replace(potential, schedule=replace(potential.schedule, epochs=30, average=0.5))
    statistics = statistics_of(potential, frames)
    built, maker = build(potential, statistics), maker_of(frames, potential)
    before = part_errors(built, maker, "train")["all"]
    built.load(train(potential, frames, CPU).checkpoint)
    after = part_errors(built, maker, "train")["all"]
    assert after["test_force_mae_ev_per_angstrom"] < 0.9 * before["test_force_mae_ev_per_angstrom"]
    assert after["baseline_force_mae_ev_per_angstrom"] == pytest.approx(
        float(np.abs(frames.forces[_train_atoms(frames)]).mean()), rel=1e-5
    )


def _train_atoms(frames: Frames) -> np.ndarray:
    of_frame = np.repeat(np.arange(len(frames)), np.diff(frames.atom_offsets))
    return np.isin(of_frame, frames.select("train"))
