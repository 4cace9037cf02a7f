"""Section on the choices of method that decide the answer: metric, null, vectors and anchors."""

import numpy as np
import polars as pl

from phrases import table
from scores import Groups, Scores

DIRECT, RANDOM = "DIRECT anchors, cosines", "random anchors, cosines"
EVERYWHERE = "DIRECT anchors of all sources, cosines"
METRICS = {
    "mutual_knn_euclidean": "common neighbours, Euclidean",
    "mutual_knn_cosine": "common neighbours, cosine",
    "mutual_knn_inner": "common neighbours, inner product",
}
MORE_METRICS = ["cknna", "linear_cka", "unbiased_linear_cka", "angular_procrustes", "distance_correlation"]
SPACES = ["coordinates", "embeddings"]
CONTRAST = ["other families", "untrained, shuffled", "composition", "separation"]


def which_defaults(scores: Scores, anchors: dict[str, Scores]) -> str:
    direct, random, everywhere = (
        anchors[name].groups("calibrated").across.mean for name in (DIRECT, RANDOM, EVERYWHERE)
    )
    methods = "better than" if direct > 1.1 * random else "worse than" if random > 1.1 * direct else "about as well as"
    where = (
        f"Where the anchors come from decides more than how they are chosen: fitted on all frames instead of relaxed crystals alone, those of DIRECT reach {everywhere:.2f} instead of {direct:.2f}.\n"
        "Frames far from equilibrium hold the most unusual atoms, and anchors taken from them look alike from a relaxed crystal. "
        if direct > 1.2 * everywhere and abs(direct - everywhere) > abs(direct - random)
        else f"Fitted on all frames instead of relaxed crystals alone, the anchors of DIRECT reach {everywhere:.2f} instead of {direct:.2f}. "
    )
    choices = [
        (f"{label}; {space}; {null.replace('_', ' ')}", metric, space, null)
        for metric, label in METRICS.items()
        for space in SPACES
        for null in ("none", "free", "within_element")
    ] + [
        (f"{metric.replace('_', ' ')}; {space}; none", metric, space, "none")
        for metric in MORE_METRICS
        for space in SPACES
    ]
    rows = [
        contrast_row(label, scores.groups("value" if null == "none" else "calibrated", metric, space, null))
        for label, metric, space, null in choices
        if scores.has(metric, space, null)
    ]
    hub = scores.rows.filter((pl.col("null") == "none") & (pl.col("stratum") == "all"))
    hubness = {
        metric: np.median(hub.filter(pl.col("metric") == metric).select("hubness_a", "hubness_b").to_numpy())
        for metric in METRICS
    }
    inner = scores.groups("value", "mutual_knn_inner", null="none")
    by_inner, by_distance = (hubness[f"mutual_knn_{measure}"] for measure in ("inner", "euclidean"))
    beaten = (
        ", and by them trained potentials agree no better with each other than with composition"
        if inner.across.mean <= inner.composition.mean
        else ""
    )
    listed = min(anchors[DIRECT].of("n", null="none").values())
    return f"""Separation is the mean over trained pairs of other families less that over pairs with untrained or shuffled networks, in units of their pooled standard deviation:
how well a choice tells learned from not learned. Angular Procrustes is an angle: smaller is more alike.

{table(["metric; space; null", *CONTRAST], rows)}

Neighbours by inner product are ruled by hubs (median skewness of how often an atom is a neighbour {by_inner:.1f}, Euclidean {by_distance:.1f}){beaten}.

How the coordinates are made, on the {listed:,} listed atoms of relaxed crystals (common neighbours, Euclidean, calibrated within element):

{which_anchors(anchors)}

{where}DIRECT does {methods} the same number of atoms drawn at random ({random:.2f}).
"""


def which_anchors(runs: dict[str, Scores]) -> str:
    """The headline on the same listed rows, with coordinates made in different ways."""
    made = {name: (scores, "coordinates") for name, scores in runs.items()}
    made["raw embeddings"] = (runs[DIRECT], "embeddings")
    rows = [contrast_row(name, scores.groups("calibrated", space=space)) for name, (scores, space) in made.items()]
    return table(["vectors", *CONTRAST], rows)


def contrast_row(name: str, groups: Groups) -> list[str]:
    """Means of the groups, and how far learned stands from not learned."""
    trained, untrained = groups.across, groups.untrained
    pooled = np.sqrt((np.var(trained.values, ddof=1) + np.var(untrained.values, ddof=1)) / 2)
    separation = (trained.mean - untrained.mean) / pooled if pooled > 0 else float("nan")
    return [
        name,
        f"{trained.mean:.3f}",
        f"{untrained.mean:.3f}",
        f"{groups.composition.mean:.3f}",
        f"{separation:.1f}",
    ]
