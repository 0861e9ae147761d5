"""Writes the new project's problem from the templates of `files/`, and lets it look at its data once."""

import json
import math
import os
import pprint
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import DictLoader, Environment, StrictUndefined

from flightline.adapters.source_tables import ROW
from flightline.data.rolling import span_name
from template.from_table.columns import INTEGER, TEXT
from template.from_table.plan import Plan, is_small, numbers_of
from template.from_table.wording import (
    another,
    as_argument,
    as_contract,
    as_date,
    as_field,
    cell,
    class_shares,
    quoted,
    sample,
    spoken,
    spoken_keys,
)
from template.renaming import Spelling, StartError

_FOLDER = Path(__file__).parent / "files"
# Read now: template/ is gone by the time they are filled.
FILES = {file.relative_to(_FOLDER).as_posix(): file.read_text(encoding="utf-8") for file in _FOLDER.rglob("*.j2")}
CODE = ("config", "source", "raw_tables", "availability", "features", "request_features", "api_schema")
TESTS = ("conftest", "test_raw_tables", "test_features", "test_requests", "test_words")
PLANNED_AHEAD = timedelta(days=28)
_TIME_CODE = {
    "hour_of_day": ("local.hour", "hour_of_day (local, 0..23)"),
    "day_of_week": ("local.dayofweek", "day_of_week (local, Monday is 0)"),
    "day_of_year": ("local.dayofyear", "day_of_year (local, 1..366)"),
}


def write_problem(root: Path, plan: Plan, name: Spelling, rows: int, found: Mapping[str, object] | None = None) -> None:
    """Write problem/, the Feast declarations and the tests of the problem.

    Parameters
    ----------
    root
        Of the project, renamed already.
    rows
        Of the table.
    found
        What `first_look` printed; None before it has run: then the example is made up, and no bound is set.
    """
    tests = root / "tests" / "problem"
    shutil.rmtree(tests, ignore_errors=True)
    tests.mkdir()
    (tests / "__init__.py").touch()
    for file, text in problem_files(plan, name, rows, found, _own_words(root, plan)).items():
        (root / file).write_text(text, encoding="utf-8")


def problem_files(
    plan: Plan, name: Spelling, rows: int, found: Mapping[str, object] | None = None, words: Sequence[str] = ()
) -> dict[Path, str]:
    """Give the text of each file, by its path in the project.

    Parameters
    ----------
    words
        Those of the table that no file of the machine uses.

    Raises
    ------
    StartError
        If the label compares a column with what it can never be.
    """
    values = _values(plan, name, rows, found) | {"words": words}
    package, tests = Path("src", name.package, "problem"), Path("tests", "problem")
    files = {package / f"{file}.py": _render(f"{file}.py.j2", values) for file in CODE}
    files[Path("feature_repo", "definitions.py")] = _render("definitions.py.j2", values)
    chosen = [file for file in TESTS if file != "test_words" or words]
    return files | {tests / f"{file}.py": _render(f"tests/{file}.py.j2", values) for file in chosen}


