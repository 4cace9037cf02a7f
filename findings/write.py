"""Writes docs/findings.md and its figures from the tables of the runs that run.mjs made.

    python write.py OUTPUT DOCS

Sentences that depend on a figure are chosen by it; nothing here is filled in by hand.
"""

import sys
from pathlib import Path

import polars as pl

from agreement import beyond_composition, extremes, what_matters
from claim import the_claim
from dataset import Run
from defaults import DIRECT, EVERYWHERE, RANDOM, which_defaults
from groups import FACTS, TRAINED, Models
from knowledge import arithmetic, stitching, transport
from phrases import table
from scores import Scores
from spaces import atypical, diagnostics


def main(output: Path, docs: Path) -> None:
    variants = ("equilibrium", "extreme", "centred", "random", "all-sources")
    equilibrium, extreme, centred, random, everywhere = (Scores(Run(output, f"findings-{name}")) for name in variants)
    scores = Scores(Run(output, "findings"))
    run = scores.run
    sections = {
        "The run": the_run(run),
        "Do independently trained potentials agree, beyond composition and beyond untrained networks?": beyond_composition(
            scores, docs
        ),
        "Does it hold out of distribution?": extremes(equilibrium, extreme, docs),
        "What matters: lineage, data, architecture": what_matters(scores),
        "Which defaults decide the answer?": which_defaults(
            scores,
            {
                DIRECT: equilibrium,
                "DIRECT anchors, cosines about their mean": centred,
                RANDOM: random,
                EVERYWHERE: everywhere,
            },
        ),
        "Transport": transport(run),
        "What arithmetic reaches beyond composition": arithmetic(run),
        "What stitching reaches beyond composition": stitching(run),
        "How the potentials' spaces look": diagnostics(run),
        "Which structures are atypical, and does it predict errors?": atypical(run, docs),
        "What this says of the paper's claim": the_claim(scores, run),
        "What to keep in mind": LIMITS,
    }
    body = "\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    (docs / "findings.md").write_text(HEADER + body)


def the_run(run: Run) -> str:
    models = Models(run)
    trained = models.of(TRAINED)
    structures = run.table("structures", ["material_id", "source", "n_atoms", "formula"])
    structures = structures.with_columns(pl.col("source").str.split(":").list.first())
    sources = structures.group_by("source").agg(pl.len(), pl.sum("n_atoms"), pl.n_unique("formula")).sort("source")
    rows = [[s, f"{n:,}", f"{atoms:,}", f"{formulas:,}"] for s, n, atoms, formulas in sources.iter_rows()]
    quarantined = run.table("quarantine")
    reasons = quarantined.group_by("code").len().sort("len", descending=True)
    refused = "; ".join(f"{name}: {n:,}" for name, n in reasons.iter_rows()) or "none"
    atoms, families = structures["n_atoms"].sum(), {FACTS[model][0] for model in trained}
    return f"""{structures.height:,} structures, {atoms:,} atoms, {len(trained)} trained potentials of {len(families)} families and
{len(models.ids) - len(trained)} controls. Rows of the quarantine table (a structure and a model each, or a structure for all): {refused}.

{table(["source", "structures", "atoms", "formulas"], rows)}
"""


HEADER = """# Findings

What koine says of every potential at hand, written by `npm run findings` from the tables of one run (`findings/findings.yaml`) and of five variants that compare the same potentials on listed atoms and with other coordinates. Scores of
similarity are shares of common nearest neighbours (k = 10, Euclidean, on cosines to 100 anchors among relaxed crystals), calibrated against row permutations within elements: 0 is what the elements explain, 1 the same
neighbourhoods. Intervals are 95 % bootstrap intervals. Means count a pair of lineages once, with the mean of its pairs of models; ranges are over pairs of models.

"""

LIMITS = """- The paper (Li & Walsh, arXiv 2512.05349) reports convergence for seven potentials; none of them is among these, their weights not being at hand, and its own figures could not be read. What is compared here is its claim, not its numbers.
- Its notebook takes neighbours by inner product and compares them without a null; the section on defaults shows what that choice does.
- Most of these potentials learned from the Materials Project in one form or another. Agreement between them is no independent evidence about nature.
- The labels of the molecular-dynamics frames may follow other settings than the potentials' training data; part of the error there is not theirs.
- Pairs share models, so the number of pairs overstates the number of independent comparisons.
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
