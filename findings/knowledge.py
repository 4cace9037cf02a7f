"""Sections on moving knowledge from one potential to another: transport, arithmetic, stitching."""

import polars as pl

from dataset import Run
from groups import ACROSS, CONTROLS, RELATIONS, SHUFFLED, TRAINED, UNTRAINED, Models
from phrases import GAP, average, middle, of_lineages, percent, spread, table


def transport(run: Run) -> str:
    rows = Models(run).with_relation(run.table("transport_summary"))
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
                average(one, "identity_mass", 3),
                average(baseline, "identity_mass", 3),
                average(one, "alignment_ratio", 2),
                average(other, "element_match_mass", 2),
                average(other, "element_match_floor", 2),
                average(other, "element_match_ceiling", 2),
            ]
        )
    trained = same.filter(pl.col("relation").is_in(ACROSS))
    gap = (same["gap"] / same["cost"]).max()
    apart = disjoint.filter(pl.col("relation").is_in(ACROSS))
    matched, floor, ceiling = (
        of_lineages(apart, f"element_match_{name}").mean() for name in ("mass", "floor", "ceiling")
    )
    back, chance = percent(of_lineages(trained, "identity_mass").mean()), average(trained, "identity_chance", 3)
    compared = "less" if matched < floor else "more"
    header = [
        "pair",
        "identity mass",
        "the same, raw, anchor-fitted rotation",
        "alignment ratio",
        "element match, disjoint",
        "one vector an element",
        "halves of one model",
    ]
    return f"""Exact transport between the coordinates of two potentials puts {back} of the mass of trained pairs of other families back on the same atom
(chance {chance}); largest certified gap of any plan {gap:.0e} of its cost. On disjoint atoms of other structures {percent(matched)} of the mass of these pairs lands on
the right element: {compared} than one vector an element reaches without any network ({percent(floor)}); between two halves of one model it is {percent(ceiling)}.

{table(header, lines)}
"""


def arithmetic_reach(run: Run) -> tuple[float, float, float]:
    """Highest mean reciprocal rank of trained potentials with their own offsets, on coordinates and raw, and that of one-hot vectors."""
    models = Models(run)
    rows = run.table("arithmetic").filter((pl.col("metric") == "mrr") & (pl.col("model_a") == pl.col("model_b")))
    offsets = rows.filter(pl.col("model_a").is_in(models.of(TRAINED)) & (pl.col("predictor") == "offset"))
    best, raw = (offsets.filter(pl.col("space") == space)["value"].max() for space in ("coordinates", "embeddings"))
    alone = rows.filter(pl.col("predictor") == "one_hot")["value"].max()
    if best is None or raw is None or alone is None:
        raise SystemExit(
            f"findings: table arithmetic of run '{run.name}' lacks offsets of trained potentials or one_hot"
        )
    return best, raw, alone


def arithmetic(run: Run) -> str:
    models = Models(run)
    rows = run.table("arithmetic").filter(pl.col("metric") == "mrr")
    own = rows.filter(pl.col("model_a") == pl.col("model_b"))

    def value(model: str, space: str, predictor: str) -> str:
        found = own.filter(
            (pl.col("model_a") == model) & (pl.col("space") == space) & (pl.col("predictor") == predictor)
        )
        return f"{found['value'][0]:.2f} ({found['low'][0]:.2f} to {found['high'][0]:.2f})" if found.height else GAP

    columns = [
        ("coordinates", "offset"),
        ("embeddings", "offset"),
        ("coordinates", "no_change"),
        ("coordinates", "composition_mean"),
    ]
    lines = [[model, *(value(model, *column) for column in columns)] for model in models.ids]
    cross = rows.filter((pl.col("model_a") != pl.col("model_b")) & (pl.col("predictor") == "offset"))
    crossed = models.with_relation(cross, ordered=True).filter(pl.col("relation").is_in(ACROSS))
    best, raw, alone = arithmetic_reach(run)
    behind = max(best, raw) < alone
    verdict = "no trained potential gets there" if behind else "some trained potentials get there"
    opening = "Nothing beyond composition that could be shown." if behind else "At least as much as composition."
    borrowed = spread(crossed["value"], of_lineages(crossed, "value").mean()) if crossed.height else GAP
    tested, prototypes = own["pairs"].max(), own["prototypes"].max()
    return f"""{opening} One-hot vectors of the elements, without any network, rank the true crystal at a mean reciprocal rank of {alone:.2f}; {verdict}: with their own offsets
the best reaches {best:.2f} on coordinates and {raw:.2f} on raw embeddings, and pairs of other families reach {borrowed} with offsets borrowed from each other.
Success at this task measures how linear structure vectors are in composition, not learned chemistry. {tested:,} pairs of {prototypes:,} prototypes.

{table(["model", "offset, coordinates", "offset, raw", "no change", "composition mean"], lines)}
"""


def stitched(run: Run) -> pl.DataFrame:
    """Table stitching, for the formation energy of MP-20, with the relation of every ordered pair."""
    rows = Models(run).with_relation(
        run.table("stitching").filter(pl.col("target") == "formation_energy"), ordered=True
    )
    if rows.is_empty():
        raise SystemExit(f"findings: table stitching of run '{run.name}' has no target formation_energy")
    return rows


def stitching(run: Run) -> str:
    rows = stitched(run)
    lines = []
    for (method, head), part in rows.group_by(["method", "head"], maintain_order=True):
        strangers = part.filter(pl.col("relation").is_in(ACROSS))
        untrained = part.filter(pl.col("relation").is_in([UNTRAINED, SHUFFLED]))
        if strangers.height == 0:
            continue
        lines.append(
            [
                f"{method.replace('_', ' ')}, {head}",
                middle(strangers, "error", 2),
                middle(strangers, "gap", 2),
                middle(untrained, "gap", 2),
                middle(strangers, "shuffled_error", 2),
                middle(strangers, "native_error", 2),
            ]
        )
    by_mean, by_composition = (rows[f"{name}_error"].median() for name in ("mean", "composition"))
    return f"""A head for the formation energy of MP-20, fitted on one potential's vectors and given another's (median over ordered pairs of lineages of other families; eV/atom). Gap: 0 as good as a head of its own, 1 no better
than the mean ({by_mean:.2f} eV/atom). A ridge on composition alone reaches {by_composition:.2f}.

{table(["method, head", "error", "gap", "gap with untrained", "anchors shuffled", "own head"], lines)}
"""
