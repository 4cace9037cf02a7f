"""koine's graph of CHGNet against the official package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("chgnet")

import torch
from chgnet.model import CHGNet
from conftest import in_torch, largest_difference, largest_energy_difference, structures_of

from koine_export import harness
from koine_export.crystals import structure
from koine_export.families import chgnet
from koine_export.family import Exported, ExportError, Request

WITH_EDGES = ("copper", "silicon", "salt", "sulphide", "iron", "thin")


def checkpoint(path: Path, **options) -> Path:
    """A small model with random weights in the format of ``CHGNet.from_file``, as the package's trainer writes it."""
    torch.manual_seed(5)
    small = {
        "atom_fea_dim": 8,
        "bond_fea_dim": 12,
        "angle_fea_dim": 10,
        "atom_conv_hidden_dim": 6,
        "bond_conv_hidden_dim": 7,
    }
    basis = {"num_radial": 5, "num_angular": 7, "n_conv": 3, "mlp_hidden_dims": (8, 8)}
    model = CHGNet(**{**small, **basis, **options})
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.1 * torch.randn_like(weights)
    torch.save({"model": model.as_dict(), "optimizer": {}, "trainer_args": {}}, path)
    return path


def loaded(path: Path, layer: str | None = None) -> Exported:
    return chgnet.load(Request(None, path, layer))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mlp_out_bias": True, "gMLP_norm": None, "readout_norm": None, "atom_graph_cutoff": 5},
        {"update_angle": False},
        {"update_bond": False},
        {"composition_model": None, "angle_layer_hidden_dim": 9},
    ],
)
def test_batched_crystals_get_what_the_official_model_gives_each_alone(tmp_path, crystals, options):
    model = loaded(checkpoint(tmp_path / "model.pth.tar", **options))
    structures = structures_of(model, crystals, *WITH_EDGES)
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures, double=True), wanted) < 3e-6
    assert largest_energy_difference(in_torch(model, structures, double=True), wanted) < 1e-5
    assert largest_difference(in_torch(model, structures), model.native(structures, "float32")) < 3e-5


def test_version_020_beside_another_crystal_keeps_the_value_it_has_alone(crystals):
    model = chgnet.load(Request("0.2.0", None))
    assert "structure_index" in model.inputs
    structures = structures_of(
        model, crystals, "lead", "silicon"
    )  # lead has no angles: the official batch moves it by 0.1 eV
    together, wanted = in_torch(model, structures), model.native(structures, "float64")
    assert largest_difference(together, wanted) < 1e-4
    assert largest_energy_difference(together, wanted) < 1e-4
    assert largest_difference(in_torch(model, structures[:1]), wanted[:1]) < 1e-4


@pytest.mark.parametrize("name", ["0.3.0", "r2scan"])
def test_published_weights_give_the_official_energies_and_embeddings(crystals, name):
    model = chgnet.load(Request(name, None))
    structures = structures_of(model, crystals, *WITH_EDGES)
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures), wanted) < 1e-4
    assert largest_energy_difference(in_torch(model, structures), wanted) < 1e-4
    assert model.facts.dim == 64 and model.facts.parameters == 412_525


@pytest.mark.parametrize("layer", ["0", "1"])
def test_any_block_can_be_the_embedding_and_only_the_last_brings_the_energy(tmp_path, crystals, layer):
    model = loaded(checkpoint(tmp_path / "model.pth.tar"), layer)
    structures = structures_of(model, crystals, "salt", "thin")
    assert largest_difference(in_torch(model, structures, double=True), model.native(structures, "float64")) < 3e-6
    assert ("node_energy" in model.outputs) == (layer == "1")


def test_rotation_changes_nothing(tmp_path, crystals):
    model = loaded(checkpoint(tmp_path / "model.pth.tar"))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = crystals["salt"].copy()
    turned.set_cell(turned.cell.array @ turn.T)
    turned.positions = turned.positions @ turn.T
    rotated = in_torch(model, [structure("turned", turned, model.facts.cutoffs)], double=True)
    assert largest_difference(rotated, in_torch(model, structures_of(model, crystals, "salt"), double=True)) < 1e-5


def test_the_exported_graph_passes_the_gates_and_runs_without_angles_and_edges(tmp_path, crystals):
    model = loaded(checkpoint(tmp_path / "model.pth.tar", mlp_out_bias=True))
    report = harness.measure(model, [*crystals.items()])
    assert report.parity.failures(harness.Gates()) == []
    assert list(report.left_out) == ["alone"]  # as the package refuses isolated atoms
    empty = structures_of(model, crystals, "alone", "copper")
    assert np.isfinite(report.encoder.embed(empty[:1])[0].embedding).all()
    apart = report.encoder.embed(report.structures, batch_atoms=1)
    assert largest_difference(report.encoder.embed(report.structures), apart) < 1e-5


def test_weights_that_are_not_there_or_not_chgnet_are_named(tmp_path):
    with pytest.raises(ExportError, match=r"no model '0.9.9'") as missing:
        chgnet.load(Request("0.9.9", None))
    assert missing.value.code == "weights_unavailable" and "0.3.0" in missing.value.remedy
    (tmp_path / "notes.pth.tar").write_text("not a checkpoint")
    with pytest.raises(ExportError, match=r"notes.pth.tar is not a CHGNet checkpoint") as bad:
        loaded(tmp_path / "notes.pth.tar")
    assert bad.value.code == "bad_checkpoint"


def test_what_the_graph_lacks_is_refused_by_name(tmp_path):
    with pytest.raises(ExportError, match="non_linearity='tanh'"):
        loaded(checkpoint(tmp_path / "tanh.pth.tar", non_linearity="tanh"))
    with pytest.raises(ExportError, match="--layer 7") as layer:
        loaded(checkpoint(tmp_path / "model.pth.tar"), "7")
    assert layer.value.code == "unsupported_layer"
