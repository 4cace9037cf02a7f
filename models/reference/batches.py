"""Frames as tensors: batches of about equal work, and what a potential is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from data import SUBSETS, Frames


@dataclass
class Batch:
    """Some structures in a row; the tensors are those of koine's model contract, and the labels."""

    atomic_numbers: torch.Tensor
    """int64 [n_atoms]"""
    edge_index: torch.Tensor
    """int64 [2, n_edges]: centre and neighbour, numbered over the batch"""
    edge_vectors: torch.Tensor
    """float [n_edges, 3], Å"""
    structure_index: torch.Tensor
    """int64 [n_atoms]"""
    n_atoms: torch.Tensor
    """int64 [n_structures]"""
    n_edges: torch.Tensor
    """int64 [n_structures]"""
    energies: torch.Tensor
    """float [n_structures], eV, above the reference energies"""
    forces: torch.Tensor
    """float [n_atoms, 3], eV/Å"""


class BatchMaker:
    """Cuts frames into batches and puts them on a device."""

    def __init__(self, frames: Frames, references: np.ndarray, device: torch.device):
        """:param references: float64 [119], eV per element, subtracted from the energies"""
        self.frames = frames
        self.device = device
        everything = np.arange(len(frames))
        self.energies = frames.energies - frames.composition(everything) @ references

    def shuffled(self, selection: np.ndarray, edges_per_batch: int, generator: np.random.Generator) -> list[np.ndarray]:
        """Frame numbers of each batch of one epoch: random order, cut before the edges exceed the budget."""
        order = generator.permutation(selection)
        edges = np.diff(self.frames.edge_offsets)
        batches: list[list[int]] = [[]]
        used = 0
        for frame in order:
            if batches[-1] and used + edges[frame] > edges_per_batch:
                batches.append([])
                used = 0
            batches[-1].append(int(frame))
            used += int(edges[frame])
        return [np.array(batch) for batch in batches]

    def thinned(self, selection: np.ndarray, subset: str, share: float, generator: np.random.Generator) -> np.ndarray:
        """A selection without a random part of one subset's frames, of which `share` stay."""
        of_subset = self.frames.subset[selection] == SUBSETS.index(subset)
        return selection[~of_subset | (generator.random(len(selection)) < share)]

    def batch(self, chosen: np.ndarray, rotations: np.ndarray | None = None) -> Batch:
        """One batch.

        :param rotations: orthogonal [n_structures, 3, 3]: structure and forces are turned by v -> R v
        """
        frames = self.frames
        n_atoms = np.diff(frames.atom_offsets)[chosen]
        n_edges = np.diff(frames.edge_offsets)[chosen]
        atoms = _ranges(frames.atom_offsets[chosen], n_atoms)
        edges = _ranges(frames.edge_offsets[chosen], n_edges)
        first_atom = np.cumsum(n_atoms) - n_atoms
        structure_index = np.repeat(np.arange(len(chosen)), n_atoms)
        edge_structure = np.repeat(np.arange(len(chosen)), n_edges)
        edge_vectors = frames.edge_vectors[edges]
        forces = frames.forces[atoms]
        if rotations is not None:
            edge_vectors = np.einsum("eij,ej->ei", rotations[edge_structure], edge_vectors)
            forces = np.einsum("aij,aj->ai", rotations[structure_index], forces)

        def tensor(array: np.ndarray) -> torch.Tensor:
            kind = torch.get_default_dtype() if array.dtype.kind == "f" else torch.int64
            return torch.as_tensor(np.ascontiguousarray(array), device=self.device).to(kind)

        return Batch(
            atomic_numbers=tensor(frames.atomic_numbers[atoms]),
            edge_index=tensor(frames.edge_index[:, edges] + first_atom[edge_structure]),
            edge_vectors=tensor(edge_vectors),
            structure_index=tensor(structure_index),
            n_atoms=tensor(n_atoms),
            n_edges=tensor(n_edges),
            energies=tensor(self.energies[chosen]),
            forces=tensor(forces),
        )


def random_rotations(n: int, generator: np.random.Generator) -> np.ndarray:
    """Uniform over O(3): rotations and rotations with inversion alike, float64 [n, 3, 3] (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(generator.normal(size=(n, 3, 3)))
    return q * np.sign(np.einsum("nii->ni", r))[:, None, :]


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1, ... for each pair, in a row."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
