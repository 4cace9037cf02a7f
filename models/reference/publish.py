"""From a checkpoint to a model folder: `python publish.py ref-mace-s --data FOLDER --structures parity.extxyz`.

The exporter of the family (`models/export`) writes graph, card and the official code's own results; the record of
`evaluate.py` goes into the card. `--random` publishes the untrained twin instead: same configuration, other seed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from data import cache_folder, load_frames
from evaluate import RESULTS
from networks import Statistics, build
from potentials import POTENTIALS, Potential
from train import statistics_of

HERE = Path(__file__).parent
SETTINGS = {"mace": {"energy": "yes"}, "sevennet": {}, "orb": {}}
"""For the exporter: MACE gives energies only if asked, since its embedding needs the first layer alone."""

TWIN_SEED = 1000
"""Added to the potential's seed: a twin from the same seed would be what the potential started from, and remember it."""

FACTS = {
    "licence": "Apache-2.0; trained on data under CC-BY-4.0 and MIT",
    "functional": "PBE/PBE+U (MP GGA/GGA+U)",
    "commercial_use": True,
    "citation": "data: Yang et al., MatterSim, arXiv:2405.04967; Deng et al., CHGNet, arXiv:2302.14231; "
    "Schmidt et al., Alexandria, doi:10.1002/adma.202210788",
}
DATA = "benchmark frames of MatterSim (microsoft/mattersim, data/benchmarks at 2966303): "
DATA_LICENCE = "MIT (repository), MIT/CC-BY-4.0 (MPtrj), CC-BY-4.0 (Alexandria)"


def display_name(potential: Potential) -> str:
    """e.g. `Reference MACE s`."""
    family, *rest = potential.id.removeprefix("ref-").split("-")
    return " ".join(["Reference", {"mace": "MACE", "sevennet": "SevenNet", "orb": "Orb"}[family], *rest])


def publish(potential: Potential, statistics: Statistics, structures: Path) -> dict[str, Any]:
    """Exports the trained potential to `<id>/` beside this file; returns its card."""
    record = json.loads((RESULTS / f"{potential.id}.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / f"{potential.id}.{potential.checkpoint_suffix}"
        shutil.copyfile(cache_folder() / potential.id / f"checkpoint.{potential.checkpoint_suffix}", checkpoint)
        card = _export(potential, potential.id, checkpoint, structures, statistics, {"name": display_name(potential)})
    test = record["test"]
    data = DATA + ", ".join(potential.subsets)
    card |= {
        "training_data": data,
        "lineage": potential.id,
        "training": {
            "script": "models/reference/train.py",
            "data": "; ".join(
                [data, f"{record['train_frames']} frames, split by formula", *filter(None, [potential.remark])]
            ),
            "data_licence": DATA_LICENCE,
            "steps": record["steps"],
            "seed": record["seed"],
            **test["all"],
            "subsets": {name: errors for name, errors in test.items() if name != "all"},
        },
    }
    return _write_card(potential.id, card)


def publish_twin(potential: Potential, statistics: Statistics, structures: Path) -> dict[str, Any]:
    """Exports the untrained twin to `<id>-random/`; the trained potential must have been published before."""
    parent = json.loads((HERE / potential.id / "card.json").read_text())
    id, seed = f"{potential.id}-random", potential.seed + TWIN_SEED
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / f"{id}.{potential.checkpoint_suffix}"
        build(potential, statistics, seed).save(checkpoint)
        name = f"{display_name(potential)}, untrained"
        card = _export(potential, id, checkpoint, structures, statistics, {"name": name, "citation": ""})
    card |= {
        "training_data": None,
        "functional": None,
        "citation": None,
        "licence": "Apache-2.0",
        "random_weights": True,
        "control": "random-weights",
        "lineage": id,
        "derived_from": {
            "parent": potential.id,
            "parent_onnx_sha256": parent["onnx_sha256"],
            "operation": "random-initialisation",
            "seed": seed,
        },
    }
    return _write_card(id, card)


def _export(
    potential: Potential, id: str, checkpoint: Path, structures: Path, statistics: Statistics, entry: dict[str, Any]
) -> dict[str, Any]:
    """Runs the exporter on the structures whose elements were trained on; returns the card as written."""
    sys.path.insert(0, str(HERE.parent / "export"))
    import ase.io

    from koine_export.family import Request
    from koine_export.harness import export

    known = set(statistics.elements)
    taken = [
        atoms for atoms in ase.io.read(structures, ":", format="extxyz") if known.issuperset(atoms.numbers.tolist())
    ]
    with tempfile.TemporaryDirectory() as scratch:
        chosen = Path(scratch) / "structures.extxyz"
        ase.io.write(chosen, taken, format="extxyz")
        request = Request(
            None, checkpoint, None, SETTINGS[potential.family], lambda line: print(f"{id}: {line}", flush=True)
        )
        print(id, json.dumps(export(potential.family, request, id, FACTS | entry, chosen, HERE / id)), flush=True)
    # Orb's tables have rows for all elements; those outside the training data never moved.
    return json.loads((HERE / id / "card.json").read_text()) | {"elements": statistics.elements}


def _write_card(id: str, card: dict[str, Any]) -> dict[str, Any]:
    (HERE / id / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="+", choices=list(POTENTIALS), metavar="ID")
    parser.add_argument("--data", type=Path, required=True, help="folder of the MatterSim frames (*.xyz.gz)")
    parser.add_argument(
        "--structures", type=Path, required=True, help="crystals for the comparison with the official code"
    )
    parser.add_argument("--random", action="store_true", help="publish the untrained twins")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for id in options.ids:
        potential = POTENTIALS[id]
        statistics = statistics_of(potential, load_frames(options.data, potential.cutoff, potential.max_neighbours))
        (publish_twin if options.random else publish)(potential, statistics, options.structures)


if __name__ == "__main__":
    main()
