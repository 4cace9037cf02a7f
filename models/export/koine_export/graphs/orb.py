"""The graph network of Orb-v3 (Rhodes et al., arXiv 2504.06231) up to a chosen block, with weights read from orb-models' module.

What differs from the official forward, all of it exact:

* The first layer of an edge's network acts on [edge, sender, receiver]; here the two node parts are multiplied once an atom and
  gathered afterwards, which saves a quarter of all multiplications.
* The encoder of nodes sees the element alone: it is a table, made by the official module.
* Nothing is computed that only later blocks or the heads need.
"""

from __future__ import annotations

import torch

from .angular import SphericalHarmonics
from .edges import rows
from .layers import Bessel, Envelope, Table, constant


class Affine(torch.nn.Module):
    """x W + b for a part of the inputs of an ``nn.Linear``."""

    def __init__(self, linear: torch.nn.Linear, columns: slice = slice(None), bias: bool = True) -> None:
        super().__init__()
        self.register_buffer("weight", constant(linear.weight[:, columns]), persistent=False)
        self.register_buffer("bias", constant(linear.bias) if bias else None, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight, self.bias)


class Tail(torch.nn.Module):
    """An MLP after its first linear layer: activation, the other layers, RMS norm."""

    def __init__(self, sequential) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Affine(layer) for layer in _linears(sequential)[1:])
        self.register_buffer("scale", constant(sequential.layer_norm.weight), persistent=False)
        self.epsilon = sequential.layer_norm.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(torch.nn.functional.silu(x))
        return x * torch.rsqrt(torch.mean(x * x, dim=1, keepdim=True) + self.epsilon) * self.scale


def _linears(sequential) -> list[torch.nn.Linear]:
    return [layer for layer in sequential.mlp if isinstance(layer, torch.nn.Linear)]


class Block(torch.nn.Module):
    """One message-passing step; the last one need not update the edges."""

    def __init__(self, block, last: bool) -> None:
        super().__init__()
        d = block.latent_dim
        first = _linears(block._edge_mlp)[0]
        self.of_edges = Affine(first, slice(0, d))
        self.of_senders = Affine(first, slice(d, 2 * d), bias=False)
        self.of_receivers = Affine(first, slice(2 * d, 3 * d), bias=False)
        self.edge_tail = Tail(block._edge_mlp)
        self.node_head = Affine(_linears(block._node_mlp)[0])
        self.node_tail = Tail(block._node_mlp)
        gates = (block._send_attn, block._receive_attn)
        self.register_buffer("gate_weight", constant(torch.cat([gate.weight for gate in gates])), persistent=False)
        self.register_buffer("gate_bias", constant(torch.cat([gate.bias for gate in gates])), persistent=False)
        self.last = last

    def forward(
        self,
        nodes: torch.Tensor,
        edges: torch.Tensor,
        senders: torch.Tensor,
        receivers: torch.Tensor,
        cutoff: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gates = torch.sigmoid(torch.nn.functional.linear(edges, self.gate_weight, self.gate_bias)) * cutoff
        inner = self.of_edges(edges) + rows(self.of_senders(nodes), senders) + rows(self.of_receivers(nodes), receivers)
        update = self.edge_tail(inner)
        sent = torch.zeros_like(nodes).index_add(0, senders, update * gates[:, 0:1])
        received = torch.zeros_like(nodes).index_add(0, receivers, update * gates[:, 1:2])
        nodes = nodes + self.node_tail(self.node_head(torch.cat([nodes, received, sent], dim=1)))
        return nodes, edges if self.last else edges + update


class OrbEncoder(torch.nn.Module):
    """Node features after ``n_blocks`` blocks; 0 gives those of the encoder. ``network``: a ``MoleculeGNS`` in float64, its norms' eps set."""

    def __init__(self, network, n_blocks: int) -> None:
        super().__init__()
        elements = torch.arange(network.atom_emb.embeddings.num_embeddings)
        self.nodes = Table(network._encoder._node_fn(network.atom_emb(elements)))
        self.harmonics = SphericalHarmonics(network.angular_transform._lmax, lambda x: _harmonics(network, x))
        self.basis = Bessel(network.rbf_transform)
        self.envelope = Envelope(6.0, 4)  # `get_cutoff` of orb-models is written with these numbers
        self.edge_head = Affine(_linears(network._encoder._edge_fn)[0])
        self.edge_tail = Tail(network._encoder._edge_fn)
        self.blocks = torch.nn.ModuleList(
            Block(block, k + 1 == n_blocks) for k, block in enumerate(list(network.gnn_stacks)[:n_blocks])
        )

    def forward(
        self, atomic_numbers: torch.Tensor, edge_index: torch.Tensor, edge_vectors: torch.Tensor
    ) -> tuple[torch.Tensor]:
        nodes = self.nodes(atomic_numbers)
        if len(self.blocks) == 0:
            return (nodes,)
        senders, receivers = edge_index[0], edge_index[1]
        lengths = torch.sqrt((edge_vectors * edge_vectors).sum(dim=1, keepdim=True))
        cutoff = self.envelope(lengths)
        angular = self.harmonics(edge_vectors / lengths)
        features = ((self.basis(lengths) * cutoff).unsqueeze(2) * angular.unsqueeze(1)).flatten(1)
        edges = self.edge_tail(self.edge_head(features))
        for block in self.blocks:
            nodes, edges = block(nodes, edges, senders, receivers, cutoff)
        return (nodes,)


def _harmonics(network, points: torch.Tensor) -> torch.Tensor:
    """The network's harmonics of unit vectors, made homogeneous: r^l Y_l."""
    lengths = points.norm(dim=1, keepdim=True)
    degrees = torch.cat([torch.full((2 * l + 1,), l) for l in range(network.angular_transform._lmax + 1)])
    return network.angular_transform(points) * lengths**degrees
