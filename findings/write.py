"""Writes docs/findings.md and its figures from the tables of the runs that run.mjs made.

    python write.py OUTPUT DOCS

Sentences that depend on a figure are chosen by it; nothing here is filled in by hand.
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

import figures
from dataset import Run
from groups import COMPOSITION, CONTROLS, FACTS, RELATIONS, SHUFFLED, TRAINED, UNTRAINED, kind, pairs_of, relation

COLOURS = {name: figures.WARM for name in CONTROLS} | {RELATIONS[0]: figures.SOFT}
ACROSS = RELATIONS[3:]
DIRECT, RANDOM = "DIRECT anchors, cosines", "random anchors, cosines"
METRICS = {
    "mutual_knn_euclidean": "common neighbours, Euclidean",
    "mutual_knn_cosine": "common neighbours, cosine",
    "mutual_knn_inner": "common neighbours, inner product",
}


class Scores:
    """The similarity table as a look-up by pair."""

    def __init__(self, run: Run):
        self.rows = run.table("similarity")
        self.models = list(dict.fromkeys(self.rows["model_a"].to_list() + self.rows["model_b"].to_list()))

    def of(self, column: str, metric="mutual_knn_euclidean", space="coordinates", null="within_element", stratum="all"):
        """Values by unordered pair."""
        rows = self.rows.filter(
            (pl.col("metric") == metric)
            & (pl.col("space") == space)
            & (pl.col("null") == null)
            & (pl.col("stratum") == stratum)
        )
        values = zip(rows["model_a"], rows["model_b"], rows[column], strict=True)
        return {frozenset((a, b)): value for a, b, value in values}


def by_relation(scores: dict, models: list[str]) -> dict[str, list[float]]:
    """Values of all pairs, grouped; pairs of two controls are left out."""
    groups: dict[str, list[float]] = {name: [] for name in RELATIONS + CONTROLS}
    for a, b in combinations(models, 2):
        name = relation(a, b)
        value = scores.get(frozenset((a, b)))
        if name and value is not None:
            groups[name].append(value)
    return {name: values for name, values in groups.items() if values}


def with_relation(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of pairs with how the two are related; pairs of two controls are left out."""
    relations = [relation(a, b) for a, b in zip(rows["model_a"], rows["model_b"], strict=True)]
    return rows.with_columns(relation=pl.Series(relations, dtype=pl.String)).drop_nulls("relation")


def across(groups: dict[str, list[float]]) -> list[float]:
    """Values of pairs of trained potentials of other families."""
    return [value for name in ACROSS for value in groups.get(name, [])]


def spread(values) -> str:
    """Mean and range."""
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def share(values, condition) -> str:
    return f"{sum(map(condition, values))} of {len(values)}"


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def the_run(run: Run) -> str:
    structures = run.table("structures", ["material_id", "source", "n_atoms", "formula"])
    structures = structures.with_columns(pl.col("source").str.split(":").list.first())
    sources = structures.group_by("source").agg(pl.len(), pl.sum("n_atoms"), pl.n_unique("formula")).sort("source")
    rows = [[s, f"{n:,}", f"{atoms:,}", f"{formulas:,}"] for s, n, atoms, formulas in sources.iter_rows()]
    quarantined = run.table("quarantine")
    reasons = quarantined.group_by("code").len().sort("len", descending=True)
    refused = "; ".join(f"{name}: {n:,}" for name, n in reasons.iter_rows()) or "none"
    return f"""{structures.height:,} structures, {structures["n_atoms"].sum():,} atoms, {len(FACTS)} trained potentials of {len({f for f, _ in FACTS.values()})} families and
{len(run.manifest["inputs"]["models"]) - len(FACTS)} controls. Rows of the quarantine table (a structure and a model each, or a structure for all): {refused}.

{table(["source", "structures", "atoms", "formulas"], rows)}
"""


