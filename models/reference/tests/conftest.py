"""Random crystals with a known energy, in place of the DFT frames, which are not part of the repository."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from data import PARTS, SUBSETS, Frames, neighbour_list


def harmonic(vectors: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy of bonds that want to be 2 Å long, eV, and its gradient in the vectors."""
    length = np.linalg.norm(vectors, axis=1)
    return float(0.05 * ((length - 2.0) ** 2).sum()), 0.1 * (1 - 2.0 / length)[:, None] * vectors


@pytest.fixture(scope="session")
def frames() -> Frames:
    """Twenty crystals of hydrogen, oxygen and iron; every fourth is a validation frame and every fifth a test frame."""
    from ase import Atoms

    random = np.random.default_rng(0)
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("z", "f", "i", "v")}
    energies, subsets, parts = [], [], []
    for number in range(20):
        n = int(random.integers(2, 6))
        atoms = Atoms(
            random.choice([1, 8, 26], n), scaled_positions=random.random((n, 3)), cell=np.eye(3) * 4.0, pbc=True
        )
        index, vectors = neighbour_list(atoms, 4.5)
        energy, gradient = harmonic(vectors)
        forces = np.zeros((n, 3))
        np.add.at(forces, index[0], gradient)
        np.add.at(forces, index[1], -gradient)
        for name, value in zip(columns, (atoms.numbers, forces, index, vectors), strict=True):
            columns[name].append(value)
        energies.append(energy - 3.0 * n)
        subsets.append(number % len(SUBSETS))
        parts.append(PARTS.index("validation" if number % 4 == 3 else "test" if number % 5 == 4 else "train"))

    def offsets(name: str) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([len(a) for a in columns[name]])])

    return Frames(
        atomic_numbers=np.concatenate(columns["z"]),
        forces=np.concatenate(columns["f"]).astype(np.float32),
        energies=np.array(energies),
        edge_index=np.concatenate(columns["i"], axis=1).astype(np.int32),
        edge_vectors=np.concatenate(columns["v"]).astype(np.float32),
        atom_offsets=offsets("z"),
        edge_offsets=offsets("v"),
        subset=np.array(subsets),
        part=np.array(parts),
        source_index=np.arange(20),
    )
