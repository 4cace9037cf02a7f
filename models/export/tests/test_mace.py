"""MACE in closed form against mace-torch, on small models with random weights of every interaction block it knows."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mace")  # also before e3nn, whose loading it prepares

import torch
from ase import Atoms
from conftest import in_torch, largest_difference, largest_energy_difference, structures_of
from e3nn import o3
from mace import modules

from koine_export.families import mace as family
from koine_export.family import ExportError, Request
from koine_export.harness import measure
from koine_export.parity import Gates

ELEMENTS = [1, 8, 11, 14, 16, 17, 22, 26, 29, 30, 82]
CRYSTALS = ("copper", "salt", "sulphide", "thin", "lead")

VARIANTS = {
    "residual": {"hidden_irreps": o3.Irreps("8x0e + 8x1o"), "max_ell": 2, "correlation": 2},
    "density": {
        "hidden_irreps": o3.Irreps("4x0e + 4x1o"),
        "max_ell": 2,
        "correlation": 3,
        "interaction_cls_first": modules.RealAgnosticDensityInteractionBlock,
        "interaction_cls": modules.RealAgnosticDensityResidualInteractionBlock,
        "distance_transform": "Agnesi",
        "pair_repulsion": True,
    },
    "three layers": {
        "hidden_irreps": o3.Irreps("4x0e + 4x1o"),
        "max_ell": 1,
        "correlation": 2,
        "num_interactions": 3,
        "interaction_cls_first": modules.RealAgnosticInteractionBlock,
        "distance_transform": "Soft",
        "radial_type": "gaussian",
        "apply_cutoff": False,
    },
}


def built(variant: str, cls: type = modules.ScaleShiftMACE, **other) -> torch.nn.Module:
    torch.manual_seed(0)
    settings = {
        "r_max": 4.5,
        "num_bessel": 6,
        "num_polynomial_cutoff": 5,
        "interaction_cls_first": modules.RealAgnosticResidualInteractionBlock,
        "interaction_cls": modules.RealAgnosticResidualInteractionBlock,
        "num_interactions": 2,
        "num_elements": len(ELEMENTS),
        "MLP_irreps": o3.Irreps("4x0e"),
        "atomic_energies": np.random.default_rng(0).normal(size=len(ELEMENTS)),
        "avg_num_neighbors": 20.0,
        "atomic_numbers": ELEMENTS,
        "gate": torch.nn.functional.silu,
        "radial_MLP": [8, 8],
    }
    if cls is modules.ScaleShiftMACE:
        settings |= {"atomic_inter_scale": 0.7, "atomic_inter_shift": 0.2}
    return cls(**(settings | VARIANTS[variant] | other))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("mace")
    models = {name: built(name) for name in VARIANTS}
    models["heads"] = built(
        "residual",
        heads=["one", "two"],
        atomic_energies=np.random.default_rng(1).normal(size=(2, len(ELEMENTS))),
        atomic_inter_scale=[0.5, 0.9],
        atomic_inter_shift=[0.1, -0.1],
    )
    models["plain"] = built("residual", cls=modules.MACE)
    for name, model in models.items():
        torch.save(model, folder / f"{name}.model")
    return {name: folder / f"{name}.model" for name in models}


def load(path: Path, layer: str | None = None, **settings: str):
    return family.load(Request(None, path, layer, settings))


@pytest.mark.parametrize("variant", [*VARIANTS, "heads", "plain"])
def test_all_layers_and_energies_equal_the_official_code(checkpoints, crystals, variant):
    loaded = load(checkpoints[variant], "all")
    structures = structures_of(loaded, crystals, *CRYSTALS)
    native = loaded.native(structures, "float64")
    got = in_torch(loaded, structures, double=True)
    assert largest_difference(got, native) < 2e-6
    assert largest_energy_difference(got, native) < 2e-6


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_first_layer_is_what_get_descriptors_gives(checkpoints, crystals, variant):
    from mace.calculators import MACECalculator

    loaded = load(checkpoints[variant])
    calculator = MACECalculator(model_paths=str(checkpoints[variant]), device="cpu", default_dtype="float64")
    structures = structures_of(loaded, crystals, *CRYSTALS)
    for structure, result, native in zip(
        structures, in_torch(loaded, structures, double=True), loaded.native(structures, "float64"), strict=True
    ):
        wanted = calculator.get_descriptors(structure.atoms, num_layers=1, invariants_only=True)
        np.testing.assert_allclose(native.embedding, wanted, rtol=0, atol=1e-12)
        np.testing.assert_allclose(result.embedding, wanted, rtol=0, atol=3e-6 * np.sqrt(np.mean(wanted**2)))


def test_the_head_decides_the_energy_and_not_the_embedding(checkpoints, crystals):
    one, two = (load(checkpoints["heads"], "all", head=head) for head in ("one", "two"))
    structures = structures_of(one, crystals, "salt")
    (a,), (b,) = in_torch(one, structures, double=True), in_torch(two, structures, double=True)
    assert abs(a.energy - b.energy) > 0.1
    np.testing.assert_array_equal(a.embedding, b.embedding)
    assert largest_energy_difference([a], one.native(structures, "float64")) < 2e-6


@pytest.mark.parametrize("variant", ["residual", "density"])
def test_a_structure_alone_equals_itself_in_a_batch_and_edges_have_no_order(checkpoints, crystals, variant):
    loaded = load(checkpoints[variant], "all")
    structures = structures_of(loaded, crystals, *CRYSTALS)
    together = in_torch(loaded, structures, double=True)
    alone = [in_torch(loaded, [structure], double=True)[0] for structure in structures]
    assert largest_difference(alone, together) < 1e-12
    graph = structures[2].graph
    order = np.random.default_rng(0).permutation(len(graph.centres))
    shuffled = type(structures[2])(
        "shuffled",
        structures[2].numbers,
        structures[2].positions,
        structures[2].cell,
        type(graph)(graph.centres[order], graph.neighbours[order], graph.shifts[order], graph.vectors[order]),
    )
    assert largest_difference(in_torch(loaded, [shuffled], double=True), [together[2]]) < 1e-12


def test_the_graph_equals_the_official_code_in_onnx_runtime(checkpoints, crystals):
    loaded = load(checkpoints["residual"], "all")
    report = measure(loaded, [(id, atoms) for id, atoms in crystals.items() if id != "alone"])
    assert report.parity.failures(Gates(max_float64=1e-5)) == []
    assert report.invariance.rotation < 1e-5 and report.invariance.inversion < 1e-5
    isolated = structures_of(
        loaded, {"alone": Atoms("Cu", cell=[30] * 3, pbc=True), "salt": crystals["salt"]}, "alone", "salt"
    )
    for structures in (isolated[:1], isolated):
        got, wanted = report.encoder.embed(structures), loaded.native(structures[1:] or structures, "float64")
        assert np.isfinite(got[0].embedding).all() and largest_difference(got[-1:], wanted) < 1e-5


def test_export_is_deterministic_and_holds_no_trace_of_the_machine(checkpoints, crystals):
    from koine_export.harness import accepted, encoder_of

    def exported() -> bytes:
        loaded = load(checkpoints["density"])
        return encoder_of(loaded, accepted(list(crystals.items()), loaded.facts)[0]).model.SerializeToString()

    first = exported()
    assert first == exported()
    assert str(Path(torch.__file__).parent).encode() not in first and b"koine_export" not in first


def test_errors_say_what_would_be_right(checkpoints, tmp_path, monkeypatch):
    def refused(code: str, pattern: str, request: Request) -> None:
        with pytest.raises(ExportError, match=pattern) as caught:
            family.load(request)
        assert caught.value.code == code and caught.value.remedy

    text = tmp_path / "text.model"
    text.write_text("no model")
    refused("bad_checkpoint", "can't load it", Request(None, text))
    torch.save({"state": 1}, tmp_path / "dict.model")
    refused("bad_checkpoint", "holds a dict", Request(None, tmp_path / "dict.model"))
    refused("unsupported_layer", "no layer 'second'", Request(None, checkpoints["residual"], "second"))
    refused(
        "bad_checkpoint",
        "head=three: there are one, two",
        Request(None, checkpoints["heads"], "all", {"head": "three"}),
    )
    unknown = built("residual", interaction_cls=modules.RealAgnosticResidualNonLinearInteractionBlock)
    torch.save(unknown, tmp_path / "unknown.model")
    refused(
        "bad_checkpoint", "RealAgnosticResidualNonLinearInteractionBlock", Request(None, tmp_path / "unknown.model")
    )
    refused("weights_unavailable", "no foundation model 'tiny'", Request("tiny", None))
    foundations = __import__("mace.calculators.foundations_models", fromlist=["x"])
    monkeypatch.setitem(foundations.mace_mp_urls, "small", "http://127.0.0.1:9/mace-small.model")
    monkeypatch.setattr(foundations, "get_cache_dir", lambda: str(tmp_path))
    refused("weights_unavailable", "127.0.0.1:9/mace-small.model", Request("small", None))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_file_with_another_digest_than_the_pinned_one_is_not_even_opened(tmp_path):
    sprung = tmp_path / "sprung"
    checkpoint = tmp_path / "pinned.model"
    checkpoint.write_bytes(pickle.dumps(Trap(str(sprung))))
    with pytest.raises(ExportError, match="but the catalog pins 0000"):
        family.load(Request(None, checkpoint, pinned_sha256="0" * 64))
    assert not sprung.exists()
