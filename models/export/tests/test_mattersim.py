"""koine's graph of MatterSim against the official package, on random weights: the published ones need a download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mattersim")

import torch
from conftest import in_torch, largest_difference, largest_energy_difference, structures_of
from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

from koine_export import harness
from koine_export.families import mattersim
from koine_export.family import Exported, ExportError, Request

ALL = ("copper", "lead", "silicon", "salt", "sulphide", "iron", "thin", "alone")


def checkpoint(path: Path, **options) -> Path:
    """Random weights in the format of ``Potential.save``, with element energies and scales."""
    torch.manual_seed(11)
    model = M3Gnet(
        device="cpu",
        **{"num_blocks": 3, "units": 16, "max_l": 4, "max_n": 4, "cutoff": 5.0, "threebody_cutoff": 4.0, **options},
    )
    with torch.no_grad():
        model.normalizer.shift.normal_()
        model.normalizer.scale.uniform_(0.5, 2)
    torch.save({"model_name": "m3gnet", "model": model.state_dict(), "model_args": model.get_model_args()}, path)
    return path


def loaded(path: Path, layer: str | None = None) -> Exported:
    return mattersim.load(Request(None, path, layer))


@pytest.mark.parametrize("options", [{}, {"max_l": 2, "max_n": 3, "threebody_cutoff": 3.5}])
def test_batched_crystals_get_what_the_official_model_gives_each_alone(tmp_path, crystals, options):
    model = loaded(checkpoint(tmp_path / "model.pth", **options))
    structures = structures_of(model, crystals, *ALL)
    wanted = model.native(structures, "float32")
    for double in (False, True):
        assert largest_difference(in_torch(model, structures, double), wanted) < 3e-5
        assert largest_energy_difference(in_torch(model, structures, double), wanted) < 1e-5


@pytest.mark.parametrize("layer", ["0", "2"])
def test_any_block_can_be_the_embedding_and_only_the_last_brings_the_energy(tmp_path, crystals, layer):
    model = loaded(checkpoint(tmp_path / "model.pth"), layer)
    structures = structures_of(model, crystals, "salt", "thin")
    assert largest_difference(in_torch(model, structures), model.native(structures, "float32")) < 3e-5
    assert ("node_energy" in model.outputs) == (layer == "2")


def test_the_exported_graph_passes_the_gates_and_runs_without_edges(tmp_path, crystals):
    model = loaded(checkpoint(tmp_path / "model.pth"))
    report = harness.measure(model, [*crystals.items()])
    assert report.parity.failures(harness.Gates()) == []
    assert list(report.left_out) == []
    assert np.isfinite(report.encoder.embed(structures_of(model, crystals, "alone"))[0].embedding).all()


def test_weights_that_do_not_fit_are_refused_though_the_package_takes_them(tmp_path):
    path = checkpoint(tmp_path / "model.pth")
    state = torch.load(path)
    del state["model"]["graph_conv.0.three_body.atom_mlp.linear.weight"]
    torch.save(state, path)
    with pytest.raises(ExportError, match=r"three_body.atom_mlp") as bad:
        loaded(path)
    assert bad.value.code == "bad_checkpoint"
    with pytest.raises(ExportError, match="knows no model '9m'") as missing:
        mattersim.load(Request("9m", None))
    assert missing.value.code == "weights_unavailable"
