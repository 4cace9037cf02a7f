"""The protocol between the harness and a family of potentials.

A family is a module ``koine_export.families.<name>`` with one function ``load(request) -> Exported``. It reads weights
through the *official* package's loader (``request.official`` is a name that the loader knows, ``request.checkpoint`` a file
in the official format, one of the two is given), and returns

* ``module``: a ``torch.nn.Module``, float32, in ``eval`` mode, whose ``forward`` takes the tensors named in ``inputs``, in
  that order, and returns a tuple of the tensors named in ``outputs``. It must accept any number of atoms, edges and
  structures and, unless the facts say ``isolated_atoms='reject'``, no edges at all. Atoms of a structure must not see those
  of another. Where torch's exporter does badly, ``module`` may be a function that returns an ``onnx.ModelProto`` instead.
* ``facts``: what the card says about the potential.
* ``native``: the official code path on given structures, in float32 or float64: the truth that the graph is compared with.
  A float64 run must use float64 weights and positions throughout; leave ``'float64'`` out of ``precisions`` if the package
  has no such thing. Results are per structure, atoms in the order of ``structure.numbers``.

Tensors, shapes and units are koine's contract (``INPUTS``):

===================  =====================  =================================================================================
atomic_numbers       int64 [n_atoms]        Z
edge_index           int64 [2, n_edges]     row 0 = centre i, row 1 = neighbour j, numbered over the batch; both directions
edge_vectors         float32 [n_edges, 3]   r_j + S·cell - r_i in Å
structure_index      int64 [n_atoms]        only if the network asks
edge_to_bond         int64 [n_edges]        bond {(i, j, S), (j, i, -S)} of each edge
bond_to_edge         int64 [n_bonds]        either edge of each bond
angle_index          int64 [2, n_angles]    ordered pairs of different edges with one centre, both within the angle cutoff
===================  =====================  =================================================================================

A family calls ``request.checked(path)`` on the weights file before it reads it.

Outputs: ``node_embedding`` float32 [n_atoms, d], first; then, where the potential has one, ``node_energy`` float32 [n_atoms],
whose sum over a structure is the total energy in eV, offsets included.

What the official packages print belongs on stderr; the harness moves stdout away before it calls a family. Errors that a user
can mend are raised as ``ExportError``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from .crystals import Cutoffs, Structure

if TYPE_CHECKING:
    import onnx
    import torch

Precision = Literal["float32", "float64"]

#: Inputs of the contract: element type, shape with symbolic sizes.
INPUTS: Mapping[str, tuple[str, tuple[int | str, ...]]] = {
    "atomic_numbers": ("int64", ("n_atoms",)),
    "edge_index": ("int64", (2, "n_edges")),
    "edge_vectors": ("float32", ("n_edges", 3)),
    "structure_index": ("int64", ("n_atoms",)),
    "edge_to_bond": ("int64", ("n_edges",)),
    "bond_to_edge": ("int64", ("n_bonds",)),
    "angle_index": ("int64", (2, "n_angles")),
}

ErrorCode = Literal["weights_unavailable", "unsupported_layer", "bad_checkpoint", "parity_failed", "export_failed"]


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ExportError(Exception):
    """A failure with a stable code, what happened, and what the user can do about it."""

    def __init__(self, code: ErrorCode, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    #: Name that the official loader knows; None where a checkpoint is given.
    official: str | None
    #: File in the official format; None where an official name is given.
    checkpoint: Path | None
    #: Embedding layer in the family's words; None = the family's default.
    layer: str | None = None
    #: Further settings of the family, ``--set key=value``.
    settings: Mapping[str, str] = field(default_factory=dict)
    #: Says on stdout what happens, one line at a time.
    progress: Callable[[str], None] = lambda line: None
    #: SHA-256 that the catalog pins for the weights, if it does.
    pinned_sha256: str | None = None

    def checked(self, weights: Path) -> Path:
        """Says the SHA-256 of a weights file and compares it with the pinned one. To be called before the file is read: a
        pickled checkpoint runs code of its own.
        """
        digest = sha256(weights)
        self.progress(f"{weights.name}: SHA-256 {digest}")
        if self.pinned_sha256 not in (None, digest):
            raise ExportError(
                "bad_checkpoint",
                f"{weights.name} has SHA-256 {digest}, but the catalog pins {self.pinned_sha256}",
                "delete the file and download it again; if its authors replaced it, add it as a model of your own with --checkpoint",
            )
        return weights

    def setting(self, name: str, allowed: Sequence[str] | None = None) -> str | None:
        """Value of a setting, or None. Raises ``ExportError`` if it is not among ``allowed``."""
        value = self.settings.get(name)
        if value is not None and allowed is not None and value not in allowed:
            raise ExportError(
                "bad_checkpoint", f"--set {name}={value}: there are {', '.join(allowed)}", "give one of them"
            )
        return value


@dataclass(frozen=True)
class Native:
    """What the official code gives for one structure."""

    #: [n_atoms, d]
    embedding: np.ndarray
    #: Total energy in eV; None where the layer or the potential gives none.
    energy: float | None = None


@dataclass(frozen=True)
class Facts:
    """What a card says about a potential; names and units as in ``card.json``."""

    family: str
    name: str
    package: str
    package_version: str
    equivariant: bool
    conservative: bool
    parameters: int
    cutoff_angstrom: float
    #: Atomic numbers that the network was built for.
    elements: Sequence[int]
    #: Which features of which layer the embedding is, in words.
    layer: str
    dim: int
    #: Whether the embedding is meant to be invariant under rotation.
    invariant: bool
    #: The file that the official loader read; its name and digest go to the card.
    weights_file: Path | None = None
    max_neighbours: int | None = None
    angle_cutoff_angstrom: float | None = None
    isolated_atoms: Literal["accept", "reject"] = "accept"
    random_weights: bool = False
    #: Used where the catalog entry does not say.
    licence: str = "not stated; see the source of the checkpoint"
    training_data: str | None = None
    functional: str | None = None
    #: What the sum of ``node_energy`` is: ``quantity`` 'total', 'cohesive' or 'formation', and whether offsets of the elements are in.
    energy_quantity: Literal["total", "cohesive", "formation"] = "total"
    #: Largest error accepted when parity is checked, where the official graph can't be reproduced edge for edge; None = the usual gates.
    tolerance: float | None = None

    @property
    def cutoffs(self) -> Cutoffs:
        """What a crystal's graph is made by."""
        return Cutoffs(self.cutoff_angstrom, self.max_neighbours, self.angle_cutoff_angstrom)


@dataclass(frozen=True)
class Exported:
    """A loaded potential, ready for the harness."""

    module: torch.nn.Module | Callable[[], onnx.ModelProto]
    facts: Facts
    #: The official code path: ``native(structures, precision)`` gives one result a structure, in order.
    native: Callable[[Sequence[Structure], Precision], Sequence[Native]]
    #: Inputs of the contract that ``forward`` takes, in its order.
    inputs: Sequence[str] = ("atomic_numbers", "edge_index", "edge_vectors")
    #: Outputs in the order of the tuple that ``forward`` returns; the first is ``node_embedding``.
    outputs: Sequence[str] = ("node_embedding",)
    precisions: Sequence[Precision] = ("float32", "float64")


class Family(Protocol):
    """A module of ``koine_export.families``."""

    def load(self, request: Request) -> Exported:
        """Loads the official weights and wraps them."""