def beyond_composition(scores: Scores, docs: Path) -> tuple[str, dict]:
    calibrated = scores.of("calibrated")
    order = TRAINED + [model for name in CONTROLS for model in scores.models if kind(model) == name]
    order = [model for model in order if model in scores.models]
    values = np.array([[1.0 if a == b else calibrated.get(frozenset((a, b)), np.nan) for b in order] for a in order])
    kinds = [kind(model) for model in order]
    breaks = [i for i in range(1, len(order)) if kinds[i] != kinds[i - 1]]
    figures.heatmap(
        docs / "findings/similarity.svg", order, values, breaks, "common neighbours, calibrated within element"
    )
    groups = by_relation(calibrated, scores.models)
    figures.strips(
        docs / "findings/relations.svg", groups, "common neighbours, calibrated within element (1 = the same)", COLOURS
    )
    p_within = by_relation(scores.of("p_value"), scores.models)
    p_free = by_relation(scores.of("p_value", null="free"), scores.models)
    free = by_relation(scores.of("calibrated", null="free"), scores.models)
    rows = [
        [
            name,
            str(len(values)),
            spread(values),
            share(p_within[name], lambda p: p < 0.05),
            spread(free[name]),
            share(p_free[name], lambda p: p < 0.05),
        ]
        for name, values in groups.items()
    ]
    trained = across(groups)
    untrained = groups.get(UNTRAINED, []) + groups.get(SHUFFLED, [])
    holds = min(trained) > max(groups.get(COMPOSITION, [0])) and np.mean(trained) > 2 * np.mean(untrained)
    above = np.mean([value > max(untrained) for value in trained])
    raw = by_relation(scores.of("calibrated", space="embeddings"), scores.models)
    raw_untrained = raw.get(UNTRAINED, []) + raw.get(SHUFFLED, [])
    lost = np.mean(across(raw)) > 1.5 * np.mean(trained)
    text = f"""{"Yes, modestly." if holds else "Not clearly."} Trained potentials of different families share {
        spread(trained)
    } of their
neighbourhoods beyond what the element of an atom explains (mean, range over {
        len(trained)
    } pairs; 0 = chance among atoms of the same element, 1 = identical).
Trained potentials against networks with random or shuffled weights reach {
        spread(untrained)
    }, against composition alone {spread(groups.get(COMPOSITION, [0]))}.
{percent(above)} of the trained pairs lie above the best of the {
        len(untrained)
    } pairs with a network that learned nothing.

The same on raw embeddings: {spread(across(raw))} for trained pairs, {
        spread(raw_untrained)
    } with untrained or shuffled networks, {spread(raw.get(COMPOSITION, [0]))} with composition.
{
        "Cosines to 100 anchors lose most of what the potentials share: the anchors, not the potentials, limit the headline."
        if lost
        else ""
    }

![Common neighbours of all pairs](findings/similarity.svg)

![The same by relation of the two](findings/relations.svg)

{
        table(
            ["pair", "pairs", "within element", "p < 0.05", "free null", "p < 0.05"],
            rows,
        )
    }

The free null asks whether atoms are arranged alike at all; composition alone passes it. Only the null within elements asks about more than composition.
"""
    return text, groups


