"""What is to be predicted, as it is asked on the command line of `make start`."""

import keyword
import re
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import available_timezones

import ibis

from flightline.core.problem_spec import Task
from template.renaming import StartError

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_COMPARED = re.compile(r"(?P<column>\w+)\s*(?P<op>>=|<=|==|=|>|<)\s*(?P<value>.+)")
_ABSENCE = re.compile(r"(?P<no>no|a) row within (?P<span>\w+)")
# Names that the machine gives to columns of its own, or pydantic to its methods.
TAKEN = {
    "known_at", "event_timestamp", "created_timestamp", "example_id", "outcome", "label_known_at", "probability",
    "prediction_id", "prediction_time", "as_of", "missing_features", "feature_ages_seconds", "answered_by", "notes",
    "copy", "json", "schema", "dict", "construct", "validate", "at", "row",
}  # fmt: skip
LABEL_FORMS = (
    "a column (LABEL=amount), a comparison (LABEL='late: minutes>=15', LABEL='lost: status=cancelled'), or what "
    "follows (LABEL='left: no row within 28d', LABEL='returns: a row within 28d')"
)


@dataclass(frozen=True)
class Label:
    """What is predicted: a column of a row, whether it compares so, or whether a row of the key follows.

    Parameters
    ----------
    name
        As the answer calls it.
    column, comparison, value
        Of the row; comparison and value are empty if the column itself is the label.
    within
        How long after the moment asked a row counts as following; zero if the label is of a row.
    is_absence
        Whether the label is 1 if none follows.
    """

    name: str
    column: str = ""
    comparison: str = ""
    value: str = ""
    within: timedelta = timedelta(0)
    is_absence: bool = False

    @property
    def follows(self) -> bool:
        """Whether keys are asked about on a calendar, and not rows."""
        return self.within > timedelta(0)


@dataclass(frozen=True)
class Question:
    """What the command line says; spans as in 90m, 2h, 28d or 4w.

    Parameters
    ----------
    time
        The column with the moment of a row.
    keys
        Columns that say what a row is about.
    task
        None: as the label has it.
    horizon
        How long before the row's moment, or before the moment asked, is predicted.
    known_after
        How long after its moment a row's label is known.
    request
        Columns of the row that are known when one asks, and come with the request.
    every
        How often each key is asked about, if the label is what follows.
    zone
        Where the clock hung whose times have no zone.
    """

    source: str
    time: str
    label: Label
    keys: tuple[str, ...] = ()
    task: Task | None = None
    horizon: timedelta = timedelta(0)
    known_after: timedelta = timedelta(0)
    request: tuple[str, ...] = field(default=())
    every: timedelta = timedelta(days=7)
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.label.follows and not self.keys:
            raise StartError(f"whether a row follows is asked of a key: add KEY=..., got LABEL of {self.label.within}")
        if self.label.follows and self.request:
            raise StartError("REQUEST names columns of the row that is asked about; with `row within` there is none")
        labels = {self.label.name, self.label.column} - {""}
        named = (self.time, *self.keys, *self.request, *labels)
        if doubled := sorted({name for name in named if named.count(name) > 1}):
            raise StartError(f"TIME, KEY, REQUEST and LABEL share {', '.join(doubled)}; each names other columns")
        if self.zone not in available_timezones():
            raise StartError(f"got ZONE={self.zone}, expected a name such as Europe/Berlin or UTC")
        for name in named:
            is_taken = name in TAKEN or keyword.iskeyword(name) or hasattr(ibis.Table, name)
            if is_taken or name.startswith(("model_", "_")):
                raise StartError(f"got a column named {name}, a word of the template's own; give it another name first")


def parse_span(text: str, name: str) -> timedelta:
    """Read a span of time.

    Raises
    ------
    StartError
        If it is none.

    Examples
    --------
    >>> parse_span("4w", "EVERY").days
    28
    """
    found = re.fullmatch(r"(\d+)([mhdw])", text.strip())
    if not found:
        raise StartError(f"got {name}={text}, expected a number and m, h, d or w, such as 90m, 2h, 28d or 4w")
    return int(found[1]) * _UNITS[found[2]]


def parse_label(text: str) -> Label:
    """Read a label in one of `LABEL_FORMS`.

    Raises
    ------
    StartError
        If it is none.

    Examples
    --------
    >>> parse_label("late: minutes>=15").comparison, parse_label("no row within 28d").name
    ('>=', 'no_row')
    """
    name, _, rest = (part.strip() for part in text.partition(":")) if ":" in text else ("", "", text.strip())
    if name and not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise StartError(f"got the label's name {name!r}, expected small letters, digits and _")
    if found := _ABSENCE.fullmatch(rest):
        is_absence = found["no"] == "no"
        within = parse_span(found["span"], "LABEL ... within ")
        if not within:
            raise StartError(f"got LABEL={text}: within 0 there is never a row")
        return Label(name or ("no_row" if is_absence else "has_row"), within=within, is_absence=is_absence)
    if found := _COMPARED.fullmatch(rest):
        value = re.sub(r"""^(['"])(.*)\1$""", r"\2", found["value"].strip())
        words = re.sub(r"[^a-z0-9]+", "_", f"{found['column']}_{value}".lower()).strip("_")
        comparison = "==" if found["op"] == "=" else found["op"]
        return Label(name or words, found["column"], comparison, value)
    if re.fullmatch(r"\w+", rest):
        return Label(name or rest, rest)
    raise StartError(f"got LABEL={text!r}, expected {LABEL_FORMS}")
