"""Section on what the tables say of the paper's claim: that independently trained potentials see chemistry in much the same way."""

import polars as pl

from dataset import Run
from groups import ACROSS
from knowledge import arithmetic_reach, stitched
from phrases import of_lineages, percent, share
from scores import Scores


def the_claim(scores: Scores, run: Run) -> str:
    points = [agreement(scores), one_space(scores), measure(scores), arithmetic(run), stitching(run)]
    return "".join(f"- {point}\n" for point in points)


def agreement(scores: Scores) -> str:
    groups = scores.groups("calibrated")
    significant = share(scores.groups("p_value").across.values, lambda p: p < 0.05)
    verdict = "For it" if groups.across.mean > 1.5 * groups.untrained.mean else "Against it"
    return (
        f"{verdict}: potentials of different families share {groups.across} of their neighbourhoods beyond what elements explain ({significant} pairs with p < 0.05), "
        f"against {groups.untrained} with networks that learned nothing and {groups.composition} with composition."
    )


def one_space(scores: Scores) -> str:
    raw = scores.groups("calibrated", space="embeddings").across
    return (
        f"Against reading it as one common space: {percent(1 - raw.mean)} of the calibrated range is not shared even by raw embeddings, "
        f"and the best pair of different families stays at {max(raw.values):.2f}."
    )


def measure(scores: Scores) -> str:
    inner = scores.groups("value", "mutual_knn_inner", null="none")
    blind = inner.across.mean < 1.2 * max(inner.untrained.mean, inner.composition.mean)
    verdict = "it does not tell what was learned from what was not" if blind else "it does tell what was learned"
    return (
        f"The measure of its notebook, neighbours by inner product without a null, gives {inner.across} for the same pairs, "
        f"{inner.untrained} with networks that learned nothing, {inner.composition} with composition: {verdict}."
    )


def arithmetic(run: Run) -> str:
    *reached, alone = arithmetic_reach(run)
    verdict = "For" if max(reached) >= alone else "Against"
    return (
        f"{verdict} chemical arithmetic as a sign of learned chemistry: the best potential ranks the true crystal at {max(reached):.2f}, "
        f"one-hot vectors of the elements at {alone:.2f}."
    )


def stitching(run: Run) -> str:
    rows = stitched(run)
    strangers = rows.filter(pl.col("relation").is_in(ACROSS)).group_by(["method", "head"], maintain_order=True)
    medians = {
        name: [of_lineages(part, column).median() for column in ("error", "native_error", "shuffled_error")]
        for name, part in strangers
    }
    (method, head), (error, native, shuffled) = min(medians.items(), key=lambda one: one[1][0])
    composition = rows["composition_error"].median()
    verdict = (
        "For" if error < 0.9 * composition else "Against" if error > 1.1 * composition else "Neither for nor against"
    )
    return (
        f"{verdict} moving knowledge without training: the best way of stitching across families ({method.replace('_', ' ')}, {head}) predicts formation energies to {error:.2f} eV/atom, "
        f"with shuffled anchors to {shuffled:.2f}, composition alone to {composition:.2f}, a potential's own head to {native:.2f}."
    )
