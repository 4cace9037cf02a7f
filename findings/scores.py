"""The similarity of the pairs of a run: look-up, groups by relation, and what is said of a group."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from dataset import Run
from groups import ACROSS, COMPOSITION, CONTROLS, RELATIONS, SHUFFLED, UNTRAINED, Models, Pair


@dataclass(frozen=True)
class Group:
    """Values of pairs of models."""

    pairs: Mapping[Pair, float]
    lineage: Mapping[str, str]

    @property
    def values(self) -> list[float]:
        """In the order of the pairs."""
        return list(self.pairs.values())

    @property
    def mean(self) -> float:
        """Over pairs of lineages, each with the mean of its pairs of models: fine-tunes of one network are one voice."""
        lineages: dict[Pair, list[float]] = {}
        for pair, value in self.pairs.items():
            lineages.setdefault(frozenset(self.lineage[model] for model in pair), []).append(value)
        return float(np.mean([np.mean(values) for values in lineages.values()]))

    def __len__(self) -> int:
        return len(self.pairs)

    def __str__(self) -> str:
        """Mean over pairs of lineages, and range over pairs of models."""
        return f"{self.mean:.2f} ({min(self.values):.2f} to {max(self.values):.2f})"


class Groups(dict[str, Group]):
    """Groups by relation; none is empty."""

    @property
    def across(self) -> Group:
        """Trained potentials of other families."""
        return self._union(ACROSS)

    @property
    def untrained(self) -> Group:
        """A trained potential and a network that learned nothing."""
        return self._union([UNTRAINED, SHUFFLED])

    @property
    def composition(self) -> Group:
        """A trained potential and a control of composition."""
        return self[COMPOSITION]

    def _union(self, names: Iterable[str]) -> Group:
        members = [self[name] for name in names if name in self]
        return Group({pair: value for one in members for pair, value in one.pairs.items()}, members[0].lineage)


class Scores:
    """The similarity table of a run as a look-up by pair."""

    def __init__(self, run: Run):
        self.run = run
        self.models = Models(run)
        self.rows = run.table("similarity")

    def has(self, metric: str, space="coordinates", null="within_element") -> bool:
        """Whether the run has the metric at all."""
        return not self._of(metric, space, null, "all").is_empty()

    def of(self, column: str, metric="mutual_knn_euclidean", space="coordinates", null="within_element", stratum="all"):
        """Values by unordered pair: of every pair that has a relation, or an error that names those without."""
        rows = self._of(metric, space, null, stratum)
        keys = [frozenset(pair) for pair in zip(rows["model_a"], rows["model_b"], strict=True)]
        found = {key: value for key, value in zip(keys, rows[column], strict=True) if value is not None}
        what = f"{column} of {metric} ({space}, null {null}, stratum {stratum})"
        if len(set(keys)) < len(keys):
            raise SystemExit(f"findings: table similarity of run '{self.run.name}' has {what} twice for a pair")
        missing = [f"{a} and {b}" for a, b, _ in self.models.pairs() if frozenset((a, b)) not in found]
        if missing:
            raise SystemExit(
                f"findings: table similarity of run '{self.run.name}' lacks {what} for {len(missing)} pairs: {'; '.join(missing[:5])}"
            )
        return found

    def groups(self, column: str, *args, **kwargs) -> "Groups":
        """Values of `of`, grouped by relation; pairs of two controls are left out, and so are groups without a pair."""
        values = self.of(column, *args, **kwargs)
        of: dict[str, dict[Pair, float]] = {name: {} for name in RELATIONS + CONTROLS}
        for a, b, name in self.models.pairs():
            of[name][frozenset((a, b))] = values[frozenset((a, b))]
        return Groups({name: Group(pairs, self.models.lineage) for name, pairs in of.items() if pairs})

    def _of(self, metric: str, space: str, null: str, stratum: str) -> pl.DataFrame:
        return self.rows.filter(
            (pl.col("metric") == metric)
            & (pl.col("space") == space)
            & (pl.col("null") == null)
            & (pl.col("stratum") == stratum)
        )
