"""How the models of a run are related: what is known of each potential beside what the run says of it."""

from collections.abc import Iterator
from itertools import combinations

import polars as pl

from dataset import Run

# Family and training data of the potentials of findings.yaml. Cards name the data in words of their own; equal here means equal data.
FACTS = {
    "chgnet-0.2.0": ("CHGNet", "MPtrj"),
    "chgnet-0.3.0": ("CHGNet", "MPtrj"),
    "chgnet-r2scan": ("CHGNet", "MPtrj, then MP-r2SCAN"),
    "sevennet-0-22may2024": ("SevenNet", "MPF.2021.2.8"),
    "sevennet-0-11jul2024": ("SevenNet", "MPtrj"),
    "sevennet-l3i5": ("SevenNet", "MPtrj"),
    "sevennet-mf-0-pbe": ("SevenNet", "MP trajectories, PBE and r2SCAN"),
    "sevennet-mf-0-r2scan": ("SevenNet", "MP trajectories, PBE and r2SCAN"),
    "tensornet-matpes-pbe": ("TensorNet", "MatPES PBE"),
    "tensornet-matpes-r2scan": ("TensorNet", "MatPES r2SCAN"),
    "nequix-mp-1": ("Nequix", "MPtrj"),
    "nequix-omat-1": ("Nequix", "OMat24"),
    "nequix-oam-1": ("Nequix", "OMat24, then sAlex and MPtrj"),
}

TRAINED = "trained"
UNTRAINED = "random weights"
SHUFFLED = "shuffled weights"
COMPOSITION = "composition only"
KINDS = {
    None: TRAINED,
    "random-weights": UNTRAINED,
    "shuffled": SHUFFLED,
    "one-hot": COMPOSITION,
    "random-element": COMPOSITION,
}
RELATIONS = [
    "one lineage",
    "same family, same data",
    "same family, other data",
    "other family, same data",
    "other family, other data",
]
ACROSS = RELATIONS[3:]
CONTROLS = [UNTRAINED, SHUFFLED, COMPOSITION]

Pair = frozenset[str]


class Models:
    """The models of a run, in the order of its spec."""

    def __init__(self, run: Run):
        self.ids = [model.id for model in run.models]
        self.lineage = {model.id: model.lineage for model in run.models}
        self._kind = {model.id: KINDS[model.control] for model in run.models}
        unknown = [model for model in self.of(TRAINED) if model not in FACTS]
        if unknown:
            raise SystemExit(f"findings: nothing is known of {', '.join(unknown)}; give family and data in groups.py")
        found = {relation for _, _, relation in self.pairs()}
        for side, needed in (
            ("trained potentials of two families", set(ACROSS)),
            ("a network with random or shuffled weights", {UNTRAINED, SHUFFLED}),
            ("a control of composition", {COMPOSITION}),
        ):
            if not found & needed:
                raise SystemExit(f"findings: run '{run.name}' lacks {side}; the page compares with it")

    def kind(self, model: str) -> str:
        """`trained`, or the kind of control."""
        return self._kind[model]

    def of(self, kind: str) -> list[str]:
        """Models of a kind."""
        return [model for model in self.ids if self._kind[model] == kind]

    def relation(self, a: str, b: str) -> str | None:
        """How two models are related; a trained one with a control: the kind of the control; two controls: None."""
        kinds = {self._kind[a], self._kind[b]}
        if kinds == {TRAINED}:
            if self.lineage[a] == self.lineage[b]:
                return RELATIONS[0]
            (family_a, data_a), (family_b, data_b) = FACTS[a], FACTS[b]
            return (
                f"{'same' if family_a == family_b else 'other'} family, {'same' if data_a == data_b else 'other'} data"
            )
        return next(iter(kinds - {TRAINED})) if TRAINED in kinds and len(kinds) == 2 else None

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """Every pair that has a relation, with it: all but those of two controls."""
        for a, b in combinations(self.ids, 2):
            if name := self.relation(a, b):
                yield a, b, name

    def with_relation(self, rows: pl.DataFrame, ordered=False) -> pl.DataFrame:
        """Rows of pairs with how the two are related and the pair of their lineages; pairs of two controls are left out.

        ordered: from `model_a` to `model_b` is another pair than back.
        """
        pairs = list(zip(rows["model_a"], rows["model_b"], strict=True))
        relations = [self.relation(a, b) for a, b in pairs]
        lineages = [
            " ".join(both if ordered else sorted(both))
            for both in ((self.lineage[a], self.lineage[b]) for a, b in pairs)
        ]
        return rows.with_columns(
            relation=pl.Series(relations, dtype=pl.String), lineages=pl.Series(lineages, dtype=pl.String)
        ).drop_nulls("relation")
