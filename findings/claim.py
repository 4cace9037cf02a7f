"""Section on what the tables say of the paper's claim: that independently trained potentials see chemistry in much the same way."""

import polars as pl

from dataset import Run
from groups import ACROSS
from knowledge import arithmetic_reach, stitched
from phrases import of_lineages, share
from scores import Scores


def the_claim(scores: Scores, run: Run) -> str:
    learned = scores.groups("calibrated")
    p_values = scores.groups("p_value").across
    raw = scores.groups("calibrated", space="embeddings").across
    inner = scores.groups("value", "mutual_knn_inner", null="none")
    best, raw_best, alone = arithmetic_reach(run)
    rows = stitched(run)
    errors = {
        name: of_lineages(part, "error").median()
        for name, part in rows.filter(pl.col("relation").is_in(ACROSS)).group_by(
            ["method", "head"], maintain_order=True
        )
    }
    (method, head), error = min(errors.items(), key=lambda one: one[1])
    composition, native = (rows[f"{name}_error"].median() for name in ("composition", "native"))
    beyond = learned.across.mean > 1.5 * learned.untrained.mean
    blind = inner.across.mean < 1.2 * max(inner.untrained.mean, inner.composition.mean)
    moved = error < composition
    return f"""- {"For it" if beyond else "Against it"}: potentials of different families share {
        learned.across
    } of their neighbourhoods beyond what elements explain ({
        share(p_values.values, lambda p: p < 0.05)
    } pairs with p < 0.05), against {learned.untrained} with networks that learned nothing and {
        learned.composition
    } with composition.
- Against reading it as one common space: {
        1
        - raw.mean:.0%} of the calibrated range is not shared even by raw embeddings, and the best pair of different families stays at {
        max(raw.values):.2f}.
- Its measure, neighbours by inner product without a null, gives {inner.across} for the same pairs, {
        inner.untrained
    } with networks that learned nothing, {inner.composition} with composition: {
        "it does not tell what was learned from what was not" if blind else "it does tell what was learned"
    }.
- {
        "For" if max(best, raw_best) >= alone else "Against"
    } chemical arithmetic as a sign of learned chemistry: the best potential ranks the true crystal at {
        max(best, raw_best):.2f}, one-hot vectors of the elements at {alone:.2f}.
- {"For" if moved else "Against"} moving knowledge without training: the best way of stitching across families ({
        method.replace("_", " ")
    }, {head}) predicts formation energies to {error:.2f} eV/atom, composition alone to {
        composition:.2f}, a potential's own head to {native:.2f}.
"""
