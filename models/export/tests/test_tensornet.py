"""koine's graph of TensorNet against matgl."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matgl")

import torch
from conftest import in_torch, largest_difference, largest_energy_difference, structures_of
from matgl.apps.pes import Potential
from matgl.models import TensorNet

from koine_export import harness, matgl_potential
from koine_export.crystals import batch
from koine_export.families import tensornet
from koine_export.family import Exported, ExportError, Request

ELEMENTS = ("He", "O", "Na", "Si", "S", "Cl", "Ti", "Fe", "Cu", "Zn", "Pb")


def checkpoint(folder: Path, mean: float = 0.0, **options) -> Path:
    """A small potential with random weights, saved as matgl saves a fine-tuned one."""
    torch.manual_seed(3)
    basis = {"rbf_type": "SphericalBessel", "use_smooth": True, "max_n": 3, "max_l": 3}
    network = TensorNet(ELEMENTS, **{"units": 8, "is_intensive": False, "cutoff": 4.5, **basis, **options})
    with torch.no_grad():
        for weights in network.parameters():
            weights += 0.1 * torch.randn_like(weights)
    Potential(network, data_mean=mean, data_std=2.5, element_refs=np.linspace(-7, -1, len(ELEMENTS))).save(folder)
    return folder


def loaded(path: Path) -> Exported:
    return tensornet.load(Request(None, path))


@pytest.mark.parametrize(
    "options",
    [{}, {"rbf_type": "Gaussian", "num_rbf": 6, "equivariance_invariance_group": "SO(3)"}, {"nblocks": 1, "max_n": 5}],
)
def test_batched_crystals_get_what_matgl_gives_each_alone(tmp_path, crystals, options):
    model = loaded(checkpoint(tmp_path, **options))
    structures = structures_of(model, crystals, *crystals)
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures), wanted) < 2e-5
    assert largest_difference(model.native(structures, "float32"), wanted) < 2e-5
    assert largest_energy_difference(in_torch(model, structures), wanted) < 1e-4


def test_the_order_of_edges_does_not_matter(tmp_path, crystals):
    model = loaded(checkpoint(tmp_path))
    given = batch(structures_of(model, crystals, "salt", "copper"), model.inputs)
    order = np.random.default_rng(0).permutation(given["edge_index"].shape[1])
    shuffled = {**given, "edge_index": given["edge_index"][:, order], "edge_vectors": given["edge_vectors"][order]}
    with torch.no_grad():
        one, other = (model.module(*map(torch.from_numpy, tensors.values()))[0] for tensors in (given, shuffled))
    assert (one - other).abs().max() < 1e-5 * one.square().mean().sqrt()


def test_the_exported_graph_passes_the_gates_and_runs_without_edges(tmp_path, crystals):
    model = loaded(checkpoint(tmp_path))
    report = harness.measure(model, [*crystals.items()])
    assert report.parity.failures(harness.Gates()) == []
    assert report.invariance.rotation < 1e-4 and report.invariance.inversion < 1e-4
    alone = structures_of(model, crystals, "alone")
    assert largest_difference(report.encoder.embed(alone), model.native(alone, "float64")) < 1e-5


def test_a_zip_of_the_folder_and_the_file_of_weights_do_as_well(tmp_path, crystals):
    folder = checkpoint(tmp_path / "potential")
    archive = Path(shutil.make_archive(str(tmp_path / "potential"), "zip", folder))
    structures = structures_of(loaded(folder), crystals, "salt")
    results = [in_torch(loaded(path), structures)[0].embedding for path in (folder, folder / "state.pt", archive)]
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_energies_that_are_no_sum_over_atoms_are_left_out(tmp_path):
    assert loaded(checkpoint(tmp_path, mean=1.5)).outputs == ("node_embedding",)


def test_what_is_no_tensornet_potential_is_named(tmp_path):
    folder = checkpoint(tmp_path / "potential")
    described = json.loads((folder / "model.json").read_text())

    def refused(match: str) -> None:
        with pytest.raises(ExportError, match=match) as error:
            loaded(folder)
        assert error.value.code == "bad_checkpoint" and error.value.remedy

    wider = json.loads(json.dumps(described))
    wider["kwargs"]["model"]["init_args"]["units"] = 16
    (folder / "model.json").write_text(json.dumps(wider))
    refused("state.pt does not fit model.json")
    described["kwargs"]["model"]["@class"] = "M3GNet"
    (folder / "model.json").write_text(json.dumps(described))
    refused("class M3GNet, not TensorNet")
    (folder / "model.json").write_text("{}")
    refused("does not describe a saved Potential")
    (folder / "state.pt").unlink()
    refused("no state.pt")


def test_weights_that_cannot_be_fetched_say_where_they_were_looked_for(monkeypatch):
    def offline(name):
        raise ValueError("Bad serialized model or bad model name") from OSError("name resolution failed")

    monkeypatch.setattr(matgl_potential.matgl, "load_model", offline)
    with pytest.raises(ExportError, match="name resolution failed") as error:
        tensornet.load(Request("TensorNet-MatPES-PBE-v2025.1-PES", None))
    assert error.value.code == "weights_unavailable" and "--checkpoint" in error.value.remedy


def test_a_later_matgl_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(matgl_potential, "version", lambda package: "4.1.2")
    with pytest.raises(ExportError, match="other energies"):
        loaded(tmp_path)