def extremes(equilibrium: Scores, extreme: Scores, docs: Path) -> str:
    calm, hot = equilibrium.of("calibrated"), extreme.of("calibrated")
    low, high = equilibrium.of("n", null="none"), extreme.of("n", null="none")
    pairs = [(a, b) for a, b in combinations(equilibrium.models, 2) if relation(a, b) and frozenset((a, b)) in hot]
    kinds = [relation(a, b) for a, b in pairs]
    names = {RELATIONS[0]: "one lineage", UNTRAINED: UNTRAINED, SHUFFLED: SHUFFLED, COMPOSITION: COMPOSITION}
    kinds = [names.get(name, "trained, other lineages") for name in kinds]
    x = [calm[frozenset(pair)] for pair in pairs]
    y = [hot[frozenset(pair)] for pair in pairs]
    colours = {
        "trained, other lineages": figures.INK,
        "one lineage": figures.SOFT,
        UNTRAINED: figures.WARM,
        SHUFFLED: "#e0a458",
        COMPOSITION: "#7d7d7d",
    }
    figures.scatter(
        docs / "findings/extreme.svg", x, y, kinds, colours, ("relaxed crystals", "high temperature and pressure")
    )
    before, after = by_relation(calm, equilibrium.models), by_relation(hot, extreme.models)
    rows = [[name, str(len(values)), spread(values), spread(after[name])] for name, values in before.items()]
    a, b = across(before), across(after)
    change = np.array(b) - np.array(a)
    raw = [across(by_relation(one.of("calibrated", space="embeddings"), one.models)) for one in (equilibrium, extreme)]
    low_ratio = np.mean(b) / np.mean(after.get(UNTRAINED, [1]) + after.get(SHUFFLED, []))
    verdict = (
        "The agreement falls out of distribution"
        if np.mean(change) < -0.02
        else "The agreement rises out of distribution"
        if np.mean(change) > 0.02
        else "The agreement is about the same out of distribution"
    )
    return f"""{verdict}: potentials of different families agree to {spread(a)} on relaxed crystals and {spread(b)} on snapshots at high temperature and pressure
(mean change {np.mean(change):+.2f}; {share(change, lambda c: c < 0)} pairs fall). There they stand at {low_ratio:.1f} times what networks without training reach.
On raw embeddings, where no anchors come between, it is {spread(raw[0])} and {spread(raw[1])}.
Both lists hold one structure a formula, the same number of structures and at most four atoms of each ({min(low.values()):,} and {min(high.values()):,} atoms), so that neither copies of one trajectory
nor the number of rows decides. Elements and compositions differ between the lists; the null within elements takes out the first, not all of the second.

![On relaxed crystals and at high temperature and pressure](findings/extreme.svg)

{table(["pair", "pairs", "relaxed crystals", "high temperature and pressure"], rows)}
"""


def what_matters(groups: dict[str, list[float]], scores: Scores) -> str:
    calibrated = scores.of("calibrated")
    intervals = (scores.of("calibrated_low"), scores.of("calibrated_high"))
    rows = []
    for name in RELATIONS[:4]:
        for pair in pairs_of(name):
            key = frozenset(pair)
            if key in calibrated:
                interval = f"{intervals[0][key]:.2f} to {intervals[1][key]:.2f}"
                rows.append([name, " and ".join(pair), f"{calibrated[key]:.2f}", interval])
    means = {name: np.mean(values) for name, values in groups.items()}
    family = means.get(RELATIONS[2], np.nan) - means.get(RELATIONS[4], np.nan)
    data = means.get(RELATIONS[3], np.nan) - means.get(RELATIONS[4], np.nan)
    order = " > ".join(
        f"{name} {means[name]:.2f}" for name in sorted(RELATIONS, key=lambda r: -means.get(r, -1)) if name in means
    )
    highest = means[RELATIONS[0]] == max(means[name] for name in RELATIONS if name in means)
    return f"""{"Lineage weighs most" if highest else "Means"}: {order}. Being of one family with other data is worth {family:+.2f} over strangers, having seen the same data with another family {data:+.2f}.
{"Architecture weighs more than data." if family > data + 0.02 else "Data weigh more than architecture." if data > family + 0.02 else "Neither of the two clearly weighs more."}
The groups are small and overlap in models, so these are differences of means, not tests.

{table(["relation", "pair", "calibrated", "95 % interval"], rows)}
"""


