"""The graph network of Orb-v3 against orb-models, with small random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("orb_models")

import torch
from conftest import in_torch, largest_difference, structures_of
from orb_models.forcefield import pretrained

from koine_export.families import orb as family
from koine_export.family import ExportError, Request
from koine_export.harness import measure
from koine_export.parity import Gates

CRYSTALS = ("copper", "salt", "sulphide", "thin", "lead")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("orb")
    sizes = {"latent_dim": 16, "base_mlp_hidden_dim": 24, "head_mlp_hidden_dim": 16, "num_message_passing_steps": 3}
    torch.manual_seed(0)
    models = {
        "conservative": pretrained.orb_v3_conservative_architecture(**sizes, device="cpu"),
        "direct": pretrained.orb_v3_direct_architecture(**sizes, base_mlp_depth=1, has_stress=False, device="cpu"),
        "charged": pretrained.orb_v3_direct_architecture(**sizes, has_charge_spin_cond=True, device="cpu"),
    }
    for name, model in models.items():
        torch.save(model.state_dict(), folder / f"{name}.ckpt")
    return {name: folder / f"{name}.ckpt" for name in models}


def load(path: Path, layer: str | None = None, **settings: str):
    return family.load(Request(None, path, layer, settings))


@pytest.mark.parametrize("name", ["conservative", "direct"])
@pytest.mark.parametrize("layer", ["last", "2", "1", "0"])
def test_every_block_equals_the_official_code(checkpoints, crystals, name, layer):
    loaded = load(checkpoints[name], layer)
    structures = structures_of(loaded, crystals, *CRYSTALS)
    native = loaded.native(structures, "float64")
    assert largest_difference(in_torch(loaded, structures, double=True), native) < 1e-5
    assert native[0].embedding.shape[1] == loaded.facts.dim == 16


def test_sizes_and_kind_are_read_from_the_state_dict(checkpoints):
    direct, conservative = load(checkpoints["direct"]), load(checkpoints["conservative"])
    assert (direct.facts.conservative, conservative.facts.conservative) == (False, True)
    assert direct.facts.layer == "node features after message-passing block 3 of 3"
    assert (
        direct.facts.max_neighbours == 120
        and load(checkpoints["direct"], max_neighbours="20").facts.max_neighbours == 20
    )


def test_koines_edges_are_the_official_ones_where_no_shell_is_cut(checkpoints, crystals):
    """With few neighbours in ordinary cells, both searches find the same edges: sender = centre, vector to the receiver."""
    loaded = load(checkpoints["conservative"])
    structures = structures_of(loaded, crystals, "salt", "sulphide")
    assert all(np.bincount(s.graph.centres).max() < 120 for s in structures)
    model = pretrained.orb_v3_conservative_architecture(
        latent_dim=16,
        base_mlp_hidden_dim=24,
        head_mlp_hidden_dim=16,
        num_message_passing_steps=3,
        device="cpu",
        system_config=None,
    )
    model.load_state_dict(torch.load(checkpoints["conservative"], weights_only=True))
    from orb_models.forcefield.atomic_system import SystemConfig

    own = family.native_features(
        family.in_float64(model.model.eval()),
        SystemConfig(radius=6.0, max_num_neighbors=120),
        structures,
        "float64",
        3,
        own_edges=True,
    )
    assert largest_difference(own, loaded.native(structures, "float64")) < 1e-9


def test_the_limit_keeps_the_nearest_and_is_obeyed(checkpoints, crystals):
    loaded = load(checkpoints["direct"], max_neighbours="20")
    for s in structures_of(loaded, crystals, "copper", "iron"):
        full = structures_of(load(checkpoints["direct"]), crystals, s.id)[0]
        assert set(np.bincount(s.graph.centres)) == {20}
        for atom in range(len(s.numbers)):
            kept = np.sort(np.linalg.norm(s.graph.vectors[s.graph.centres == atom], axis=1))
            every = np.sort(np.linalg.norm(full.graph.vectors[full.graph.centres == atom], axis=1))
            np.testing.assert_allclose(kept, every[:20], atol=1e-5)


def test_the_graph_equals_the_official_code_in_onnx_runtime(checkpoints, crystals):
    loaded = load(checkpoints["direct"])
    report = measure(loaded, list(crystals.items()))
    assert report.parity.failures(Gates(max_float64=1e-5)) == []
    assert report.invariance.rotation > 1e-3, "Orb is not invariant, and the card must say how far"
    assert "alone" in {s.id for s in report.structures}, "an atom without neighbours is accepted"
    alone = report.encoder.embed(structures_of(loaded, crystals, "alone"))
    assert np.isfinite(alone[0].embedding).all()


def test_errors_say_what_would_be_right(checkpoints, tmp_path, monkeypatch):
    def refused(code: str, pattern: str, request: Request) -> None:
        with pytest.raises(ExportError, match=pattern) as caught:
            family.load(request)
        assert caught.value.code == code and caught.value.remedy

    text = tmp_path / "text.ckpt"
    text.write_text("no weights")
    refused("bad_checkpoint", "is not a state dict", Request(None, text))
    torch.save({"model.atom_emb.embeddings.weight": torch.zeros(119, 4)}, tmp_path / "half.ckpt")
    refused("bad_checkpoint", "is missing", Request(None, tmp_path / "half.ckpt"))
    refused("unsupported_layer", "no layer '4'", Request(None, checkpoints["direct"], "4"))
    refused("bad_checkpoint", "charge and spin", Request(None, checkpoints["charged"]))
    refused(
        "bad_checkpoint", "max_neighbours=many", Request(None, checkpoints["direct"], None, {"max_neighbours": "many"})
    )
    refused("weights_unavailable", "no 'orb-v9'", Request("orb-v9", None))
    name = "orb-v3-direct-20-omat"
    official = pretrained.ORB_PRETRAINED_MODELS[name]
    monkeypatch.setitem(
        pretrained.ORB_PRETRAINED_MODELS,
        name,
        lambda weights_path="http://127.0.0.1:9/orb.ckpt", **other: official(weights_path, **other),
    )
    refused("weights_unavailable", "127.0.0.1:9/orb.ckpt", Request(name, None))
