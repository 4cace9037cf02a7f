"""Crystals and their graphs, by the same rules as koine's own neighbour lists and line graphs (``structures/*.ts``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

#: Distances closer than this times the cutoff belong to one shell of neighbours.
SHELL_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Cutoffs:
    """How far a potential looks."""

    #: Å, of edges.
    edges: float
    #: Edges of an atom at most, the nearest.
    max_neighbours: int | None = None
    #: Å, of edges that make angles.
    angles: float | None = None


@dataclass(frozen=True)
class Graph:
    """Directed edges sorted by (centre, neighbour, shift), and angles where there is an angle cutoff."""

    #: [n_edges] atom i of each edge.
    centres: np.ndarray
    #: [n_edges] atom j.
    neighbours: np.ndarray
    #: [n_edges, 3] lattice translation S of atom j.
    shifts: np.ndarray
    #: [n_edges, 3] r_j + S·cell - r_i in Å, float64.
    vectors: np.ndarray
    angle_cutoff: float | None = None

    @cached_property
    def edge_to_bond(self) -> np.ndarray:
        """[n_edges] bond of each edge; (i, j, S) and (j, i, -S) share one, numbered by their first edge."""
        bonds = np.full(len(self.centres), -1, dtype=np.int64)
        number: dict[tuple[int, ...], int] = {}
        for edge, (i, j, shift) in enumerate(zip(self.centres, self.neighbours, self.shifts, strict=True)):
            a, b, c = (int(component) for component in shift)
            reverse = number.get((int(j), int(i), -a, -b, -c))
            if reverse is None:
                reverse = number[(int(i), int(j), a, b, c)] = len(number)
            bonds[edge] = reverse
        return bonds

    @cached_property
    def bond_to_edge(self) -> np.ndarray:
        """[n_bonds] first edge of each bond."""
        return np.unique(self.edge_to_bond, return_index=True)[1].astype(np.int64)

    @cached_property
    def angle_index(self) -> np.ndarray:
        """[2, n_angles] ordered pairs of different edges with one centre, both shorter than the angle cutoff."""
        assert self.angle_cutoff is not None, "a graph without an angle cutoff has no angles"
        short = np.flatnonzero(np.linalg.norm(self.vectors, axis=1) < self.angle_cutoff)
        pairs = [np.empty((2, 0), dtype=np.int64)]
        for centre in np.unique(self.centres[short]):
            edges = short[self.centres[short] == centre]
            first, second = np.meshgrid(edges, edges, indexing="ij")
            pairs.append(np.stack([first[first != second], second[first != second]]))
        return np.concatenate(pairs, axis=1).astype(np.int64)


@dataclass(frozen=True)
class Structure:
    """A periodic crystal with the graph that a network is given."""

    id: str
    #: [n_atoms] atomic numbers.
    numbers: np.ndarray
    #: [n_atoms, 3] Å.
    positions: np.ndarray
    #: [3, 3] lattice vectors in rows, Å.
    cell: np.ndarray
    graph: Graph

    @property
    def atoms(self) -> Atoms:
        """The same as an ASE object."""
        from ase import Atoms

        return Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=True)


def read_atoms(path: Path) -> list[tuple[str, Atoms]]:
    """Ids and crystals of an extended XYZ file; a frame without ``id`` is named by its number."""
    from ase.io import read

    frames = read(path, index=":", format="extxyz")
    return [
        (str(atoms.info.get("id", atoms.info.get("material_id", f"frame-{k}"))), atoms)
        for k, atoms in enumerate(frames)
    ]


def structure(id: str, atoms: Atoms, cutoffs: Cutoffs) -> Structure:
    """A crystal with the graph that a potential of these cutoffs takes."""
    graph = neighbour_graph(atoms.positions, atoms.cell.array, cutoffs.edges, cutoffs.max_neighbours, cutoffs.angles)
    return Structure(id, atoms.numbers.astype(np.int64), np.array(atoms.positions), np.array(atoms.cell.array), graph)


def neighbour_graph(
    positions: np.ndarray,
    cell: np.ndarray,
    cutoff: float,
    max_neighbours: int | None = None,
    angle_cutoff: float | None = None,
) -> Graph:
    """Every edge with 0 < distance <= cutoff under periodic boundary conditions. With ``max_neighbours`` only the nearest of each
    atom; of the shell of equal distance that the limit cuts through, the first in (neighbour, shift) order stay.
    """
    from matscipy.neighbours import neighbour_list

    # matscipy tests distance < cutoff; ask for a little more and test <= on the exact distance
    i, j, shifts = neighbour_list("ijS", positions=positions, cell=cell, pbc=[True] * 3, cutoff=cutoff * (1 + 1e-9))
    order = np.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], j, i))
    i, j, shifts = i[order].astype(np.int64), j[order].astype(np.int64), shifts[order].astype(np.int64)
    vectors = positions[j] + shifts @ cell - positions[i]
    distances = np.linalg.norm(vectors, axis=1)
    keep = (distances > 0) & (distances <= cutoff)
    i, j, shifts, vectors, distances = i[keep], j[keep], shifts[keep], vectors[keep], distances[keep]
    if max_neighbours is not None:
        nearest = np.concatenate(
            [np.empty(0, dtype=np.int64)]
            + [
                _nearest(np.flatnonzero(i == atom), distances, max_neighbours, SHELL_TOLERANCE * cutoff)
                for atom in range(len(positions))
            ]
        )
        i, j, shifts, vectors = i[nearest], j[nearest], shifts[nearest], vectors[nearest]
    return Graph(i, j, shifts, vectors, angle_cutoff)


def _nearest(edges: np.ndarray, distances: np.ndarray, limit: int, same_shell: float) -> np.ndarray:
    """Those of one atom's edges that the limit leaves, in their order."""
    if len(edges) <= limit:
        return edges
    ascending = np.sort(distances[edges])
    start = limit - 1
    while start > 0 and ascending[start] - ascending[start - 1] <= same_shell:
        start -= 1
    end = limit
    while end < len(ascending) and ascending[end] - ascending[end - 1] <= same_shell:
        end += 1
    mine = distances[edges]
    within = mine < ascending[start]
    shell = np.flatnonzero(~within & (mine <= ascending[end - 1]))[: limit - start]
    return edges[np.sort(np.concatenate([np.flatnonzero(within), shell]))]


