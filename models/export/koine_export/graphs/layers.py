"""Small layers that several families share, constants folded in float64."""

from __future__ import annotations

import torch

from .edges import rows


def constant(value) -> torch.Tensor:
    """A float64 result as a float32 constant."""
    return torch.as_tensor(value, dtype=torch.float64).detach().to(torch.float32).contiguous()


class Table(torch.nn.Module):
    """One row an element."""

    def __init__(self, values) -> None:
        super().__init__()
        self.register_buffer("values", constant(values), persistent=False)

    def forward(self, elements: torch.Tensor) -> torch.Tensor:
        return rows(self.values, elements)


class Matrix(torch.nn.Module):
    """Product with a constant matrix [n_in, n_out] on the last axis."""

    def __init__(self, values) -> None:
        super().__init__()
        self.register_buffer("values", constant(values), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.values


class Bessel(torch.nn.Module):
    """sqrt(2 / r_max) sin(w r) / r."""

    def __init__(self, basis) -> None:
        super().__init__()
        self.register_buffer("weights", constant(basis.bessel_weights), persistent=False)
        self.prefactor = float(basis.prefactor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x * self.weights) * (self.prefactor / x)


class Envelope(torch.nn.Module):
    """Polynomial that goes from 1 at 0 to 0 at r_max, whole power p; by multiplications, since Pow is slow."""

    def __init__(self, r_max: float, p: int) -> None:
        super().__init__()
        self.r_max, self.p = r_max, p

    def forward(self, lengths: torch.Tensor, r_max: torch.Tensor | None = None) -> torch.Tensor:
        x = lengths * (1 / self.r_max) if r_max is None else lengths / r_max
        p = self.p
        power = x
        for bit in bin(p)[3:]:
            power = power * power * x if bit == "1" else power * power
        value = 1 + power * (-(p + 1) * (p + 2) / 2 + x * (p * (p + 2) - x * (p * (p + 1) / 2)))
        return torch.where(x < 1, value, torch.zeros_like(value))
