"""Sections on single potentials: how their spaces look, and which structures are atypical in them."""

from pathlib import Path

import polars as pl

import figures
from dataset import Run
from phrases import GAP, percent, spread, table

SCORES = [
    "novelty",
    "disagreement",
    "anchor_cosine",
    "energy_gap",
    "composition_distance",
    "element_rarity",
    "n_atoms",
]


def diagnostics(run: Run) -> str:
    spaces = run.table("model_diagnostics").filter(pl.col("space") == "embeddings")
    symmetry = run.table("symmetry").filter(
        (pl.col("space") == "embeddings") & (pl.col("statistic") == "maximum") & pl.col("space_group").is_null()
    )

    def largest(model: str, test: str) -> str:
        found = symmetry.filter((pl.col("model") == model) & (pl.col("test") == test))
        return f"{found['value'][0]:.0e}" if found.height else GAP

    lines = [
        [
            row["model"],
            f"{row['mean_cosine']:.2f}",
            f"{row['effective_rank']:.0f} of {row['dim']}",
            f"{row['intrinsic_dimension']:.1f}" if row["intrinsic_dimension"] is not None else GAP,
            percent(row["element_share"]) if row["element_share"] is not None else GAP,
            largest(row["model"], "rotation"),
            largest(row["model"], "inversion"),
        ]
        for row in spaces.iter_rows(named=True)
    ]
    drift = run.table("drift").filter(pl.col("stratum") == "all")
    drifts = [
        [
            f"{a} to {b}",
            *(
                drift_value(part, metric)
                for metric in ("shared_neighbours", "shift", "rotated_shift", "energy_offset", "energy_scatter")
            ),
        ]
        for (a, b), part in drift.group_by(["model_a", "model_b"], maintain_order=True)
    ]
    header = [
        "model",
        "mean cosine",
        "effective rank",
        "intrinsic dimension",
        "between elements",
        "rotation",
        "inversion",
    ]
    return f"""Largest change of an atom's vector, in units of the root mean square vector, when a crystal is rotated at random or inverted; mean cosine of two atoms (anisotropy); share of the variance between elements.

{table(header, lines)}

From one version to the next (shift: change of an atom's coordinates over the distance of random atoms; energies in eV/atom):

{table(["versions", "neighbours kept", "shift", "after rotation, raw", "energy offset", "energy scatter"], drifts)}
"""


def drift_value(part: pl.DataFrame, metric: str) -> str:
    found = part.filter(pl.col("metric") == metric)
    return f"{found['value'][0]:.3f}" if found.height else GAP


def atypical(run: Run, docs: Path) -> str:
    judged = run.table("error_prediction")
    spearman = judged.filter(pl.col("metric") == "spearman")
    subsets = ["all", *sorted(set(spearman["subset"].to_list()) - {"all"})]
    lines, rows = [], []
    for subset in subsets:
        part = spearman.filter(pl.col("subset") == subset)
        cells, marks = [], {}
        for name in SCORES:
            found = part.filter(pl.col("score") == name)
            cells.append(spread(found["value"]) if found.height else GAP)
            own = found.filter(pl.col("model") == "sevennet-0-11jul2024")
            if own.height and name != "n_atoms":
                # Of the gaps that to a potential of another family with the same data: versions of one family err alike.
                shown = own.filter(pl.col("other_model").is_null() | (pl.col("other_model") == "nequix-mp-1"))
                if shown.is_empty():
                    continue
                label = "energy gap to Nequix" if name == "energy_gap" else name.replace("_", " ")
                marks[label] = shown.select("value", "low", "high").row(0)
        n = part["n"].max()
        error = part.group_by("model").agg(pl.first("mean_error"))["mean_error"]
        lines.append([subset, f"{n:,}", f"{1000 * error.median():.0f}", *cells])
        rows.append((subset.split(".")[0], marks))
    figures.intervals(
        docs / "findings/errors.svg", rows, "Spearman correlation with the error of SevenNet-0 (July 2024)", 0
    )
    within = spearman.filter(pl.col("subset") != "all").group_by("score").agg(pl.mean("value"))
    means = dict(within.iter_rows())
    ranked = ", ".join(f"{name.replace('_', ' ')} {means[name]:.2f}" for name in sorted(means, key=lambda n: -means[n]))
    backwards = (
        "The cosine to the nearest anchor works the wrong way round: DIRECT takes unusual atoms as anchors, so that an unusual atom often has one beside it."
        if means.get("anchor_cosine", 0) < min(0, means.get("novelty", 0) - 0.2)
        else ""
    )
    judges = judged["model"].n_unique()
    header = ["frames", "n", "median error, meV/atom", *(name.replace("_", " ") for name in SCORES)]
    return f"""Scores of a structure against the potentials' error in energy per atom against DFT: Spearman correlation, mean and range over the {judges} potentials whose energies are comparable
(uncorrected PBE(+U) of the Materials Project). The energy gap needs a second comparable potential; composition distance, rarity and size are plain baselines. None of these is an error bar.

Mean within the sources: {ranked}. Over all frames at once anything does well that tells one source from another, so the row `all` says little.
{backwards}

![Spearman correlations with their intervals](findings/errors.svg)

{table(header, lines)}
"""