def which_anchors(runs: dict[str, Scores]) -> str:
    """The headline on the same listed rows, with coordinates made in different ways."""
    rows = [
        contrast_row(name, by_relation(scores.of("calibrated", space=space), scores.models))
        for name, (scores, space) in {
            **{name: (scores, "coordinates") for name, scores in runs.items()},
            "raw embeddings": (next(iter(runs.values())), "embeddings"),
        }.items()
    ]
    return table(["vectors", "other families", "untrained, shuffled", "composition", "separation"], rows)


def which_defaults(scores: Scores, anchors: dict[str, Scores]) -> str:
    direct, random = (
        np.mean(across(by_relation(anchors[name].of("calibrated"), scores.models))) for name in (DIRECT, RANDOM)
    )
    worse = (
        f"Anchors matter much: cosines to random anchors agree {random / direct:.1f} times as well as cosines to those of DIRECT. It was fitted on all frames, and frames\n"
        "far from equilibrium hold the most unusual atoms: anchors taken from them look alike from a relaxed crystal."
        if random > 1.2 * direct
        else ""
    )
    rows = []
    for metric, label in METRICS.items():
        for space in ("coordinates", "embeddings"):
            for null in ("none", "free", "within_element"):
                column = "value" if null == "none" else "calibrated"
                groups = by_relation(scores.of(column, metric, space, null), scores.models)
                if groups:
                    rows.append(contrast_row(f"{label}; {space}; {null.replace('_', ' ')}", groups))
    for metric in ("cknna", "linear_cka", "unbiased_linear_cka", "angular_procrustes", "distance_correlation"):
        for space in ("coordinates", "embeddings"):
            groups = by_relation(scores.of("value", metric, space, "none"), scores.models)
            if groups:
                rows.append(contrast_row(f"{metric.replace('_', ' ')}; {space}; none", groups))
    hub = scores.rows.filter((pl.col("null") == "none") & (pl.col("stratum") == "all"))
    hubness = {
        metric: np.median(hub.filter(pl.col("metric") == metric).select("hubness_a", "hubness_b").to_numpy())
        for metric in METRICS
    }
    inner = by_relation(scores.of("value", "mutual_knn_inner", null="none"), scores.models)
    beaten = np.mean(across(inner)) <= np.mean(inner.get(COMPOSITION, [0]))
    return f"""Separation is the mean over trained pairs of other families less that over pairs with untrained or shuffled networks, in units of their pooled standard deviation:
how well a choice tells learned from not learned. Angular Procrustes is an angle: smaller is more alike.

{
        table(
            ["metric; space; null", "other families", "untrained, shuffled", "composition", "separation"],
            rows,
        )
    }

Neighbours by inner product are ruled by hubs (median skewness of how often an atom is a neighbour {
        hubness["mutual_knn_inner"]:.1f}, Euclidean {hubness["mutual_knn_euclidean"]:.1f}){
        ", and by them trained potentials agree no better with each other than with composition" if beaten else ""
    }.

How the coordinates are made, on the {
        min(
            next(iter(anchors.values())).of("n", null="none").values()
        ):,} listed atoms of relaxed crystals (common neighbours, Euclidean, calibrated within element):

{which_anchors(anchors)}

{worse}
"""


def contrast_row(name: str, groups: dict[str, list[float]]) -> list[str]:
    trained, untrained = across(groups), groups.get(UNTRAINED, []) + groups.get(SHUFFLED, [])
    pooled = np.sqrt((np.var(trained, ddof=1) + np.var(untrained, ddof=1)) / 2)
    separation = (np.mean(trained) - np.mean(untrained)) / pooled if pooled > 0 else float("nan")
    composition = groups.get(COMPOSITION, [])
    return [
        name,
        f"{np.mean(trained):.3f}",
        f"{np.mean(untrained):.3f}",
        f"{np.mean(composition):.3f}" if composition else "",
        f"{separation:.1f}",
    ]


