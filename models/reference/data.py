"""The data recipe of the reference potentials: which DFT frames, which part each belongs to, and their neighbour lists.

Frames come from the benchmark files of MatterSim (see `SUBSETS`). Dropped: frames with a force component above
`LARGEST_FORCE` (they would own the loss) and frames with an atom that has no neighbour. The rest are split by reduced
formula, so that no chemistry of the test part was seen in training.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SUBSETS = (
    "alexandria-random-1k",
    "mptrj-random-1k",
    "mptrj-highest-stress-1k",
    "mpf-TP",
    "mpf-alkali-TP",
    "random-TP",
)
"""Files of the data folder, without `.xyz.gz`; a frame's `subset` is an index into this."""

FORCE_BEARING = ("mptrj-highest-stress-1k", "mpf-TP", "mpf-alkali-TP", "random-TP")
"""Subsets far from equilibrium; in the other two the atoms are near rest and zero is a good guess of every force."""

PARTS = ("train", "validation", "test")
VALIDATION_SHARE, TEST_SHARE = 0.08, 0.12
LARGEST_FORCE = 25.0
"""eV/Å; the 111 frames above it are a fiftieth of the data and would be most of its squared force."""


@dataclass(frozen=True)
class Frames:
    """Structures with DFT labels and the neighbour list of one cutoff; atoms and edges of all frames lie in a row.

    Frame f owns atoms `atom_offsets[f]:atom_offsets[f + 1]` and edges `edge_offsets[f]:edge_offsets[f + 1]`.
    """

    atomic_numbers: np.ndarray
    """int64 [n_atoms]"""
    forces: np.ndarray
    """float32 [n_atoms, 3], eV/Å"""
    energies: np.ndarray
    """float64 [n_frames], total DFT energy in eV"""
    edge_index: np.ndarray
    """int32 [2, n_edges]: centre and neighbour, numbered within the frame"""
    edge_vectors: np.ndarray
    """float32 [n_edges, 3], Å: from centre to neighbour"""
    atom_offsets: np.ndarray
    """int64 [n_frames + 1]"""
    edge_offsets: np.ndarray
    """int64 [n_frames + 1]"""
    subset: np.ndarray
    """int64 [n_frames], index into `SUBSETS`"""
    part: np.ndarray
    """int64 [n_frames], index into `PARTS`"""
    source_index: np.ndarray
    """int64 [n_frames], the frame's number in its file"""

    def __len__(self) -> int:
        return len(self.energies)

    def select(self, part: str, subsets: tuple[str, ...] = SUBSETS) -> np.ndarray:
        """Numbers of the frames of one part that come from some subsets, int64 [n]."""
        wanted = [SUBSETS.index(name) for name in subsets]
        return np.flatnonzero((self.part == PARTS.index(part)) & np.isin(self.subset, wanted))

    def zero_force_errors(self) -> np.ndarray:
        """Mean absolute force component of each frame, eV/Å [n_frames]: the error of the guess zero."""
        per_atom = np.abs(self.forces).mean(axis=1)
        return np.add.reduceat(per_atom, self.atom_offsets[:-1]) / np.diff(self.atom_offsets)

    def composition(self, frames: np.ndarray) -> np.ndarray:
        """Atoms of each element in each frame, float64 [n, 119], column = atomic number."""
        counts = np.zeros((len(frames), 119))
        for row, frame in enumerate(frames):
            numbers = self.atomic_numbers[self.atom_offsets[frame] : self.atom_offsets[frame + 1]]
            counts[row] = np.bincount(numbers, minlength=119)
        return counts

    def elements(self, frames: np.ndarray) -> list[int]:
        """Atomic numbers that occur in some frames, ascending."""
        return [int(z) for z in np.flatnonzero(self.composition(frames).sum(axis=0))]


def cache_folder() -> Path:
    """Where neighbour lists and checkpoints are kept: `KOINE_CACHE_DIR`, else the XDG cache, `/reference`."""
    base = os.environ.get("KOINE_CACHE_DIR")
    if base is None:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "koine"
    folder = Path(base) / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load_frames(folder: Path, cutoff: float, max_neighbours: int | None = None) -> Frames:
    """Reads the data files, drops and splits frames, builds neighbour lists; kept in the cache folder.

    :param folder: holds `<subset>.xyz.gz` for every one of `SUBSETS`
    :param cutoff: Å; every directed edge with 0 < |v| <= cutoff
    :param max_neighbours: keep only this many nearest neighbours of each atom
    :raises FileNotFoundError: naming the first file that is missing
    """
    digest = hashlib.sha256(f"3 {cutoff} {max_neighbours}".encode())
    for subset in SUBSETS:
        path = folder / f"{subset}.xyz.gz"
        if not path.is_file():
            raise FileNotFoundError(
                f"reference/data: {path} is missing; give the folder of the MatterSim frames by --data"
            )
        digest.update(path.read_bytes())
    kept = cache_folder() / f"frames-{digest.hexdigest()[:16]}.npz"
    if not kept.is_file():
        frames = _build_frames(folder, cutoff, max_neighbours)
        aside = kept.with_suffix(f".{os.getpid()}.npz")
        np.savez(aside, **vars(frames))
        aside.replace(kept)
    with np.load(kept) as arrays:
        return Frames(**{name: arrays[name] for name in arrays.files})


