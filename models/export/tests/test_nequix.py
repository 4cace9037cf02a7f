"""koine's graph of Nequix against the official JAX code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nequix")

import jax  # after the family: it chooses JAX's platform
import torch
from conftest import in_torch, largest_difference, largest_energy_difference, structures_of
from nequix.model import Nequix, save_model

from koine_export import harness
from koine_export.crystals import batch
from koine_export.families import nequix
from koine_export.family import Exported, ExportError, Request

NUMBERS = [2, 8, 11, 14, 16, 17, 22, 26, 29, 30, 82]


def checkpoint(path: Path, **options) -> Path:
    """A small model with random weights, saved as nequix saves a fine-tuned one."""
    config = {
        "atomic_numbers": NUMBERS,
        "hidden_irreps": "8x0e + 4x1o + 2x2e",
        "lmax": 2,
        "cutoff": 4.5,
        "n_layers": 3,
        "radial_basis_size": 4,
        "radial_mlp_size": 8,
        "radial_mlp_layers": 1,
        "radial_polynomial_p": 6.0,
        "mlp_init_scale": 4.0,
        "index_weights": False,
        "layer_norm": True,
        "shift": -1.5,
        "scale": 0.8,
        "avg_n_neighbors": 20.0,
    } | options
    arguments = {key: value for key, value in config.items() if key != "atomic_numbers"}
    model = Nequix(
        jax.random.key(7), n_species=len(NUMBERS), atom_energies=np.linspace(-3, -1, len(NUMBERS)).tolist(), **arguments
    )
    save_model(str(path), model, config)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Exported:
    return nequix.load(Request(None, checkpoint(tmp_path_factory.mktemp("nequix") / "small.nqx")))


def test_batched_crystals_get_what_nequix_gives(model, crystals):
    structures = structures_of(model, crystals, *crystals)
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures), wanted) < 2e-5
    assert largest_energy_difference(in_torch(model, structures), wanted) < 1e-4


def test_a_layer_may_lack_the_norm(tmp_path, crystals):
    plain = nequix.load(
        Request(None, checkpoint(tmp_path / "plain.nqx", layer_norm=False, hidden_irreps="6x0e + 3x1o", n_layers=2))
    )
    structures = structures_of(plain, crystals, "salt", "copper")
    assert largest_difference(in_torch(plain, structures), plain.native(structures, "float32")) < 2e-5


def test_the_order_of_edges_does_not_matter(model, crystals):
    given = batch(structures_of(model, crystals, "salt", "copper"), model.inputs)
    order = np.random.default_rng(0).permutation(given["edge_index"].shape[1])
    shuffled = {**given, "edge_index": given["edge_index"][:, order], "edge_vectors": given["edge_vectors"][order]}
    with torch.no_grad():
        one, other = (model.module(*map(torch.from_numpy, tensors.values()))[0] for tensors in (given, shuffled))
    assert (one - other).abs().max() < 1e-5 * one.square().mean().sqrt()


def test_the_exported_graph_passes_the_gates_and_runs_without_edges(model, crystals):
    report = harness.measure(model, [*crystals.items()])
    assert report.parity.failures(harness.Gates()) == []
    assert report.invariance.rotation < 1e-4 and report.invariance.inversion < 1e-4
    alone = structures_of(model, crystals, "alone")
    assert largest_difference(report.encoder.embed(alone), model.native(alone, "float64")) < 1e-5


def test_what_is_no_nequix_checkpoint_is_named(tmp_path):
    for name, content in (("notes.nqx", b"not a checkpoint"), ("short.nqx", b""), ("other.nqx", b"{}\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ExportError, match=f"{name} is not a Nequix checkpoint") as error:
            nequix.load(Request(None, tmp_path / name))
        assert error.value.code == "bad_checkpoint" and error.value.remedy


def test_weights_that_cannot_be_fetched_say_where_they_were_looked_for(monkeypatch):
    def offline(name, **options):
        raise OSError("name resolution failed")

    with pytest.raises(ExportError, match="no model 'nequix-0'") as unknown:
        nequix.load(Request("nequix-0", None))
    assert "nequix-mp-1" in unknown.value.remedy
    monkeypatch.setattr(nequix, "from_pretrained", offline)
    with pytest.raises(ExportError, match="name resolution failed") as error:
        nequix.load(Request("nequix-mp-1", None))
    assert error.value.code == "weights_unavailable" and "--checkpoint" in error.value.remedy
