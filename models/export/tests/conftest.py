"""Crystals and comparisons that the tests of the families share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from koine_export.crystals import Structure, batch, structure
from koine_export.family import Exported, Native

torch.set_num_threads(1)


def _distorted(atoms: Atoms, seed: int) -> Atoms:
    """Atoms moved and the cell sheared: no symmetry left."""
    random = np.random.default_rng(seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.04 * random.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += 0.1 * random.normal(size=atoms.positions.shape)
    return atoms


@pytest.fixture(scope="session")
def crystals() -> dict[str, Atoms]:
    """Structures that find mistakes: one atom whose bonds go to its own images, skewed and distorted cells, more than one
    element, large ones without angles or, ``alone``, without edges.
    """
    return {
        "copper": bulk("Cu"),
        "lead": bulk("Pb"),
        "silicon": bulk("Si"),
        "salt": _distorted(bulk("NaCl", "rocksalt", a=5.64, cubic=True), 1),
        "sulphide": _distorted(bulk("ZnS", "wurtzite", a=3.82, c=6.26), 2),
        "iron": _distorted(bulk("Fe", cubic=True) * (2, 1, 1), 3),
        "thin": Atoms(
            "TiO2",
            scaled_positions=[[0, 0, 0], [0.3, 0.4, 0.1], [0.6, 0.7, 0.8]],
            cell=[[2.9, 0, 0], [1.9, 4.4, 0], [0.8, -1.2, 6.1]],
            pbc=True,
        ),
        "alone": Atoms("He", cell=[20, 20, 20], pbc=True),
    }


def structures_of(loaded: Exported, crystals: dict[str, Atoms], *ids: str) -> list[Structure]:
    """Some of the crystals with the graph that a potential takes."""
    return [structure(id, crystals[id], loaded.facts.cutoffs) for id in ids]


def in_torch(loaded: Exported, structures: Sequence[Structure], double: bool = False) -> list[Native]:
    """The wrapper's results in one batch, before any export."""
    import copy

    kind = torch.float64 if double else torch.float32
    tensors = [torch.from_numpy(value) for value in batch(structures, loaded.inputs).values()]
    with torch.no_grad():
        outputs = copy.deepcopy(loaded.module).to(kind)(*(t.to(kind) if t.is_floating_point() else t for t in tensors))
    sizes = [len(s.numbers) for s in structures]
    energies = [float(part.sum()) for part in outputs[1].split(sizes)] if len(outputs) > 1 else [None] * len(sizes)
    return [Native(part.numpy(), energy) for part, energy in zip(outputs[0].split(sizes), energies, strict=True)]


def largest_difference(got: Sequence[Native], wanted: Sequence[Native]) -> float:
    """In RMS of the wanted embeddings."""
    rms = np.sqrt(np.mean(np.concatenate([np.square(w.embedding).ravel() for w in wanted])))
    return max(float(np.abs(g.embedding - w.embedding).max()) for g, w in zip(got, wanted, strict=True)) / float(rms)


def largest_energy_difference(got: Sequence[Native], wanted: Sequence[Native]) -> float:
    """eV per atom."""
    return max(abs(g.energy - w.energy) / len(w.embedding) for g, w in zip(got, wanted, strict=True))
