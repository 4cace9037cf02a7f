"""The data recipe: the split, the reference energies, the neighbour list."""

from __future__ import annotations

import itertools

import numpy as np
from ase import Atoms
from ase.build import bulk

from data import Frames, neighbour_list, part_by_formula, reference_energies


def test_the_part_of_a_formula_depends_on_nothing_but_the_formula() -> None:
    formulas = {f"Fe{a}O{b}": (8, 26) for a, b in itertools.product(range(1, 30), range(1, 30))}
    parts = part_by_formula(formulas)
    backwards = part_by_formula(dict(reversed(formulas.items())))
    assert parts == backwards
    half = {formula: elements for k, (formula, elements) in enumerate(formulas.items()) if k % 2}
    assert all(parts[formula] == part for formula, part in part_by_formula(half).items())
    share = [list(parts.values()).count(part) / len(parts) for part in ("train", "validation", "test")]
    assert np.allclose(share, [0.80, 0.08, 0.12], atol=0.04)


def test_a_formula_with_an_element_that_no_training_formula_has_is_trained_on() -> None:
    formulas = {f"X{k}": (k,) for k in range(1, 90)}
    assert set(part_by_formula(formulas).values()) == {"train"}


def test_reference_energies_are_not_moved_by_a_few_frames_far_off() -> None:
    random = np.random.default_rng(1)
    composition = np.zeros((200, 119))
    composition[:, [1, 8, 26]] = random.integers(0, 5, (200, 3))
    composition[:, 3] = 1
    true = np.zeros(119)
    true[[1, 3, 8, 26]] = [-1.0, -2.0, -5.0, -8.0]
    energies = composition @ true
    energies[:10] += 50.0 * composition[:10].sum(axis=1)
    fitted = reference_energies(composition, energies)
    assert np.abs(fitted - true).max() < 0.05
    assert (
        np.abs(np.linalg.lstsq(composition[:, [1, 3, 8, 26]], energies, rcond=None)[0] - true[[1, 3, 8, 26]]).max()
        > 0.5
    )


def test_edges_are_those_of_a_search_over_all_images() -> None:
    random = np.random.default_rng(2)
    cell = np.array([[4.0, 0.0, 0.0], [1.5, 3.5, 0.0], [0.5, 1.0, 5.0]])
    atoms = Atoms("FeOH", positions=random.random((3, 3)) @ cell, cell=cell, pbc=True)
    index, vectors = neighbour_list(atoms, 4.5)
    expected = []
    for i, j in itertools.product(range(3), repeat=2):
        for shift in itertools.product(range(-4, 5), repeat=3):
            vector = atoms.positions[j] + np.array(shift) @ cell - atoms.positions[i]
            if 0 < np.linalg.norm(vector) <= 4.5:
                expected.append((i, j, *np.round(vector, 8)))
    found = [(*pair, *np.round(vector, 8)) for pair, vector in zip(index.T, vectors, strict=True)]
    assert sorted(found) == sorted(expected)


def test_the_nearest_neighbours_are_kept() -> None:
    index, vectors = neighbour_list(bulk("Cu", "fcc", a=3.6), 6.0, max_neighbours=12)
    assert index.shape == (2, 12)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 3.6 / np.sqrt(2))


def test_parts_and_subsets_select_frames(frames: Frames) -> None:
    parts = [frames.select(part) for part in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts)) == list(range(20))
    assert set(frames.subset[frames.select("train", ("mptrj-random-1k",))]) == {1}
    assert frames.composition(np.arange(20)).sum() == len(frames.atomic_numbers)
