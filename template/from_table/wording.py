"""How spans, names and columns are written: as words, and as Python."""

import keyword
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import ibis

from flightline.adapters.source_tables import ROW
from template.from_table.columns import INTEGER, MOMENT, NUMBER, TEXT, Column
from template.from_table.plan import View

_UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


def spoken(span: timedelta) -> str:
    """Say a span in words.

    Examples
    --------
    >>> spoken(timedelta(days=28)), spoken(timedelta(hours=1))
    ('28 days', 'an hour')
    """
    if span == timedelta(0):
        return "0 seconds"
    for unit, seconds in _UNITS:
        count, rest = divmod(span.total_seconds(), seconds)
        if not rest:
            article = {"hours": "an hour", "days": "a day", "minutes": "a minute", "seconds": "a second"}
            return article[unit] if count == 1 else f"{count:.0f} {unit}"
    return str(span)


def as_argument(span: timedelta) -> str:
    """Write a span as the argument of a timedelta: days=28."""
    for unit, seconds in _UNITS:
        count, rest = divmod(span.total_seconds(), seconds)
        if not rest:
            return f"{unit}={count:.0f}"
    return f"seconds={span.total_seconds():.0f}"


def as_date(moment: datetime) -> str:
    """Write a moment as `config.py` does: _at(2024, 3, 31, 9)."""
    hour = f", {moment.hour}" if moment.hour else ""
    return f"_at({moment.year}, {moment.month}, {moment.day}{hour})"


def quoted(names: Iterable[str], as_list: bool = False) -> str:
    """Write names as Python's text, with commas between; as a list if asked."""
    inside = ", ".join(f'"{name}"' for name in names)
    return f"[{inside}]" if as_list else inside


def class_shares(classes: Sequence[str]) -> dict[str, str]:
    """Name the share of each class as a feature can be named.

    Examples
    --------
    >>> class_shares(["Very small", "C++", "C#"])
    {'share_very_small': 'Very small', 'share_c': 'C++', 'share_c_2': 'C#'}
    """
    named: dict[str, str] = {}
    for value in classes:
        word = "share_" + (re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_") or "other")
        number = 1 + sum(name == word or name.startswith(f"{word}_") for name in named)
        named[word if word not in named else f"{word}_{number}"] = value
    return named


def cell(name: str) -> str:
    """Write the column of a deferred table, where a method or a word of Python may have its name.

    Examples
    --------
    >>> cell("amount"), cell("count"), cell("class")
    ('_.amount', '_["count"]', '_["class"]')
    """
    is_plain = not keyword.iskeyword(name) and not hasattr(ibis.Table, name)
    return f"_.{name}" if is_plain else f'_["{name}"]'


def as_contract(column: Column) -> str:
    """Write what `raw_tables.py` declares of a column."""
    nullable = ", nullable=True" if column.missing else ""
    if column.name == ROW:
        return "integer(0, 10_000)"
    if column.kind == MOMENT:
        return f"moment({nullable.removeprefix(', ')})"
    if column.kind == TEXT:
        return f"text_up_to({column.high:.0f}{nullable})"
    if column.kind == INTEGER:
        return f"integer({_whole(column.low)}, {_whole(column.high)}{nullable})"
    return f"number({column.low:g}, {column.high:g}{nullable})"


def _whole(value: float) -> str:
    return f"{int(value):_}" if abs(value) >= 10_000 else str(int(value))


def as_field(column: Column, nullable: bool) -> str:
    """Give a field of the request: what the contract says of the column."""
    if column.is_truth:
        kind, bounds = "int", "strict=True, ge=0, le=1"
    elif column.kind == INTEGER:
        kind, bounds = "int", f"strict=True, ge={_whole(column.low)}, le={_whole(column.high)}"
    elif column.kind == NUMBER:
        kind, bounds = "float", f"ge={column.low:g}, le={column.high:g}"
    else:
        kind, bounds = "str", f"min_length=1, max_length={column.high:.0f}"
    default = "default=None, " if nullable else ""
    description = f'description="Column {column.name} of the table."'
    return f"{kind}{' | None' if nullable else ''} = Field({default}{bounds}, {description})"


def spoken_keys(view: View) -> str:
    """Say what a view is about."""
    return f"each {' and '.join(view.keys)}" if view.keys else "all rows together"


def sample(column: Column) -> object:
    """Make up a value that the contract allows."""
    if column.kind == TEXT:
        return column.values[0] if column.values else "a"
    if column.kind == MOMENT:
        return "2020-01-01T00:00:00Z"
    middle = (column.low + column.high) / 2
    return int(middle) if column.kind == INTEGER else float(f"{middle:.4g}")


def another(column: Column) -> object:
    """Make up a number that the contract allows, and that is not `sample`."""
    value = (column.low + 3 * column.high) / 4 if not column.is_truth else 1 - int((column.low + column.high) / 2)
    return int(value) if column.kind == INTEGER else float(f"{value:.4g}")
