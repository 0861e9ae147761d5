"""Decides, from what was asked and what the table holds, everything that the templates write down."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from flightline.adapters.source_tables import ROW
from template.from_table.columns import (
    INTEGER,
    MOMENT,
    NUMBER,
    TEXT,
    Column,
    describe_column,
    moments_of,
    typical_gap,
)
from template.from_table.question import Label, Question
from template.from_table.target import classes_of, task_of
from template.renaming import StartError

LEAST_ROWS, LEAST_DAYS = 500, 30
MOST_MEASURES = 6
# What a rolling window may be; rolling() names whole hours and days.
_SPANS = [timedelta(hours=1), timedelta(hours=6), *(timedelta(days=days) for days in (1, 7, 28, 91, 364))]
# A row is known so long after its time that none is among the features of its own prediction: not while a request about
# its moment is still answered, which is a minute (`Problem.request_delay`).
_AFTERWARDS = timedelta(minutes=2)
LABELS_A_WINDOW = 300
# What gate and monitor ask for at least (`Thresholds.min_days`, `Monitoring.min_days`), with predictions.
LEAST_TEST_DAYS, LEAST_WINDOW_DAYS = 10, 4


@dataclass(frozen=True)
class View:
    """Two feature tables, `<name>_last` and `<name>_recent`: of each value of the keys, or of all rows together."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What the templates of `files/` read; times are UTC.

    Parameters
    ----------
    table
        Name of the raw table.
    columns
        Of the raw table, in order, by name.
    key
        What identifies a row of it.
    classes
        Of a multiclass task the values of the label, in order.
    common_classes
        Those of which earlier shares are features, the commonest first.
    measures
        Numbers of a row that features average, without the label.
    views
        What features are computed for.
    spans
        The windows of `<view>_recent`.
    ttl
        How old the newest row of a key may be and still count.
    first, last
        Moments of the first and the last row.
    unit, validation, test
        Of the moving windows.
    first_clock, leak_test_moments
        For `config.py`.
    window_days, label_delay
        For the monitor.
    slices
        Columns of the request by which models are compared.
    time_features
        What of the moment tells two requests apart: hour_of_day, day_of_week, day_of_year.
    """

    question: Question
    table: str
    columns: dict[str, Column]
    key: tuple[str, ...]
    task: str
    classes: tuple[str, ...]
    common_classes: tuple[str, ...]
    measures: tuple[Column, ...]
    views: tuple[View, ...]
    spans: tuple[timedelta, ...]
    ttl: timedelta
    first: datetime
    last: datetime
    unit: str
    validation: int
    test: int
    first_clock: datetime
    leak_test_moments: tuple[datetime, ...]
    window_days: int
    label_delay: timedelta
    slices: tuple[str, ...]
    time_features: tuple[str, ...]

    @property
    def label(self) -> Label:
        """What is predicted."""
        return self.question.label

    @property
    def moment(self) -> str:
        """The request's field that says when what is predicted happens."""
        return "asked_at" if self.label.follows else self.question.time

    @property
    def row_known_after(self) -> timedelta:
        """How long after its moment a row is known."""
        return max(self.question.known_after if self.label.follows else timedelta(0), _AFTERWARDS)

    @property
    def outcome_known_after(self) -> timedelta:
        """How long after its moment the label of a row is known."""
        return max(self.question.known_after, _AFTERWARDS)

    @property
    def label_is_measured(self) -> bool:
        """Whether labels of earlier rows are a feature."""
        return not self.label.follows


