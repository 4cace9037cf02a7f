"""Sums over the edges of an atom without a scatter of wide messages.

``index_add`` over messages of 2,000 numbers an edge is bound by memory, and ONNX Runtime's ``ScatterND(add)`` is not safe
with several threads. Here the edges of each group are gathered into a padded table, and the sum over them becomes the inner
dimension of a batched matrix product. Any order of edges, no edges and atoms without edges are fine.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class EdgeTable:
    """Edges by group, padded."""

    #: [n_groups, width] edge numbers; ``n_edges`` where there is none.
    edges: torch.Tensor
    #: [n_groups] the key of each group, ascending.
    keys: torch.Tensor

    def rows(self, values: torch.Tensor) -> torch.Tensor:
        """[n_edges, d] -> [n_groups, width, d], zeros where there is no edge."""
        return rows(torch.cat([values, values.new_zeros((1, values.shape[1]))]), self.edges)


def rows(values: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """[n, d] and int64 [...] -> [..., d]; one Gather, where indexing would be a GatherND."""
    return torch.nn.functional.embedding(indices, values)


def grouped(keys: torch.Tensor, n_keys: int | torch.SymInt, keep_empty: bool = False) -> EdgeTable:
    """Table of the edges by their key, int64 [n_edges] with 0 <= key < n_keys. Keys without edges have no row, unless
    ``keep_empty`` (then group = key).
    """
    n_edges = keys.shape[0]
    counts = torch.zeros(n_keys, dtype=torch.int64).index_add(0, keys, torch.ones_like(keys))
    present = torch.arange(n_keys) if keep_empty else torch.nonzero(counts).squeeze(1)
    degree = counts[present]
    width = torch.clamp(counts.max(), min=1).item()
    torch._check(width >= 1)
    order = torch.cat([torch.sort(keys)[1], torch.full((1,), n_edges, dtype=torch.int64)])
    column = torch.arange(width)
    slots = (torch.cumsum(degree, 0) - degree).unsqueeze(1) + column
    return EdgeTable(order[torch.where(column < degree.unsqueeze(1), slots, n_edges)], present)
