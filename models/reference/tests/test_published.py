"""What lies in the repository: every potential with the record of its evaluation, small, and as good as was asked."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from data import SUBSETS
from potentials import POTENTIALS, Potential

HERE = Path(__file__).parent.parent
EACH = pytest.mark.parametrize("potential", POTENTIALS.values(), ids=lambda potential: potential.id)


def ratio(errors: dict[str, float], quantity: str) -> float:
    """Test error over the error of the baseline; `energy` or `force`."""
    unit = {"energy": "mev_per_atom", "force": "ev_per_angstrom"}[quantity]
    return errors[f"test_{quantity}_mae_{unit}"] / errors[f"baseline_{quantity}_mae_{unit}"]


@EACH
def test_the_card_says_what_the_evaluation_found(potential: Potential) -> None:
    card = json.loads((HERE / potential.id / "card.json").read_text())
    record = json.loads((HERE / "results" / f"{potential.id}.json").read_text())
    training = card["training"]
    assert {"all": {name: training[name] for name in record["test"]["all"]}, **training["subsets"]} == record["test"]
    assert (training["steps"], training["seed"], card["parameters"]) == (
        record["steps"],
        potential.seed,
        record["parameters"],
    )
    assert set(training["subsets"]) == {"force-bearing", *SUBSETS}
    assert potential.remark in training["data"] and record.get("remark", "") == potential.remark


@EACH
def test_the_curve_runs_to_the_end_of_the_schedule(potential: Potential) -> None:
    with (HERE / "results" / f"{potential.id}.csv").open(newline="") as file:
        curve = list(csv.DictReader(file))
    assert [int(line["epoch"]) for line in curve] == list(
        range(1, potential.schedule.epochs + potential.schedule.fine_epochs + 1)
    )
    record = json.loads((HERE / "results" / f"{potential.id}.json").read_text())
    assert sum(int(line["steps"]) for line in curve) == record["steps"]


@EACH
def test_forces_on_unseen_formulas_beat_zero_by_what_was_asked(potential: Potential) -> None:
    record = json.loads((HERE / "results" / f"{potential.id}.json").read_text())
    assert ratio(record["test"]["force-bearing"], "force") <= (0.5 if potential.conservative else 0.85)
    assert ratio(record["test"]["all"], "energy") < 0.7


@EACH
def test_an_equivariant_potential_turns_with_the_crystal(potential: Potential) -> None:
    record = json.loads((HERE / "results" / f"{potential.id}.json").read_text())
    for change in (record["rotation"], record["inversion"]):
        assert (change["mean_force_change_relative"] < 1e-4) == potential.equivariant


def test_the_files_are_small() -> None:
    sizes = {path.parent.name: path.stat().st_size for path in HERE.glob("ref-*/model.onnx")}
    assert set(POTENTIALS) <= set(sizes)
    assert max(sizes.values()) < 2e6 and sum(sizes.values()) < 8e6