def make_plan(question: Question, frame: pd.DataFrame) -> Plan:
    """Decide.

    Parameters
    ----------
    frame
        As `source_tables.read_source` gives it.

    Raises
    ------
    StartError
        If a named column is not there or of no use for what it was named for, or there are too few rows.
    """
    frame = frame.reset_index(drop=True)
    columns = {str(name): describe_column(frame[name]) for name in frame}
    _check(question, columns, frame)
    moments = moments_of(frame[question.time], question.zone)
    keys = [frame[name].astype(str) for name in question.keys]
    first, last = moments.min().to_pydatetime(), moments.max().to_pydatetime()
    unit, validation, test, settled = _windows(question, moments)
    rows_a_day = len(frame) / max((last - first).days, 1)
    gap = typical_gap(moments, keys)
    spans = _spans(gap, last - first)
    key = _row_key(question, frame, moments)
    if ROW in key:
        columns[ROW] = describe_column(pd.Series([0, 10_000], name=ROW))
    measures = _measures(question, columns, frame)
    task = task_of(question, columns)
    classes, common = classes_of(frame[question.label.column]) if task == "multiclass" else ((), ())
    return Plan(
        question=question,
        table=_table_name(question.source),
        columns=columns,
        key=key,
        task=task,
        classes=classes,
        common_classes=common,
        measures=measures,
        views=_views(question),
        spans=spans,
        ttl=max(spans[-1], _in_days(4 * gap)),
        first=first,
        last=last,
        unit=unit,
        validation=validation,
        test=test,
        first_clock=settled,
        leak_test_moments=tuple(_at_hour(first + (settled - first) * share) for share in (0.3, 0.5, 0.7)),
        window_days=_window_days(question, rows_a_day, frame, _days_apart(question, moments)),
        label_delay=question.label.within + question.known_after + timedelta(days=1),
        slices=_slices(question, columns),
        time_features=_time_features(question, moments),
    )


def _slices(question: Question, columns: dict[str, Column]) -> tuple[str, ...]:
    asked = (*question.keys, *question.request)
    return tuple(name for name in asked if 2 <= columns[name].distinct <= 20 and columns[name].values)


def _check(question: Question, columns: dict[str, Column], frame: pd.DataFrame) -> None:
    named = (question.time, *question.keys, *question.request, *filter(None, [question.label.column]))
    if absent := [name for name in named if name not in columns]:
        raise StartError(f"the table has no column {', '.join(absent)}; it has {', '.join(columns)}")
    if columns[question.time].kind != MOMENT:
        raise StartError(
            f"TIME={question.time} holds {frame[question.time].dropna().head(1).tolist()}, expected times such as "
            "2024-03-31T09:30:00Z, or dates"
        )
    for name in (question.time, *question.keys):
        if columns[name].missing:
            raise StartError(
                f"{name} is missing in {columns[name].missing:.1%} of the rows; leave those out of "
                f"{question.source}, or give them a value of their own"
            )
    for name in question.keys:
        if columns[name].kind not in (INTEGER, TEXT):
            raise StartError(f"KEY={name} is of type {columns[name].kind}, expected text or whole numbers")
    span = moments_of(frame[question.time], question.zone)
    days = (span.max() - span.min()).days
    if len(frame) < LEAST_ROWS or days < LEAST_DAYS:
        raise StartError(
            f"{question.source} has {len(frame):,} rows of {days} days, expected {LEAST_ROWS} of {LEAST_DAYS} days "
            "at least: with fewer neither a gate nor a monitor can say anything"
        )


def _table_name(source: str) -> str:
    stem = source.partition("#")[2].rpartition(".")[2] or source.rstrip("/").rpartition("/")[2].partition(".")[0]
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return name if name and name[0].isalpha() else f"table_{name}".rstrip("_")


def _row_key(question: Question, frame: pd.DataFrame, moments: pd.Series) -> tuple[str, ...]:
    """Find what tells rows apart: key and time, or else a number for rows that share both."""
    key = (*question.keys, question.time)
    cells = frame[list(question.keys)].assign(**{question.time: moments})
    return (*key, ROW) if cells.duplicated().any() else key


def _measures(question: Question, columns: dict[str, Column], frame: pd.DataFrame) -> tuple[Column, ...]:
    """Take the numbers of a row that vary and do not count or name it, those without gaps first.

    Hundredths of a number that features average must be exact (`rolling`): what is larger is a name.
    """
    used = {question.time, *question.keys, question.label.column, ROW}
    found = [
        column
        for column in columns.values()
        if column.name not in used and column.is_number and column.spread > 0 and column.missing < 0.5
        and not (column.kind == INTEGER and column.distinct > 0.9 * len(frame))
        and 100 * max(-column.low, column.high) < 2**53
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda column: column.missing > 0)[:MOST_MEASURES])