def transport(run: Run) -> str:
    rows = with_relation(run.table("transport_summary"))
    same = rows.filter((pl.col("design") == "same") & (pl.col("space") == "coordinates"))
    mapped = rows.filter(pl.col("space") == "orthogonal")
    disjoint = rows.filter((pl.col("design") == "disjoint") & (pl.col("space") == "coordinates"))
    lines = []
    for name in RELATIONS + CONTROLS:
        one, other, baseline = (frame.filter(pl.col("relation") == name) for frame in (same, disjoint, mapped))
        if one.height == 0:
            continue
        lines.append(
            [
                name,
                f"{one['identity_mass'].mean():.3f}",
                f"{baseline['identity_mass'].mean():.3f}" if baseline.height else "",
                f"{one['alignment_ratio'].mean():.2f}",
                f"{other['element_match_mass'].mean():.2f}",
                f"{other['element_match_floor'].mean():.2f}",
                f"{other['element_match_ceiling'].mean():.2f}",
            ]
        )
    trained = same.filter(pl.col("relation").is_in(ACROSS))
    gap = (same["gap"] / same["cost"]).max()
    apart = disjoint.filter(pl.col("relation").is_in(ACROSS))
    matched, floor, ceiling = (apart[f"element_match_{name}"].mean() for name in ("mass", "floor", "ceiling"))
    return f"""Exact transport between the coordinates of two potentials puts {
        percent(trained["identity_mass"].mean())
    } of the mass of trained pairs of other families back on the same atom
(chance {trained["identity_chance"].mean():.3f}); largest certified gap of any plan {
        gap:.0e} of its cost. On disjoint atoms of other structures {
        percent(matched)
    } of the mass of these pairs lands on
the right element: {"less" if matched < floor else "more"} than one vector an element reaches without any network ({
        percent(floor)
    }); between two halves of one model it is {percent(ceiling)}.

{
        table(
            [
                "pair",
                "identity mass",
                "the same, raw, anchor-fitted rotation",
                "alignment ratio",
                "element match, disjoint",
                "one vector an element",
                "halves of one model",
            ],
            lines,
        )
    }
"""


def arithmetic(run: Run) -> str:
    rows = run.table("arithmetic").filter(pl.col("metric") == "mrr")
    own = rows.filter(pl.col("model_a") == pl.col("model_b"))

    def value(model: str, space: str, predictor: str) -> str:
        found = own.filter(
            (pl.col("model_a") == model) & (pl.col("space") == space) & (pl.col("predictor") == predictor)
        )
        return f"{found['value'][0]:.2f} ({found['low'][0]:.2f} to {found['high'][0]:.2f})" if found.height else ""

    models = own["model_a"].unique(maintain_order=True)
    columns = [
        ("coordinates", "offset"),
        ("embeddings", "offset"),
        ("coordinates", "no_change"),
        ("coordinates", "composition_mean"),
    ]
    lines = [[model, *(value(model, *column) for column in columns)] for model in models]
    one_hot = own.filter(pl.col("predictor") == "one_hot")
    cross = rows.filter((pl.col("model_a") != pl.col("model_b")) & (pl.col("predictor") == "offset"))
    crossed = with_relation(cross).filter(pl.col("relation").is_in(ACROSS))
    trained = own.filter(
        pl.col("model_a").is_in(TRAINED) & (pl.col("predictor") == "offset") & (pl.col("space") == "coordinates")
    )
    best = trained["value"].max() if trained.height else float("nan")
    raw = own.filter(
        pl.col("model_a").is_in(TRAINED) & (pl.col("predictor") == "offset") & (pl.col("space") == "embeddings")
    )["value"].max()
    alone = one_hot["value"].max()
    verdict = "no trained potential gets there" if max(best, raw) < alone else "some trained potentials get there"
    opening = (
        "Nothing beyond composition that could be shown."
        if max(best, raw) < alone
        else "At least as much as composition."
    )
    return f"""{opening} One-hot vectors of the elements, without any network, rank the true crystal at a mean reciprocal rank of {alone:.2f}; {verdict}: with their own offsets
the best reaches {best:.2f} on coordinates and {raw:.2f} on raw embeddings, and pairs of other families reach {spread(crossed["value"].to_list()) if crossed.height else "-"} with offsets borrowed from each other.
Success at this task measures how linear structure vectors are in composition, not learned chemistry. {own["pairs"].max():,} pairs of {own["prototypes"].max():,} prototypes.

{table(["model", "offset, coordinates", "offset, raw", "no change", "composition mean"], lines)}
"""


