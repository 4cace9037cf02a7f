"""What all families share: graphs of crystals, checks of an exported file, model folders, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import write
from conftest import structures_of

from koine_export import harness
from koine_export.crystals import neighbour_graph
from koine_export.family import Exported, ExportError, Facts, Native, Request, sha256
from koine_export.onnxgraph import check_scatters, tidied, to_onnx

FACTS = Facts(
    family="Toy",
    name="degree",
    package="none",
    package_version="0",
    equivariant=True,
    conservative=True,
    parameters=1,
    cutoff_angstrom=4.0,
    elements=[11, 14, 17, 29],
    layer="sum of inverse squares of distances",
    dim=2,
    invariant=True,
)


class Toy(torch.nn.Module):
    """[Z, sum of 1 / r^2] of each atom; the energy is their product."""

    def forward(self, atomic_numbers, edge_index, edge_vectors):
        inverse = 1 / (edge_vectors * edge_vectors).sum(dim=1)
        total = torch.zeros(atomic_numbers.shape[0]).index_add(0, edge_index[0], inverse)
        return torch.stack([atomic_numbers.to(torch.float32), total], dim=1), atomic_numbers * total


def toy(factor: float = 1.0, **other) -> Exported:
    def native(structures, precision):
        results = []
        for s in structures:
            total = np.zeros(len(s.numbers))
            np.add.at(total, s.graph.centres, factor / np.square(s.graph.vectors).sum(axis=1))
            results.append(
                Native(
                    np.stack([s.numbers.astype(precision), total.astype(precision)], axis=1), float(s.numbers @ total)
                )
            )
        return results

    return Exported(Toy(), Facts(**(FACTS.__dict__ | other)), native, outputs=("node_embedding", "node_energy"))


@pytest.fixture
def parity_file(crystals, tmp_path) -> Path:
    frames = [crystals[id] for id in ("copper", "salt", "silicon", "lead")]
    for atoms, id in zip(frames, ("copper", "salt", "silicon", "lead"), strict=True):
        atoms.info["id"] = id
    write(tmp_path / "parity.extxyz", frames)
    return tmp_path / "parity.extxyz"


@pytest.mark.parametrize("crystal", ["copper", "sulphide", "thin", "iron"])
def test_neighbours_equal_ases_own_search(crystals, crystal):
    from ase.neighborlist import primitive_neighbor_list

    atoms = crystals[crystal]
    graph = neighbour_graph(atoms.positions, atoms.cell.array, 5.0)
    i, j, shifts = primitive_neighbor_list("ijS", [True] * 3, atoms.cell.array, atoms.positions, 5.0)
    wanted = {(a, b, *c) for a, b, c in zip(i.tolist(), j.tolist(), shifts.tolist(), strict=True)}
    assert wanted == {
        (a, b, *c)
        for a, b, c in zip(graph.centres.tolist(), graph.neighbours.tolist(), graph.shifts.tolist(), strict=True)
    }


def test_an_edge_at_exactly_the_cutoff_is_one():
    graph = neighbour_graph(np.zeros((1, 3)), 5 * np.eye(3), 5.0)
    assert len(graph.centres) == 6


def test_of_the_shell_that_the_limit_cuts_the_first_shifts_stay():
    graph = neighbour_graph(np.zeros((1, 3)), 3 * np.eye(3), 4.5, max_neighbours=8)
    lengths = np.linalg.norm(graph.vectors, axis=1)
    assert sorted(np.round(lengths, 6)) == [3.0] * 6 + [pytest.approx(3 * 2**0.5, abs=1e-5)] * 2
    assert graph.shifts[lengths > 3.1].tolist() == [[-1, -1, 0], [-1, 0, -1]]


def test_bonds_join_opposite_edges_and_angles_are_ordered_pairs(crystals):
    atoms = crystals["salt"]
    graph = neighbour_graph(atoms.positions, atoms.cell.array, 5.0, angle_cutoff=3.5)
    assert (np.bincount(graph.edge_to_bond) == 2).all() and len(graph.bond_to_edge) * 2 == len(graph.centres)
    np.testing.assert_array_equal(graph.edge_to_bond[graph.bond_to_edge], np.arange(len(graph.bond_to_edge)))
    for bond in range(len(graph.bond_to_edge)):
        a, b = np.flatnonzero(graph.edge_to_bond == bond)
        np.testing.assert_allclose(graph.vectors[a], -graph.vectors[b], atol=1e-12)
    short = np.bincount(graph.centres[np.linalg.norm(graph.vectors, axis=1) < 3.5])
    assert graph.angle_index.shape[1] == (short * (short - 1)).sum()


def test_a_scatter_that_lost_its_reduction_is_refused(crystals):
    loaded = toy()
    model = tidied(
        to_onnx(loaded.module, example(loaded, crystals), loaded.outputs),
        {"node_embedding": ("n_atoms", 2), "node_energy": ("n_atoms",)},
    )
    scatters = [node for node in model.graph.node if node.op_type.startswith("Scatter")]
    assert scatters, "the toy sums by a scatter"
    for node in scatters:
        del node.attribute[:]
    with pytest.raises(ExportError, match="equal indices instead of their sum"):
        check_scatters(model)


def example(loaded, crystals):
    from koine_export.crystals import batch

    return batch(structures_of(loaded, crystals, "copper", "salt"), loaded.inputs)


def test_a_model_folder_holds_what_its_card_says(crystals, parity_file, tmp_path, monkeypatch):
    monkeypatch.setattr(
        harness, "family", lambda name: type("Family", (), {"load": staticmethod(lambda request: toy())})
    )
    entry = {"licence": "MIT", "lineage": "toys", "energy_convention": "made up", "citation": "none"}
    harness.export("toy", Request("toy", None), "toy", entry, parity_file, tmp_path / "model")
    card = json.loads((tmp_path / "model/card.json").read_text())
    assert (
        card["onnx_sha256"] == sha256(tmp_path / "model/model.onnx")
        and card["onnx_bytes"] == (tmp_path / "model/model.onnx").stat().st_size
    )
    assert (card["licence"], card["lineage"], card["energy_convention"], card["parity"]["n_structures"]) == (
        "MIT",
        "toys",
        "made up",
        3,
    )
    opset = onnx.load(tmp_path / "model/model.onnx").opset_import
    assert [(o.domain, o.version) for o in opset if o.domain in ("", "ai.onnx")] == [("", card["opset"])]
    reference = np.load(tmp_path / "model/reference.npz")
    assert reference["ids"].tolist() == ["copper", "salt", "silicon"], "lead is none of its elements"
    assert reference["embedding"].shape == (reference["offsets"][-1], 2) and reference["energy_float64"].shape == (3,)
    assert [id for id, _ in harness.read_atoms(tmp_path / "model/reference.extxyz")] == ["copper", "salt", "silicon"]


def test_an_element_that_the_catalog_entry_leaves_out_is_not_on_the_card(parity_file, tmp_path, monkeypatch):
    monkeypatch.setattr(
        harness, "family", lambda name: type("Family", (), {"load": staticmethod(lambda request: toy())})
    )
    found = harness.export(
        "toy", Request("toy", None), "toy", {"elements": [14, 29, 79]}, parity_file, tmp_path / "model"
    )
    assert found["left_out"] == ["salt", "lead"]
    assert json.loads((tmp_path / "model/card.json").read_text())["elements"] == [14, 29]


def test_a_graph_that_computes_something_else_leaves_no_card(parity_file, tmp_path, monkeypatch):
    monkeypatch.setattr(
        harness, "family", lambda name: type("Family", (), {"load": staticmethod(lambda request: toy(factor=1.01))})
    )
    with pytest.raises(ExportError, match=r"largest error against float64 .*worst structure: copper"):
        harness.export("toy", Request("toy", None), "toy", {}, parity_file, tmp_path / "model")
    assert not (tmp_path / "model/card.json").exists()


def test_isolated_atoms_are_left_out_where_the_potential_rejects_them():
    atoms = [("alone", Atoms("Cu", cell=[20] * 3, pbc=True)), ("copper", bulk("Cu"))]
    taken, left_out = harness.accepted(atoms, Facts(**(FACTS.__dict__ | {"isolated_atoms": "reject"})))
    assert ([s.id for s in taken], left_out) == (["copper"], ["alone"])
    assert len(harness.accepted(atoms, FACTS)[0]) == 2


def test_the_command_line_answers_in_json_lines_and_nothing_else(parity_file, tmp_path):
    def run(*arguments: str) -> tuple[int, list[dict]]:
        command = [
            sys.executable,
            "-m",
            "koine_export",
            "--id",
            "x",
            "--structures",
            str(parity_file),
            "--output",
            str(tmp_path / "out"),
            *arguments,
        ]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    status, lines = run("--family", "nonsense", "--official", "a")
    assert status == 1 and lines[-1]["error"]["code"] == "bad_checkpoint" and "mace" in lines[-1]["error"]["remedy"]
    status, lines = run("--family", "mace", "--checkpoint", str(tmp_path / "missing.model"))
    assert status == 1 and lines == [
        {
            "error": {
                "code": "weights_unavailable",
                "message": f"--checkpoint: there is no {tmp_path / 'missing.model'}",
                "remedy": "check the path",
            }
        }
    ]
