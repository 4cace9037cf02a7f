"""Real spherical harmonics and coupling coefficients in e3nn's conventions, as constants for a graph."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch


class SphericalHarmonics(torch.nn.Module):
    """All Y_lm up to ``lmax`` as polynomials of a vector: the monomials x^a y^b z^c of degree <= lmax times one constant matrix.

    The coefficients are those of ``reference``, the harmonics of the official package, solved for in float64: so any order of
    components, sign and normalisation is right by construction.
    """

    def __init__(self, lmax: int, reference) -> None:
        """``reference`` maps float64 [n, 3] to [n, (lmax + 1)^2] and is homogeneous of degree l in block l."""
        super().__init__()
        self.lmax = lmax
        exponents = [e for degree in range(lmax + 1) for e in itertools.combinations_with_replacement(range(3), degree)]
        self.factors: list[tuple[torch.Tensor, torch.Tensor]] = []
        position = {e: k for k, e in enumerate(exponents)}
        for degree in range(2, lmax + 1):
            block = [e for e in exponents if len(e) == degree]
            start = position[next(e for e in exponents if len(e) == degree - 1)]
            left = torch.tensor([position[e[:-1]] - start for e in block])
            right = torch.tensor([e[-1] for e in block])
            self.register_buffer(f"left_{degree}", left, persistent=False)
            self.register_buffer(f"right_{degree}", right, persistent=False)
        points = np.random.default_rng(0).normal(size=(8 * len(exponents), 3))
        wanted = np.asarray(reference(torch.from_numpy(points)), dtype=np.float64)
        monomials = np.stack(
            [np.prod(points[:, list(e)], axis=1) if e else np.ones(len(points)) for e in exponents], axis=1
        )
        coefficients = np.zeros((len(exponents), wanted.shape[1]))
        for l in range(lmax + 1):
            rows = [k for k, e in enumerate(exponents) if len(e) == l]
            columns = slice(l * l, (l + 1) ** 2)
            solution, *_ = np.linalg.lstsq(monomials[:, rows], wanted[:, columns], rcond=None)
            worst = np.abs(monomials[:, rows] @ solution - wanted[:, columns]).max()
            assert worst < 1e-9 * max(1.0, np.abs(wanted).max()), (
                f"harmonics of degree {l} are not homogeneous polynomials ({worst:.1e})"
            )
            solution[np.abs(solution) < 1e-12] = 0
            coefficients[rows, columns] = solution
        self.register_buffer("coefficients", torch.tensor(coefficients, dtype=torch.float32), persistent=False)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """[n, 3] -> [n, (lmax + 1)^2]; give unit vectors where the official code normalises."""
        powers = [torch.ones_like(vectors[:, :1]), vectors]
        for degree in range(2, self.lmax + 1):
            powers.append(powers[-1][:, getattr(self, f"left_{degree}")] * vectors[:, getattr(self, f"right_{degree}")])
        return torch.cat(powers[: self.lmax + 1], dim=1) @ self.coefficients


def monomials(tensor: np.ndarray, n_variables: int, degree: int) -> dict[tuple[int, ...], np.ndarray]:
    """A tensor [i_1, ..., i_degree, ...] contracted with the same vector in each of its first ``degree`` axes, as a polynomial:
    sorted index tuple -> coefficients, zeros left out.
    """
    found: dict[tuple[int, ...], np.ndarray] = {}
    for index in zip(
        *np.nonzero(np.abs(tensor).reshape(*(n_variables,) * degree, -1).max(axis=-1) > 1e-12), strict=True
    ):
        key = tuple(sorted(int(i) for i in index))
        found[key] = found.get(key, 0) + tensor[tuple(index)]
    return {key: value for key, value in sorted(found.items()) if np.abs(value).max() > 1e-12}


def blocks(irreps: Sequence[tuple[int, tuple[int, int]]]) -> list[tuple[slice, int, int]]:
    """(columns, multiplicity, l) of each block of e3nn's irreps."""
    found, start = [], 0
    for multiplicity, (l, _) in irreps:
        found.append((slice(start, start + multiplicity * (2 * l + 1)), multiplicity, l))
        start += multiplicity * (2 * l + 1)
    return found