def first_look(root: Path, plan: Plan, name: Spelling) -> dict[str, object]:
    """Let the new project make its first data version and training set, and look at them; print what it prints.

    Raises
    ------
    StartError
        With what it said, if it cannot.
    """
    code = _render("first_look.py.j2", _values(plan, name, 0, None))
    path = os.pathsep.join((str(root / "src"), str(root)))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONPATH": path}
    held = ""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        command = [sys.executable, "-c", code]
        with subprocess.Popen(
            command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            for line in process.stdout or ():
                print(held, end="", flush=True)
                held = line
        errors.seek(0)
        complaints = errors.read().strip().splitlines()
    if process.returncode:
        print(held, end="", flush=True)
        raise StartError(f"the first look at the data ended with: {complaints[-1] if complaints else 'no word'}")
    return dict(json.loads(held))


def _render(template: str, values: Mapping[str, object]) -> str:
    environment = Environment(
        loader=DictLoader(FILES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python, not HTML
    )
    return environment.get_template(template).render(values)


# What the templates call.
_FUNCTIONS: Mapping[str, object] = {
    "small": is_small,
    "spoken": spoken,
    "span_name": span_name,
    "interval": lambda span: f"ibis.interval({as_argument(span)})",
    "pyspan": lambda span: f"timedelta({as_argument(span)})" if span else "timedelta(0)",
    "at": as_date,
    "names": quoted,
    "cell": cell,
    "declared": as_contract,
    "field_of": as_field,
    "spoken_keys": spoken_keys,
    "tuple_of": lambda names: f"({quoted(names)}{',' if len(names) == 1 else ''})",
}
_OF_QUESTION = ("source", "zone", "time", "request", "every", "horizon")
_OF_PLAN = ("moment", "label", "label_is_measured", "row_known_after", "outcome_known_after")


def _values(plan: Plan, name: Spelling, rows: int, found: Mapping[str, object] | None) -> dict[str, object]:
    question, label = plan.question, plan.label
    by_name = plan.columns
    measured = [column for column in plan.measures if not column.missing]
    is_label_number = bool(label.column) and not label.comparison
    row_columns = [each for each in by_name if not (plan.label_is_measured and each == label.column)]
    categories = [each for each in (*question.keys, *question.request) if by_name[each].values]
    return {
        **_FUNCTIONS,
        **{each.name: getattr(plan, each.name) for each in fields(plan)},
        **{each: getattr(plan, each) for each in _OF_PLAN},
        **{each: getattr(question, each) for each in _OF_QUESTION},
        "package": name.package,
        "distribution": name.distribution,
        "question_keys": question.keys,
        "rows": rows,
        "columns": list(by_name.values()),
        "by_name": by_name,
        "column_kinds": ", ".join(sorted({as_contract(column).partition("(")[0] for column in by_name.values()})),
        "row_columns": row_columns,
        "planned_ahead": max(PLANNED_AHEAD, 2 * question.horizon),
        "label_expression": _label_expression(plan),
        "class_shares": class_shares(plan.common_classes),
        "numbers": numbers_of(plan),
        "small_label": is_label_number and is_small(by_name[label.column]),
        "waited": math.ceil(plan.outcome_known_after / timedelta(days=1)),
        "outcome_ttl": max(plan.spans[-1], plan.ttl) + question.known_after,
        "asked_for": max(4 * label.within, plan.spans[-1]),
        "first_asked": f"{_monday_after(plan.first):%Y-%m-%d}",
        "last_asked": f"{plan.last.year + 20}-01-01",
        "first_month": (plan.first.year + plan.first.month // 12, plan.first.month % 12 + 1),
        "categories": categories,
        "request_numbers": [each for each in question.request if by_name[each].is_number],
        "request_fields": (*question.keys, plan.moment, *question.request),
        "meaning_of": {key: meaning for key, (_, meaning) in _TIME_CODE.items()},
        "time_code": {key: code for key, (code, _) in _TIME_CODE.items()},
        "entities": {each: "INT64" if by_name[each].kind == INTEGER else "STRING" for each in question.keys}
        or {"everything": "STRING"},
        "said": said(plan),
        "example": pprint.pformat(found["example"] if found else _example(plan), sort_dicts=False, width=110),
        "naive": _naive(plan, found) if found else None,
        "least_slice": _least_slice(found),
        "sample_row": pprint.pformat(
            {each: sample(column) for each, column in by_name.items() if each not in (question.time, ROW)},
            sort_dicts=False,
        ),
        "ranged": next((column for column in by_name.values() if column.is_number and column.name != ROW), None),
        "out_of_range": next((int(c.high) + 1 for c in by_name.values() if c.is_number and c.name != ROW), 0),
        "numbered": ROW in plan.key,
        "measured": measured[0] if measured else None,
        "other_value": another(measured[0]) if measured else 0,
        "counted_of_three": 1 + min(2, int(plan.spans[-1] / timedelta(days=1))),
    }


def said(plan: Plan) -> str:
    """Say in a sentence what is predicted."""
    question, label = plan.question, plan.label
    when = f"{spoken(question.horizon)} before" if question.horizon else "When"
    if label.follows:
        what = "no row follows" if label.is_absence else "a row follows"
        of = " and ".join(question.keys)
        at = f"{when} the moment asked" if question.horizon else "At the moment asked"
        return f"{at}: the probability that {what} for its {of} within {spoken(label.within)}."
    at = f"{when} the {question.time} of a row" if question.horizon else f"At the {question.time} of a row"
    if label.comparison:
        return f"{at}: the probability that its {label.column} {_word_of(label.comparison)} {label.value}."
    if plan.task == "multiclass":
        return f"{at}: the probability of each {label.column}, of {len(plan.classes)}."
    if plan.task == "classification":
        return f"{at}: the probability that its {label.column} is 1."
    return f"{at}: its {label.column}."


def _word_of(comparison: str) -> str:
    return {"==": "is", ">=": "is at least", "<=": "is at most", ">": "is above", "<": "is below"}[comparison]


def _label_expression(plan: Plan) -> str:
    label = plan.label
    if label.follows:
        return ""
    if plan.task == "multiclass":
        return f"_.{label.column}" + ("" if plan.columns[label.column].kind == TEXT else '.cast("string")')
    if not label.comparison:
        kind = "int64" if plan.task == "classification" else "float64"
        return f'_.{label.column}.cast("{kind}")'
    column = plan.columns[label.column]
    if column.is_number:
        try:
            value = f"{float(label.value):g}"
        except ValueError:
            raise StartError(f"LABEL compares {label.column}, a number, with {label.value!r}") from None
    elif label.comparison == "==":
        if column.values and label.value not in column.values:
            raise StartError(f"{label.column} is never {label.value!r}; it is one of {', '.join(column.values)}")
        value = json.dumps(label.value)
    else:
        raise StartError(f"{label.column} is text, which only = compares; got {label.comparison}")
    return f'(_.{label.column} {label.comparison} {value}).cast("int64")'


def _monday_after(moment: datetime) -> datetime:
    return (moment + timedelta(days=7 - moment.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)


def _example(plan: Plan) -> dict[str, object]:
    question = plan.question
    values = {name: sample(plan.columns[name]) for name in (*question.keys, *question.request)}
    keys = {name: values[name] for name in question.keys}
    moment = (plan.first_clock + plan.question.horizon + timedelta(days=1)).isoformat()
    return {**keys, plan.moment: moment, **{name: values[name] for name in question.request}}


def _naive(plan: Plan, found: Mapping[str, object]) -> dict[str, object]:
    """Give the bound that a rule without a model reaches, rounded so that it asks for no more."""
    reached = float(str(found["reached"]))
    digits = 4 if reached <= 0 else 3 - math.floor(math.log10(reached))
    ceiling = math.ceil(reached * 10**digits) / 10**digits
    metric = "mae" if plan.task == "regression" else "log_loss"
    return {"words": found["words"], "shown": f"{metric} {ceiling:g}", "metric": metric, "ceiling": f"{ceiling:g}"}


def _least_slice(found: Mapping[str, object] | None) -> int:
    """Give a smaller least slice than the usual where the test window is small; 0 leaves the usual."""
    rows = dict(found["rows"])["test"] if found else 0  # type: ignore[call-overload] # JSON
    return 100 if 0 < rows < 3000 else 0


def _own_words(root: Path, plan: Plan) -> list[str]:
    """Give those of the table's words that no file of the machine uses."""
    words = {plan.table, *plan.question.keys, plan.label.column, plan.label.name} - {""}
    code = [
        file for folder in ("src", "pipelines", "serving", "tools", "tests") for file in (root / folder).rglob("*.py")
    ]
    text = "\n".join(
        file.read_text(encoding="utf-8").lower() for file in code if "problem" not in file.relative_to(root).parts
    )
    return sorted(word for word in words if len(word) > 3 and word not in text)
