"""Figures as text: the cells of tables and the numbers of sentences."""

from collections.abc import Callable, Collection

import polars as pl

GAP = "-"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def share(values: Collection, condition: Callable) -> str:
    """How many of the values meet the condition."""
    return f"{sum(map(condition, values))} of {len(values)}"


def percent(value: float) -> str:
    """A share in percent."""
    return f"{100 * value:.0f} %"


def spread(column: pl.Series, mean: float | None = None) -> str:
    """Mean (that of the column unless given) and range of a column."""
    return f"{column.mean() if mean is None else mean:.2f} ({column.min():.2f} to {column.max():.2f})"


def average(rows: pl.DataFrame, column: str, digits: int) -> str:
    """Mean of a column over pairs of lineages (see `Models.with_relation`), with how many values are undefined; a gap where all are."""
    return _known(rows[column], of_lineages(rows, column).mean(), digits)


def middle(rows: pl.DataFrame, column: str, digits: int) -> str:
    """Median of a column over pairs of lineages, told like `average`."""
    return _known(rows[column], of_lineages(rows, column).median(), digits)


def of_lineages(rows: pl.DataFrame, column: str) -> pl.Series:
    """One value for each pair of lineages: the mean of its pairs of models. Fine-tunes of one network are one voice."""
    return rows.group_by("lineages", maintain_order=True).agg(pl.mean(column))[column]


def _known(column: pl.Series, value: float | None, digits: int) -> str:
    if value is None:
        return GAP
    missing = column.null_count()
    return f"{value:.{digits}f}" + (f" ({missing} of {column.len()} undefined)" if missing else "")