def part_by_formula(formulas: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Train, validation or test for each formula: its hash decides, so order and number of frames do not matter.

    A formula with an element that no training formula has goes to the training part, where the element can be learned.

    :param formulas: reduced formula -> its atomic numbers
    """
    shares = {formula: _share(formula) for formula in formulas}
    parts = {
        formula: "test" if share < TEST_SHARE else "validation" if share < TEST_SHARE + VALIDATION_SHARE else "train"
        for formula, share in shares.items()
    }
    known = {z for formula, part in parts.items() if part == "train" for z in formulas[formula]}
    for formula in sorted(formulas, key=shares.__getitem__, reverse=True):
        if not known.issuperset(formulas[formula]):
            parts[formula] = "train"
            known.update(formulas[formula])
    return parts


def reference_energies(composition: np.ndarray, energies: np.ndarray, iterations: int = 60) -> np.ndarray:
    """Energy per element, eV, fitted to energies per atom by least absolute deviations (iteratively reweighted).

    Least squares would follow the compressed frames at high pressure: its mean absolute error on unseen formulas is a
    fifth larger.

    :param composition: float64 [n_frames, 119]
    :param energies: float64 [n_frames], eV
    :returns: float64 [119], 0 for elements that do not occur
    """
    atoms = composition.sum(axis=1)
    fractions = composition / atoms[:, None]
    target = energies / atoms
    weights = np.ones(len(target))
    fitted = np.zeros(composition.shape[1])
    # A thousandth of a frame pulls each element towards the mean of all: it decides only what the data leave open.
    ridge, mean = 1e-3, float(np.median(target))
    present = fractions.sum(axis=0) > 0
    for _ in range(iterations):
        weighted = fractions[:, present] * weights[:, None]
        normal = weighted.T @ fractions[:, present] + ridge * np.eye(int(present.sum()))
        fitted[present] = np.linalg.solve(normal, weighted.T @ target + ridge * mean)
        weights = 1.0 / np.maximum(np.abs(target - fractions @ fitted), 0.05)
    return fitted


def _share(formula: str) -> float:
    """Uniform in [0, 1), from the formula alone."""
    return int.from_bytes(hashlib.sha256(f"koine reference split: {formula}".encode()).digest()[:8], "big") / 2.0**64


def _build_frames(folder: Path, cutoff: float, max_neighbours: int | None) -> Frames:
    import ase.io

    atoms_of: list[tuple[int, int, str, object]] = []
    formulas: dict[str, tuple[int, ...]] = {}
    for subset, name in enumerate(SUBSETS):
        text = gzip.decompress((folder / f"{name}.xyz.gz").read_bytes()).decode()
        for number, atoms in enumerate(ase.io.read(io.StringIO(text), ":", format="extxyz")):
            if np.abs(atoms.get_forces()).max() > LARGEST_FORCE:
                continue
            formula = atoms.symbols.formula.reduce()[0].format("hill")
            formulas[formula] = tuple(sorted({int(z) for z in atoms.numbers}))
            atoms_of.append((subset, number, formula, atoms))
    parts = part_by_formula(formulas)

    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("atomic_numbers", "forces", "edge_index", "edge_vectors")
    }
    energies, subsets, part_of, numbers = [], [], [], []
    for subset, number, formula, atoms in atoms_of:
        edge_index, edge_vectors = neighbour_list(atoms, cutoff, max_neighbours)
        if len(np.unique(edge_index[0])) < len(atoms):
            continue
        columns["atomic_numbers"].append(atoms.numbers.astype(np.int64))
        columns["forces"].append(atoms.get_forces().astype(np.float32))
        columns["edge_index"].append(edge_index.astype(np.int32))
        columns["edge_vectors"].append(edge_vectors.astype(np.float32))
        energies.append(atoms.get_potential_energy())
        subsets.append(subset)
        part_of.append(PARTS.index(parts[formula]))
        numbers.append(number)

    def offsets(lengths: list[int]) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    return Frames(
        atomic_numbers=np.concatenate(columns["atomic_numbers"]),
        forces=np.concatenate(columns["forces"]),
        energies=np.array(energies),
        edge_index=np.concatenate(columns["edge_index"], axis=1),
        edge_vectors=np.concatenate(columns["edge_vectors"]),
        atom_offsets=offsets([len(z) for z in columns["atomic_numbers"]]),
        edge_offsets=offsets([len(v) for v in columns["edge_vectors"]]),
        subset=np.array(subsets),
        part=np.array(part_of),
        source_index=np.array(numbers),
    )


def neighbour_list(atoms: object, cutoff: float, max_neighbours: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Every directed edge with 0 < |v| <= cutoff of a periodic structure.

    :param atoms: an `ase.Atoms`
    :returns: int64 [2, n_edges] centre and neighbour, sorted by centre; float64 [n_edges, 3] vectors in Å
    """
    from matscipy.neighbours import neighbour_list as matscipy_neighbour_list

    centre, neighbour, vectors = matscipy_neighbour_list(
        "ijD", positions=atoms.positions, cell=np.asarray(atoms.cell), pbc=atoms.pbc, cutoff=cutoff
    )
    length = np.linalg.norm(vectors, axis=1)
    # Equal distances differ by rounding; 1e-6 Å apart counts as one shell, and the neighbour's number decides within it.
    order = np.lexsort((neighbour, np.round(length, 6), centre))
    if max_neighbours is not None:
        first = np.searchsorted(centre[order], np.arange(len(atoms)))
        order = order[np.arange(len(order)) - first[centre[order]] < max_neighbours]
    return np.stack([centre[order], neighbour[order]]).astype(np.int64), vectors[order]