def stitching(run: Run) -> str:
    rows = with_relation(run.table("stitching").filter(pl.col("target") == "formation_energy"))
    lines = []
    for (method, head), part in rows.group_by(["method", "head"], maintain_order=True):
        strangers, untrained = (
            part.filter(pl.col("relation").is_in(ACROSS)),
            part.filter(pl.col("relation").is_in([UNTRAINED, SHUFFLED])),
        )
        if strangers.height == 0:
            continue
        lines.append(
            [
                f"{method.replace('_', ' ')}, {head}",
                f"{strangers['error'].median():.2f}",
                f"{strangers['gap'].median():.2f}",
                f"{untrained['gap'].median():.2f}" if untrained.height else "",
                f"{strangers['shuffled_error'].median():.2f}",
                f"{strangers['native_error'].median():.2f}",
            ]
        )
    return f"""A head for the formation energy of MP-20, fitted on one potential's vectors and given another's (median over ordered pairs of other families; eV/atom). Gap: 0 as good as a head of its own, 1 no better
than the mean ({rows["mean_error"].median():.2f} eV/atom). A ridge on composition alone reaches {
        rows["composition_error"].median():.2f}.

{
        table(
            ["method, head", "error", "gap", "gap with untrained", "anchors shuffled", "own head"],
            lines,
        )
    }
"""


