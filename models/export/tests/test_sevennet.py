"""koine's graph of SevenNet against the official package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sevenn")

import sevenn
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from conftest import in_torch, largest_difference, largest_energy_difference, structures_of
from sevenn.atom_graph_data import AtomGraphData
from sevenn.model_build import build_E3_equivariant_model
from sevenn.nn.node_embedding import get_type_mapper_from_specie
from sevenn.train.dataload import atoms_to_graph
from sevenn.train.trainer import Trainer
from sevenn.util import chemical_species_preprocess, load_checkpoint, pretrained_name_to_path
from torch_geometric.loader.dataloader import Collater

from koine_export import harness
from koine_export.crystals import structure
from koine_export.families import sevennet
from koine_export.family import Exported, ExportError, Native, Request

SPECIES = ["Cu", "Pb", "Si", "Na", "Cl", "Zn", "S", "Fe", "Ti", "O", "He"]
ALL = ("copper", "lead", "silicon", "salt", "sulphide", "iron", "thin", "alone")


def checkpoint(path: Path, **options) -> Path:
    """A small model with random weights in the format that ``sevenn`` writes."""
    from sevenn._const import DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG

    torch.manual_seed(3)
    type_map = get_type_mapper_from_specie(SPECIES)
    random = np.random.default_rng(3)
    config = {
        **DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG,
        "cutoff": 4.0,
        "channel": 6,
        "lmax": 2,
        "num_convolution_layer": 3,
        "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": 5},
        "weight_nn_hidden_neurons": [8, 8],
        "conv_denominator": 17.0,
        "shift": random.normal(size=len(SPECIES)).tolist(),
        "scale": 1.7,
        "train_shift_scale": False,
        "_type_map": type_map,
        "_number_of_species": len(type_map),
        "chemical_species": sorted(SPECIES),
        "readout_fcn_hidden_neurons": [9],
        "readout_fcn_activation": "silu",
        "version": sevenn.__version__,
        **options,
    }
    model = build_E3_equivariant_model(config)
    with torch.no_grad():  # biases start at zero and would test nothing
        for name, weights in model.named_parameters():
            if name.endswith("bias"):
                weights.normal_()
    torch.save({"config": config, "model_state_dict": model.state_dict(), "epoch": 0, "time": "", "hash": ""}, path)
    return path


def fine_tuned(path: Path, steps: int) -> list[Atoms]:
    """SevenNet-0 after some steps of the package's own trainer, in the file that the trainer writes; returns what it learned from."""
    parent = load_checkpoint(pretrained_name_to_path("7net-0"))
    frames = [bulk(metal, cubic=True) for metal in ("Cu", "Ni", "Pd")]
    for seed, frame in enumerate(frames):
        frame.rattle(0.1, seed)
        frame.calc = EMT()
    graphs = [
        AtomGraphData.from_numpy_dict(
            atoms_to_graph(frame, parent.config["cutoff"], transfer_info=False, y_from_calc=True)
        )
        for frame in frames
    ]
    config = {**parent.config, "optim_param": {"lr": 1e-3}, "is_train_stress": False, "is_ddp": False, "device": "cpu"}
    trainer = Trainer.from_config(parent.build_model(), config)
    for _ in range(steps):
        trainer.run_one_epoch([Collater([])(graphs)], is_train=True)
    trainer.write_checkpoint(str(path), config=config, epoch=steps)
    return frames


def loaded(path: Path, layer: str | None = None, **settings: str) -> Exported:
    return sevennet.load(Request(None, path, layer, settings))


MODAL = {
    "use_modality": True,
    "_number_of_modalities": 2,
    "_modal_map": {"PBE": 0, "R2SCAN": 1},
    "use_modal_node_embedding": True,
    "use_modal_self_inter_intro": True,
    "use_modal_self_inter_outro": True,
    "use_modal_output_block": True,
    "use_modal_wise_shift": True,
    "use_modal_wise_scale": False,
    "shift": [[float(k) for k in range(11)], [0.5 * k for k in range(11)]],
}


@pytest.mark.parametrize(
    "options",
    [
        {},  # parity, NequIP's self-connection, normalised harmonics, polynomial cutoff
        {
            "is_parity": False,
            "self_connection_type": "linear",
            "cutoff_function": {"cutoff_function_name": "XPLOR", "cutoff_on": 3.5},
        },
        {"_normalize_sph": False, "lmax": 3, "is_parity": False, "num_convolution_layer": 2},
        {"use_bias_in_linear": True, "lmax": 1, "act_radial": "ssp"},
        {
            "readout_as_fcn": True,
            "lmax": 1,
            "act_scalar": {"e": "ssp", "o": "abs"},
            "act_gate": {"e": "ssp", "o": "tanh"},
            "is_parity": False,
        },
        {"lmax": 1, "channel": 24, "num_convolution_layer": 3, "train_denominator": True},
    ],
)
def test_batched_crystals_get_what_the_official_model_gives_each_alone(tmp_path, crystals, options):
    model = loaded(checkpoint(tmp_path / "model.pth", **options))
    structures = structures_of(model, crystals, *ALL)
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures, double=True), wanted) < 3e-6
    assert largest_energy_difference(in_torch(model, structures, double=True), wanted) < 1e-5
    assert largest_difference(in_torch(model, structures), model.native(structures, "float32")) < 3e-5


