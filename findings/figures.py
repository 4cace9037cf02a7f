"""The figures of docs/findings.md, as SVG with text as text."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt

plt.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "koine",  # the same bytes from the same numbers
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
)
INK = "#1b3a57"
SOFT = "#9db4c8"
WARM = "#c8553d"


def save(figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def heatmap(file: Path, names: list[str], values: np.ndarray, breaks: list[int], label: str) -> None:
    """Square matrix of scores; lines after the positions in `breaks` part the groups."""
    figure, axes = plt.subplots(figsize=(8.6, 7.6))
    image = axes.imshow(values, cmap="YlGnBu", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if np.isfinite(value) and i != j:
                colour = "white" if value > 0.55 else INK
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
    for at in breaks:
        axes.axhline(at - 0.5, color="white", lw=3)
        axes.axvline(at - 0.5, color="white", lw=3)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, shrink=0.6, label=label)
    save(figure, file)


def strips(file: Path, groups: dict[str, list[float]], label: str, colours: dict[str, str]) -> None:
    """One row a group: its values, and their mean as a bar."""
    figure, axes = plt.subplots(figsize=(7.2, 0.42 * len(groups) + 0.9))
    random = np.random.default_rng(0)
    for at, (name, values) in enumerate(groups.items()):
        spread = random.uniform(-0.22, 0.22, len(values))
        axes.scatter(values, at + spread, s=14, color=colours.get(name, INK), alpha=0.65, lw=0)
        axes.plot([np.mean(values)] * 2, [at - 0.34, at + 0.34], color=colours.get(name, INK), lw=2)
    axes.set_yticks(range(len(groups)), [f"{name} ({len(values)})" for name, values in groups.items()])
    axes.invert_yaxis()
    axes.set_xlim(left=min(0, axes.get_xlim()[0]))
    axes.set_xlabel(label)
    axes.grid(axis="x", color="#e3e8ee")
    axes.set_axisbelow(True)
    save(figure, file)


def scatter(file: Path, x, y, kinds: list[str], colours: dict[str, str], labels: tuple[str, str]) -> None:
    """Points of several kinds with the diagonal."""
    figure, axes = plt.subplots(figsize=(5.2, 4.8))
    x, y = np.asarray(x), np.asarray(y)
    for name in dict.fromkeys(kinds):
        of = [k == name for k in kinds]
        axes.scatter(x[of], y[of], s=18, color=colours.get(name, INK), alpha=0.75, lw=0, label=name)
    top = 1.05 * max(x.max(), y.max())
    axes.plot([0, top], [0, top], color=SOFT, lw=1)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.legend(frameon=False, fontsize=8)
    save(figure, file)


def intervals(
    file: Path, rows: list[tuple[str, dict[str, tuple[float, float | None, float | None]]]], label: str, zero: float
) -> None:
    """One row a name; in it one mark a series with its interval (value, low, high), where it has one."""
    series = list(dict.fromkeys(name for _, marks in rows for name in marks))
    palette = [INK, WARM, "#5f9e6e", "#8a6fb0", SOFT, "#c9a227"]
    figure, axes = plt.subplots(figsize=(7.2, 0.46 * len(rows) + 1.2))
    for s, name in enumerate(series):
        offset = (s - (len(series) - 1) / 2) * 0.8 / len(series)
        points = [(at + offset, marks[name]) for at, (_, marks) in enumerate(rows) if name in marks]
        y = [at for at, _ in points]
        value = np.array([mark[0] for _, mark in points])
        low, high = (np.array([mark[k] for _, mark in points], float) for k in (1, 2))  # none: not a number, no bar
        error = np.maximum(0, [value - low, high - value])
        axes.errorbar(value, y, xerr=error, fmt="o", ms=4, lw=1.2, color=palette[s % len(palette)], label=name)
    axes.axvline(zero, color=SOFT, lw=1)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, file)
