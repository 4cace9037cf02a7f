"""How far an exported graph is from the official code, in units of the RMS of the official embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .family import ExportError, Native


@dataclass(frozen=True)
class Deviation:
    """Over structures, of the largest absolute difference of each, in RMS of all reference values."""

    median: float
    max: float
    #: Root mean square of all differences, in RMS.
    rms: float
    #: Index of the structure with the largest.
    worst: int


def deviation(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> Deviation:
    """Compares embeddings structure by structure; both hold [n_atoms, d] arrays. A NaN counts as infinite."""
    for k, (have, want) in enumerate(zip(got, wanted, strict=True)):
        if have.shape != want.shape:
            raise ExportError(
                "parity_failed",
                f"structure {k}: the graph gives {list(have.shape)}, the official code {list(want.shape)}",
                "this is a defect of the family module",
            )
    differences = [
        np.nan_to_num(np.abs(have.astype(np.float64) - want), nan=np.inf)
        for have, want in zip(got, wanted, strict=True)
    ]
    rms = float(np.sqrt(np.mean(np.concatenate([np.square(want, dtype=np.float64).ravel() for want in wanted]))))
    largest = np.array([difference.max(initial=0) for difference in differences]) / rms
    spread = (
        float(np.sqrt(np.mean(np.concatenate([np.square(difference).ravel() for difference in differences])))) / rms
    )
    return Deviation(float(np.median(largest)), float(largest.max()), spread, int(largest.argmax()))


@dataclass(frozen=True)
class Gates:
    """Largest accepted deviations. The maxima have the size of the official codes' own float32 error on distorted crystals."""

    median: float = 2e-5
    max: float = 1e-3
    max_float64: float = 3e-4
    energy_mev_per_atom: float = 0.1


@dataclass(frozen=True)
class Parity:
    """Result of ``compare``."""

    float32: Deviation
    float64: Deviation | None
    #: The official float32 run against its own float64 run.
    native: Deviation | None
    #: Largest energy error; None without energies.
    energy_mev_per_atom: float | None

    def failures(self, gates: Gates) -> list[str]:
        """One sentence for each gate that does not hold."""
        found = []

        def gate(what: str, value: float | None, limit: float, unit: str) -> None:
            if value is not None and not value <= limit:
                found.append(f"{what} {value:.1e} {unit} is above {limit:g}")

        gate("median error against float32", self.float32.median, gates.median, "RMS")
        gate("largest error against float32", self.float32.max, gates.max, "RMS")
        gate("largest error against float64", self.float64.max if self.float64 else None, gates.max_float64, "RMS")
        gate("energy error", self.energy_mev_per_atom, gates.energy_mev_per_atom, "meV/atom")
        return found


def compare(
    embeddings: Sequence[np.ndarray],
    energies: Sequence[float] | None,
    native: Sequence[Native],
    native64: Sequence[Native] | None,
) -> Parity:
    """The graph's results for some structures against the official float32 and float64 runs. Energies are compared with the
    float64 run where there is one.
    """
    best = native64 or native
    energy = None
    if energies is not None and all(result.energy is not None for result in best):
        per_atom = [abs(have - want.energy) / len(want.embedding) for have, want in zip(energies, best, strict=True)]
        energy = 1000 * float(np.nan_to_num(np.array(per_atom), nan=np.inf).max())
    single = [result.embedding for result in native]
    double = [result.embedding for result in native64] if native64 else None
    return Parity(
        deviation(embeddings, single),
        deviation(embeddings, double) if double else None,
        deviation(single, double) if double else None,
        energy,
    )