def diagnostics(run: Run) -> str:
    spaces = run.table("model_diagnostics").filter(pl.col("space") == "embeddings")
    symmetry = run.table("symmetry").filter(
        (pl.col("space") == "embeddings") & (pl.col("statistic") == "maximum") & pl.col("space_group").is_null()
    )

    def largest(model: str, test: str) -> str:
        found = symmetry.filter((pl.col("model") == model) & (pl.col("test") == test))
        return f"{found['value'][0]:.0e}" if found.height else ""

    lines = [
        [
            row["model"],
            f"{row['mean_cosine']:.2f}",
            f"{row['effective_rank']:.0f} of {row['dim']}",
            f"{row['intrinsic_dimension']:.1f}" if row["intrinsic_dimension"] is not None else "",
            percent(row["element_share"]) if row["element_share"] is not None else "",
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
    return f"""Largest change of an atom's vector, in units of the root mean square vector, when a crystal is rotated at random or inverted; mean cosine of two atoms (anisotropy); share of the variance between elements.

{
        table(
            [
                "model",
                "mean cosine",
                "effective rank",
                "intrinsic dimension",
                "between elements",
                "rotation",
                "inversion",
            ],
            lines,
        )
    }

From one version to the next (shift: change of an atom's coordinates over the distance of random atoms; energies in eV/atom):

{table(["versions", "neighbours kept", "shift", "after rotation, raw", "energy offset", "energy scatter"], drifts)}
"""


def drift_value(part: pl.DataFrame, metric: str) -> str:
    found = part.filter(pl.col("metric") == metric)
    return f"{found['value'][0]:.3f}" if found.height else ""


def atypical(run: Run, docs: Path) -> str:
    judged = run.table("error_prediction")
    spearman = judged.filter(pl.col("metric") == "spearman")
    names = [
        "novelty",
        "disagreement",
        "anchor_cosine",
        "energy_gap",
        "composition_distance",
        "element_rarity",
        "n_atoms",
    ]
    subsets = ["all"] + sorted(set(spearman["subset"].to_list()) - {"all"})
    lines, rows = [], []
    for subset in subsets:
        part = spearman.filter(pl.col("subset") == subset)
        cells, marks = [], {}
        for name in names:
            found = part.filter(pl.col("score") == name)
            cells.append(spread(found["value"].to_list()) if found.height else "")
            own = found.filter(pl.col("model") == "sevennet-0-11jul2024")
            if own.height and name != "n_atoms":
                # Of the gaps that to a potential of another family with the same data: versions of one family err alike.
                shown = own.filter(pl.col("other_model").is_null() | (pl.col("other_model") == "nequix-mp-1"))
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
    backwards = means.get("anchor_cosine", 0) < min(0, means.get("novelty", 0) - 0.2)
    return f"""Scores of a structure against the potentials' error in energy per atom against DFT: Spearman correlation, mean and range over the {judged["model"].n_unique()} potentials whose energies are comparable
(uncorrected PBE(+U) of the Materials Project). The energy gap needs a second comparable potential; composition distance, rarity and size are plain baselines. None of these is an error bar.

Mean within the sources: {ranked}. Over all frames at once anything does well that tells one source from another, so the row `all` says little.
{"The cosine to the nearest anchor works the wrong way round: DIRECT takes unusual atoms as anchors, so that an unusual atom often has one beside it." if backwards else ""}

![Spearman correlations with their intervals](findings/errors.svg)

{table(["frames", "n", "median error, meV/atom", *(name.replace("_", " ") for name in names)], lines)}
"""


def main(output: Path, docs: Path) -> None:
    run = Run(output, "findings")
    scores = Scores(run)
    first, groups = beyond_composition(scores, docs)
    sections = {
        "The run": the_run(run),
        "Do independently trained potentials agree, beyond composition and beyond untrained networks?": first,
        "Does it hold out of distribution?": extremes(
            Scores(Run(output, "findings-equilibrium")), Scores(Run(output, "findings-extreme")), docs
        ),
        "What matters: lineage, data, architecture": what_matters(groups, scores),
        "Which defaults decide the answer?": which_defaults(
            scores,
            {
                DIRECT: Scores(Run(output, "findings-equilibrium")),
                "DIRECT anchors, cosines about their mean": Scores(Run(output, "findings-centred")),
                RANDOM: Scores(Run(output, "findings-random")),
            },
        ),
        "Transport": transport(run),
        "What arithmetic reaches beyond composition": arithmetic(run),
        "What stitching reaches beyond composition": stitching(run),
        "How the potentials' spaces look": diagnostics(run),
        "Which structures are atypical, and does it predict errors?": atypical(run, docs),
        "What to keep in mind": LIMITS,
    }
    body = "\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    (docs / "findings.md").write_text(HEADER + body)


HEADER = """# Findings

What koine says of every potential at hand, written by `npm run findings` from the tables of one run (`findings/findings.yaml`) and of four variants that compare the same potentials on listed atoms and with other coordinates. Scores of
similarity are shares of common nearest neighbours (k = 10, Euclidean, on cosines to 100 anchors), calibrated against row permutations within elements: 0 is what the elements explain, 1 the same
neighbourhoods. Intervals are 95 % bootstrap intervals; ranges are over pairs of models.

"""

LIMITS = """- The paper (Li & Walsh, arXiv 2512.05349) reports convergence for seven potentials; none of them is among these, their weights not being at hand, and its own figures could not be read. What is compared here is its claim, not its numbers.
- Its notebook takes neighbours by inner product and compares them without a null; the section on defaults shows what that choice does.
- Most of these potentials learned from the Materials Project in one form or another. Agreement between them is no independent evidence about nature.
- Neighbours at equal distance are taken in the order of the rows, in both models. Controls that are constant within an element therefore seem to agree with each other; potentials hardly have such ties.
- The labels of the molecular-dynamics frames may follow other settings than the potentials' training data; part of the error there is not theirs.
- Pairs share models, so the number of pairs overstates the number of independent comparisons.
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