@pytest.mark.parametrize("modality", ["PBE", "R2SCAN"])
def test_each_modality_is_a_network_of_its_own(tmp_path, crystals, modality):
    path = checkpoint(tmp_path / "model.pth", lmax=1, **MODAL)
    model = loaded(path, modality=modality)
    structures = structures_of(model, crystals, "salt", "thin", "alone")
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures, double=True), wanted) < 3e-6
    assert largest_energy_difference(in_torch(model, structures, double=True), wanted) < 1e-5
    with pytest.raises(ExportError, match="PBE, R2SCAN"):
        loaded(path)
    with pytest.raises(ExportError, match="modality=SCAN"):
        loaded(path, modality="SCAN")


def test_a_network_of_all_the_periodic_table_knows_no_element_zero(tmp_path, crystals):
    universal = chemical_species_preprocess([], universal=True)
    shift = np.random.default_rng(3).normal(size=119).tolist()
    model = loaded(checkpoint(tmp_path / "model.pth", lmax=1, num_convolution_layer=2, **universal, shift=shift))
    assert model.facts.elements == [*range(1, 119)]
    structures = structures_of(model, crystals, "salt", "lead")
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures, double=True), wanted) < 3e-6
    assert largest_energy_difference(in_torch(model, structures, double=True), wanted) < 1e-5


@pytest.mark.parametrize("layer", ["0", "1", "last"])
def test_any_block_can_be_the_embedding_and_only_the_last_brings_the_energy(tmp_path, crystals, layer):
    model = loaded(checkpoint(tmp_path / "model.pth"), layer)
    structures = structures_of(model, crystals, "salt", "thin", "alone")
    assert largest_difference(in_torch(model, structures, double=True), model.native(structures, "float64")) < 3e-6
    assert ("node_energy" in model.outputs) == (layer == "last")


@pytest.mark.parametrize(
    ("name", "settings"), [("7net-0", {}), ("7net-0_22may2024", {}), ("7net-mf-0", {"modality": "PBE"})]
)
def test_published_weights_give_the_official_energies_and_embeddings(crystals, name, settings):
    model = sevennet.load(Request(name, None, None, settings))
    structures = structures_of(model, crystals, "copper", "thin", "alone")
    wanted = model.native(structures, "float64")
    assert largest_difference(in_torch(model, structures), wanted) < 3e-4
    assert largest_energy_difference(in_torch(model, structures), wanted) < 1e-4
    assert model.facts.dim == 128


def test_a_fine_tuned_checkpoint_is_another_network_of_the_same_shape(tmp_path, crystals):
    frames = {str(k): frame for k, frame in enumerate(fine_tuned(tmp_path / "tuned.pth", steps=5))}
    parent, tuned = sevennet.load(Request("7net-0", None)), loaded(tmp_path / "tuned.pth")
    assert (tuned.facts.elements, tuned.facts.dim, tuned.facts.parameters) == (
        parent.facts.elements,
        parent.facts.dim,
        parent.facts.parameters,
    )
    wanted = [Native(np.zeros((len(frame), 1)), frame.get_potential_energy()) for frame in frames.values()]
    before, after = (model.native(structures_of(model, frames, *frames), "float32") for model in (parent, tuned))
    assert (
        largest_energy_difference(before, wanted) - largest_energy_difference(after, wanted) > 0.05
    )  # towards the labels
    report = harness.measure(tuned, [*frames.items(), ("thin", crystals["thin"])])
    assert report.parity.failures(harness.Gates()) == []
    assert largest_difference(report.encoder.embed(report.structures[:3]), before) > 0.01


def test_rotation_and_inversion_change_nothing(tmp_path, crystals):
    model = loaded(checkpoint(tmp_path / "model.pth"))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    salt = in_torch(model, structures_of(model, crystals, "salt"), double=True)
    for matrix in (turn, -turn):
        turned = crystals["salt"].copy()
        turned.set_cell(turned.cell.array @ matrix.T)
        turned.positions = turned.positions @ matrix.T
        assert (
            largest_difference(in_torch(model, [structure("turned", turned, model.facts.cutoffs)], double=True), salt)
            < 1e-5
        )


def test_the_exported_graph_passes_the_gates_and_runs_without_edges(tmp_path, crystals):
    model = loaded(checkpoint(tmp_path / "model.pth"))
    report = harness.measure(model, [*crystals.items()])
    assert report.parity.failures(harness.Gates()) == []
    assert list(report.left_out) == []
    alone = structures_of(model, crystals, "alone")
    assert largest_difference(report.encoder.embed(alone), model.native(alone, "float64")) < 1e-5
    apart = report.encoder.embed(report.structures, batch_atoms=1)
    assert largest_difference(report.encoder.embed(report.structures), apart) < 1e-5


def test_weights_that_are_not_there_or_not_sevennet_are_named(tmp_path):
    with pytest.raises(ExportError, match="no model '7net-99'") as missing:
        sevennet.load(Request("7net-99", None))
    assert missing.value.code == "weights_unavailable" and "7net-l3i5" in missing.value.remedy
    (tmp_path / "notes.pth").write_text("not a checkpoint")
    with pytest.raises(ExportError, match=r"notes.pth is not a SevenNet checkpoint") as bad:
        loaded(tmp_path / "notes.pth")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ExportError, match=r"other.pth is not a SevenNet checkpoint"):
        loaded(tmp_path / "other.pth")
    assert bad.value.code == "bad_checkpoint"


def test_a_layer_that_the_model_lacks_is_named(tmp_path):
    with pytest.raises(ExportError, match="interaction blocks 0 to 2") as layer:
        loaded(checkpoint(tmp_path / "model.pth"), "3")
    assert layer.value.code == "unsupported_layer"