def batch(structures: Sequence[Structure], names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """The named input tensors of several structures, atoms, edges and bonds numbered consecutively."""
    atoms = np.cumsum([0] + [len(s.numbers) for s in structures])
    edges = np.cumsum([0] + [len(s.graph.centres) for s in structures])

    def joined(parts: Sequence[np.ndarray], dtype: type, axis: int = 0) -> np.ndarray:
        return np.ascontiguousarray(np.concatenate(parts, axis=axis), dtype=dtype)

    def bond_offsets() -> np.ndarray:
        return np.cumsum([0] + [len(s.graph.bond_to_edge) for s in structures])

    make = {
        "atomic_numbers": lambda: joined([s.numbers for s in structures], np.int64),
        "edge_index": lambda: joined(
            [np.stack([s.graph.centres, s.graph.neighbours]) + atoms[k] for k, s in enumerate(structures)],
            np.int64,
            axis=1,
        ),
        "edge_vectors": lambda: joined([s.graph.vectors for s in structures], np.float32),
        "structure_index": lambda: np.repeat(np.arange(len(structures), dtype=np.int64), np.diff(atoms)),
        "edge_to_bond": lambda: joined(
            [s.graph.edge_to_bond + b for s, b in zip(structures, bond_offsets()[:-1], strict=True)], np.int64
        ),
        "bond_to_edge": lambda: joined([s.graph.bond_to_edge + edges[k] for k, s in enumerate(structures)], np.int64),
        "angle_index": lambda: joined(
            [s.graph.angle_index + edges[k] for k, s in enumerate(structures)], np.int64, axis=1
        ),
    }
    return {name: make[name]() for name in names}
