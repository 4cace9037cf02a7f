"""Sections on how far potentials agree: beyond composition, out of distribution, and by how they are related."""

from pathlib import Path

import numpy as np

import figures
from groups import COMPOSITION, CONTROLS, RELATIONS, SHUFFLED, TRAINED, UNTRAINED
from phrases import GAP, percent, share, table
from scores import Group, Groups, Scores

COLOURS = dict.fromkeys(CONTROLS, figures.WARM) | {RELATIONS[0]: figures.SOFT}


def beyond_composition(scores: Scores, docs: Path) -> str:
    models = scores.models
    calibrated = scores.of("calibrated")
    order = [model for kind in [TRAINED, *CONTROLS] for model in models.of(kind)]
    values = np.array([[1.0 if a == b else calibrated.get(frozenset((a, b)), np.nan) for b in order] for a in order])
    kinds = [models.kind(model) for model in order]
    breaks = [i for i in range(1, len(order)) if kinds[i] != kinds[i - 1]]
    figures.heatmap(
        docs / "findings/similarity.svg", order, values, breaks, "common neighbours, calibrated within element"
    )
    groups = scores.groups("calibrated")
    figures.strips(
        docs / "findings/relations.svg",
        {name: group.values for name, group in groups.items()},
        "common neighbours, calibrated within element (1 = the same)",
        COLOURS,
    )
    p_within, p_free = scores.groups("p_value"), scores.groups("p_value", null="free")
    free = scores.groups("calibrated", null="free")
    rows = [
        [
            name,
            str(len(group)),
            str(group),
            share(p_within[name].values, lambda p: p < 0.05),
            str(free[name]),
            share(p_free[name].values, lambda p: p < 0.05),
        ]
        for name, group in groups.items()
    ]
    trained, untrained, composition = groups.across, groups.untrained, groups.composition
    holds = min(trained.values) > max(composition.values) and trained.mean > 2 * untrained.mean
    above = np.mean([value > max(untrained.values) for value in trained.values])
    raw = scores.groups("calibrated", space="embeddings")
    verdict = "Yes, modestly." if holds else "Not clearly."
    listed = table(["pair", "pairs", "within element", "p < 0.05", "free null", "p < 0.05"], rows)
    return f"""{verdict} Trained potentials of different families share {trained} of their
neighbourhoods beyond what the element of an atom explains (mean, range over {len(trained)} pairs; 0 = chance among atoms of the same element, 1 = identical).
Trained potentials against networks with random or shuffled weights reach {untrained}, against composition alone {composition}.
{percent(above)} of the trained pairs lie above the best of the {len(untrained)} pairs with a network that learned nothing.

The same on raw embeddings: {raw.across} for trained pairs, {raw.untrained} with untrained or shuffled networks, {raw.composition} with composition.
Cosines to 100 anchors keep {percent(trained.mean / raw.across.mean)} of it.

![Common neighbours of all pairs](findings/similarity.svg)

![The same by relation of the two](findings/relations.svg)

{listed}

The free null asks whether atoms are arranged alike at all; composition alone passes it. Only the null within elements asks about more than composition.
"""


def extremes(equilibrium: Scores, extreme: Scores, docs: Path) -> str:
    calm, hot = equilibrium.of("calibrated"), extreme.of("calibrated")
    low, high = equilibrium.of("n", null="none"), extreme.of("n", null="none")
    if equilibrium.models.ids != extreme.models.ids:
        raise SystemExit(
            f"findings: runs '{equilibrium.run.name}' and '{extreme.run.name}' compare other models: {equilibrium.models.ids} and {extreme.models.ids}"
        )
    pairs = list(equilibrium.models.pairs())
    names = {name: name for name in (RELATIONS[0], UNTRAINED, SHUFFLED, COMPOSITION)}
    colours = {
        "trained, other lineages": figures.INK,
        "one lineage": figures.SOFT,
        UNTRAINED: figures.WARM,
        SHUFFLED: "#e0a458",
        COMPOSITION: "#7d7d7d",
    }
    figures.scatter(
        docs / "findings/extreme.svg",
        [calm[frozenset((a, b))] for a, b, _ in pairs],
        [hot[frozenset((a, b))] for a, b, _ in pairs],
        [names.get(name, "trained, other lineages") for _, _, name in pairs],
        colours,
        ("relaxed crystals", "high temperature and pressure"),
    )
    before, after = equilibrium.groups("calibrated"), extreme.groups("calibrated")
    rows = [[name, str(len(group)), str(group), str(after[name])] for name, group in before.items()]
    change = Group(
        {pair: after.across.pairs[pair] - value for pair, value in before.across.pairs.items()}, before.across.lineage
    )
    raw = [one.groups("calibrated", space="embeddings").across for one in (equilibrium, extreme)]
    low_ratio = after.across.mean / after.untrained.mean
    verdict = (
        "The agreement falls out of distribution"
        if change.mean < -0.02
        else "The agreement rises out of distribution"
        if change.mean > 0.02
        else "The agreement is about the same out of distribution"
    )
    return f"""{verdict}: potentials of different families agree to {before.across} on relaxed crystals and {after.across} on snapshots at high temperature and pressure
(mean change {change.mean:+.2f}; {share(change.values, lambda c: c < 0)} pairs fall). There they stand at {low_ratio:.1f} times what networks without training reach.
On raw embeddings, where no anchors come between, it is {raw[0]} and {raw[1]}.
Both lists hold one structure a formula, the same number of structures and at most four atoms of each ({min(low.values()):,} and {min(high.values()):,} atoms), so that neither copies of one trajectory
nor the number of rows decides. Elements and compositions differ between the lists; the null within elements takes out the first, not all of the second.

![On relaxed crystals and at high temperature and pressure](findings/extreme.svg)

{table(["pair", "pairs", "relaxed crystals", "high temperature and pressure"], rows)}
"""


def what_matters(scores: Scores) -> str:
    calibrated, low, high = (scores.of(column) for column in ("calibrated", "calibrated_low", "calibrated_high"))
    groups = scores.groups("calibrated")
    rows = []
    for name in RELATIONS[:4]:
        for a, b, of in scores.models.pairs():
            if of == name:
                key = frozenset((a, b))
                rows.append([name, f"{a} and {b}", f"{calibrated[key]:.2f}", f"{low[key]:.2f} to {high[key]:.2f}"])
    means = {name: groups[name].mean for name in RELATIONS if name in groups}
    order = " > ".join(f"{name} {means[name]:.2f}" for name in sorted(means, key=lambda name: -means[name]))
    highest = RELATIONS[0] in means and means[RELATIONS[0]] == max(means.values())
    family, data = (worth(groups, name) for name in RELATIONS[2:4])
    verdict = (
        ""
        if family is None or data is None
        else "Architecture weighs more than data."
        if family > data + 0.02
        else "Data weigh more than architecture."
        if data > family + 0.02
        else "Neither of the two clearly weighs more."
    )
    opening = "Lineage weighs most" if highest else "Means"
    return f"""{opening}: {order}. Being of one family with other data is worth {signed(family)} over strangers, having seen the same data with another family {signed(data)}.
{verdict}
The groups are small and overlap in models, so these are differences of means, not tests.

{table(["relation", "pair", "calibrated", "95 % interval"], rows)}
"""


def worth(groups: Groups, name: str) -> float | None:
    """What a relation is worth over having nothing in common; None where the run has no pair of either."""
    strangers = RELATIONS[4]
    return groups[name].mean - groups[strangers].mean if name in groups and strangers in groups else None


def signed(value: float | None) -> str:
    """A difference; a gap where there is none."""
    return GAP if value is None else f"{value:+.2f}"
