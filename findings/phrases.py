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


def spread(column: pl.Series) -> str:
    """Mean and range of a column."""
    return f"{column.mean():.2f} ({column.min():.2f} to {column.max():.2f})"


def average(column: pl.Series, digits: int) -> str:
    """Mean of a column, with how many of its values are undefined; a gap where all are."""
    return _known(column, column.mean(), digits)


def middle(column: pl.Series, digits: int) -> str:
    """Median of a column, told like `average`."""
    return _known(column, column.median(), digits)


def _known(column: pl.Series, value: float | None, digits: int) -> str:
    if value is None:
        return GAP
    missing = column.null_count()
    return f"{value:.{digits}f}" + (f" ({missing} of {column.len()} undefined)" if missing else "")