def _views(question: Question) -> tuple[View, ...]:
    if not question.keys:
        return (View("all", ()),)
    short = [name.removesuffix("_id") for name in question.keys]
    names = short if len(set(short)) == len(short) else question.keys
    alone = [View(name, (key,)) for name, key in zip(names, question.keys, strict=True)]
    together = [View("_".join(view.name for view in alone), question.keys)] if len(alone) > 1 else []
    return (*alone, *together)


def _spans(gap: timedelta, whole: timedelta) -> tuple[timedelta, ...]:
    """Take three windows that hold more than one row of a key, and lie well inside the data."""
    fitting = [span for span in _SPANS if span >= gap and span <= whole / 4]
    return tuple(fitting[:3]) or (max((span for span in _SPANS if span <= whole / 4), default=_SPANS[2]),)


def _in_days(span: timedelta) -> timedelta:
    return timedelta(days=math.ceil(span / timedelta(days=1)))


def _windows(question: Question, moments: pd.Series) -> tuple[str, int, int, datetime]:
    """Give unit, validation and test of the moving windows, and where the clock begins: some days before the end."""
    first, last = moments.min().to_pydatetime(), moments.max().to_pydatetime()
    known = last - question.label.within - question.known_after
    unit, length = (
        ("months", timedelta(days=30.44)) if known - first >= timedelta(days=300) else ("days", timedelta(days=1))
    )
    units = (known - first) / length
    if units < 10:
        raise StartError(
            f"the labels of {(known - first).days} days are known by the end of the data, too few to learn from, "
            "choose on and test on; add data, or ask what is known earlier"
        )
    least = math.ceil(LEAST_TEST_DAYS * _days_apart(question, moments) / length)
    test = max(round(units / 5), least)
    validation = max(round(units / 10), 1)
    if test > units / 2:
        raise StartError(
            f"a test needs {LEAST_TEST_DAYS} days with predictions, here {least} of {units:.0f} {unit}; add data, or "
            "ask more often"
        )
    clock = last - min(max((last - first) / 50, timedelta(days=3)), timedelta(days=14))
    return unit, validation, test, clock.replace(minute=0, second=0, microsecond=0)


def _days_apart(question: Question, moments: pd.Series) -> timedelta:
    """Give how far apart the days with predictions are: a day, a week or a month."""
    if question.label.follows:
        return max(question.every, timedelta(days=1))
    days = moments.dt.floor("D")
    return (days.max() - days.min()) / max(days.nunique() - 1, 1)


def _window_days(question: Question, rows_a_day: float, frame: pd.DataFrame, apart: timedelta) -> int:
    """Give a length of the monitor's windows, in whole weeks, that holds enough labels of enough days."""
    labels_a_day = rows_a_day
    if question.label.follows:
        asked_at_once = frame[list(question.keys)].drop_duplicates().shape[0] / 4
        labels_a_day = asked_at_once / (question.every / timedelta(days=1))
    wanted = max(timedelta(days=LABELS_A_WINDOW / max(labels_a_day, 0.1)), LEAST_WINDOW_DAYS * apart)
    most = max(84, 7 * math.ceil(LEAST_WINDOW_DAYS * apart / timedelta(days=7)))
    return next((days for days in (7, 14, 28, 56, 84) if timedelta(days=days) >= wanted), most)


def _time_features(question: Question, moments: pd.Series) -> tuple[str, ...]:
    local = moments.dt.tz_convert(question.zone)
    found = []
    if not question.label.follows and local.dt.hour.nunique() > 1:
        found.append("hour_of_day")
    if not question.label.follows and local.dt.dayofweek.nunique() > 1:
        found.append("day_of_week")
    if (moments.max() - moments.min()).days >= 730:
        found.append("day_of_year")
    return tuple(name for name in found if name not in (*question.keys, *question.request))


def _at_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def numbers_of(plan: Plan) -> tuple[Column, ...]:
    """Give the columns of a row that features average: its measures without gaps."""
    return tuple(column for column in plan.measures if not column.missing)


def is_small(column: Column) -> bool:
    """Whether a number is lost when `rolling` rounds it to hundredths."""
    return column.kind == NUMBER and column.spread < 1
