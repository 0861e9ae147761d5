"""`make start FROM=...`: what is read, decided and written, what is refused, and that the outcome works."""

import ast
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.source_tables import read_source
from flightline.core.problem_spec import Problem
from template.from_table.columns import describe_column, kind_of
from template.from_table.plan import make_plan
from template.from_table.question import Question, parse_label, parse_span
from template.from_table.wording import spoken
from template.from_table.writing import _render, _values, problem_files
from template.renaming import Spelling, StartError
from template.tests.start.made_up_tables import make_hours, make_months, make_orders, make_weeks

NAME, PROJECT = Spelling.of("churn"), Path(__file__).parents[3]


ORDERS = make_orders()
# Names that the templates use themselves, and text that is none of Python's.
NAMED = ORDERS.assign(
    owner=ORDERS["channel"],
    owner_id=ORDERS["customer_id"],
    windows=ORDERS["stars"],
    day_of_week=ORDERS["ordered_at"].dt.dayofweek,
    said=ORDERS["channel"].map({"web": 'a "\\d"', "shop": "b"}),
)


def question(**asked) -> Question:
    usual = {"source": "orders.csv", "time": "ordered_at", "keys": ("customer_id",), "label": "returned"}
    given = {**usual, **asked}
    return Question(**{**given, "label": parse_label(given["label"])})


@pytest.mark.parametrize(
    ("text", "name", "parts"),
    [
        ("amount", "amount", ("amount", "", "", 0)),
        ("late: minutes>=15", "late", ("minutes", ">=", "15", 0)),
        ("status = cancelled", "status_cancelled", ("status", "==", "cancelled", 0)),
        ("gone: status='it is \"gone\"'", "gone", ("status", "==", 'it is "gone"', 0)),
        ("left: no row within 4w", "left", ("", "", "", 28)),
        ("a row within 24h", "has_row", ("", "", "", 1)),
    ],
)
def test_a_label_is_read(text, name, parts):
    label = parse_label(text)
    assert (label.name, label.column, label.comparison, label.value, label.within.days) == (name, *parts)
    assert label.is_absence == text.endswith("4w")


@pytest.mark.parametrize(
    "text", ["", "one two", "no row within soon", "no row within 0d", "Late: minutes>=15", "a row"]
)
def test_a_label_that_is_none_is_refused(text):
    with pytest.raises(StartError, match="got"):
        parse_label(text)


def test_a_span_that_is_none_is_refused():
    assert parse_span("90m", "HORIZON") == timedelta(minutes=90)
    with pytest.raises(StartError, match="got HORIZON=2 hours, expected a number and m, h, d or w"):
        parse_span("2 hours", "HORIZON")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "20"], "Int64"),
        (["007", "008"], "object"),
        (["1", "2.5"], "Float64"),
        (["true", "False"], "Int64"),
        ([True, False], "Int64"),
        ([1.0, 2.0], "Float64"),
        (["2024-03-31", "2024-03-31T10:00:00"], "datetime64[ns, UTC]"),
        (["2024-03-31", "soon"], "object"),
        ([datetime(2024, 3, 31, tzinfo=UTC)], "datetime64[ns, UTC]"),
    ],
)
def test_the_type_of_a_column_is_found(values, kind):
    assert kind_of(pd.Series(values)) == kind


def test_a_range_has_slack_and_crosses_no_zero():
    column = describe_column(pd.Series([3, 97, None], name="age", dtype="Int64"))
    assert (column.low, column.high, column.distinct) == (0, 150, 2)
    assert column.missing == pytest.approx(1 / 3)
    assert describe_column(pd.Series([-5.0, -1.0], name="depth")).high == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"time": "when"}, "the table has no column when; it has customer_id, ordered_at"),
        ({"time": "amount"}, "TIME=amount holds .* expected times"),
        ({"keys": ("amount",)}, "KEY=amount is of type Float64, expected text or whole numbers"),
        (
            {"label": "channel"},
            r"LABEL=channel holds 2 different values \(shop, web\), expected 3 to 20 texts as classes",
        ),
        ({"task": "multiclass"}, "got TASK=multiclass, but LABEL=returned asks for classification; expected"),
        ({"task": "regression"}, "got TASK=regression, but LABEL=returned asks for classification"),
        ({"label": "channel=phone"}, "channel is never 'phone'; it is one of shop, web"),
        ({"label": "amount>=much"}, "LABEL compares amount, a number, with 'much'"),
    ],
)
def test_what_the_table_cannot_give_is_refused(asked, said):
    with pytest.raises(StartError, match=said):
        problem_files(make_plan(question(**asked), ORDERS), NAME, len(ORDERS))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"label": "no row within 7d", "keys": ()}, "whether a row follows is asked of a key: add KEY"),
        ({"label": "no row within 7d", "request": ("amount",)}, "REQUEST names columns of the row"),
        ({"label": "amount", "request": ("amount",)}, "share amount; each names other columns"),
        ({"label": "channel: amount>3", "request": ("channel",)}, "share channel; each names other columns"),
        ({"zone": "Europe/Bergen"}, "got ZONE=Europe/Bergen, expected a name such as Europe/Berlin"),
        ({"label": "outcome: amount>3"}, "got a column named outcome, a word of the template's own"),
        ({"time": "count"}, "got a column named count, a word of the template's own"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(asked, said):
    with pytest.raises(StartError, match=said):
        question(**asked)


def test_texts_are_classes_and_whole_numbers_are_if_asked():
    assert make_plan(question(label="size"), ORDERS).classes == ("small", "usual", "very big")
    assert make_plan(question(label="stars"), ORDERS).task == "regression"
    ten = ORDERS.assign(stars=ORDERS.index % 10 + 1)
    assert make_plan(question(label="stars", task="multiclass"), ten).classes == tuple(map(str, range(1, 11)))


def test_the_classes_are_written_once():
    files = problem_files(make_plan(question(label="size"), ORDERS), NAME, len(ORDERS))
    listing = [str(file) for file, text in files.items() if '"small", "usual", "very big"' in text]
    assert listing == ["src/churn/problem/config.py"]


def test_too_many_classes_or_rare_ones_are_refused():
    many = ORDERS.assign(size=[f"size {row % 21}" for row in range(len(ORDERS))])
    with pytest.raises(StartError, match="LABEL=size holds 21 different values"):
        make_plan(question(label="size"), many)
    rare = ORDERS.assign(size=ORDERS["size"].mask(ORDERS.index < 3, "huge"))
    with pytest.raises(StartError, match=r"fewer than 50 rows: huge \(3\); give them one name together"):
        make_plan(question(label="size"), rare)


MANY = {f"measured_number_{which}": ORDERS["stars"] for which in range(12)}


@pytest.mark.parametrize("measured", [{}, MANY], ids=["few columns", "many columns"])
def test_what_is_written_is_as_the_linter_wants_it(tmp_path, measured):
    plan = make_plan(question(request=("channel", "amount", *measured)), ORDERS.assign(**measured))
    for file, text in problem_files(plan, NAME, len(ORDERS)).items():
        (tmp_path / file.parent).mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--config", str(PROJECT / "pyproject.toml"), "--no-cache"]
    subprocess.run([*ruff, "format", *options, "."], cwd=tmp_path, check=True)
    subprocess.run([*ruff, "check", "--ignore", "I001", *options, "."], cwd=tmp_path, check=True)
    subprocess.run([*ruff, "check", "--select", "E501", "--ignore-noqa", *options, "."], cwd=tmp_path, check=True)


def test_the_first_look_calls_the_project_as_it_is(tmp_path):
    file = tmp_path / "first_look.py"
    file.write_text(
        _render("first_look.py.j2", _values(make_plan(question(), ORDERS), Spelling.of("flightline"), 0, None))
    )
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(PROJECT / ".state" / "mypy"), str(file)]
    assert "Success" in subprocess.run(mypy, cwd=PROJECT, capture_output=True, text=True, check=False).stdout


def test_a_measure_may_have_the_name_of_a_method():
    plan = make_plan(question(), ORDERS.rename(columns={"amount": "count", "stars": "class"}))
    text = problem_files(plan, NAME, len(ORDERS))[Path("src/churn/problem/features.py")]
    assert '_["count"].cast' in text
    assert '_["class"].cast' in text
    compile(text, "features.py", "exec")


def test_too_few_rows_or_holes_in_a_key_are_refused():
    with pytest.raises(StartError, match=r"has 100 rows of .* days, expected 500 of 30 days"):
        make_plan(question(), ORDERS.head(100))
    holes = ORDERS.assign(customer_id=ORDERS["customer_id"].astype("Int64").mask(ORDERS.index < 7))
    with pytest.raises(StartError, match=r"customer_id is missing in .* of the rows; leave those out"):
        make_plan(question(), holes)


def test_windows_and_clock_follow_from_the_data():
    plan = make_plan(question(known_after=timedelta(days=14)), ORDERS)
    assert (plan.unit, plan.validation, plan.test) == ("months", 1, 3)
    assert plan.first < plan.leak_test_moments[0] < plan.first_clock < plan.last
    short = make_plan(question(), ORDERS[ORDERS["ordered_at"] < datetime(2023, 7, 1, tzinfo=UTC)])
    assert short.unit == "days"


def periodic(freq: str, periods: int) -> pd.DataFrame:
    days = pd.date_range("2019-01-01", periods=periods, freq=freq, tz="UTC")
    return pd.DataFrame({"customer_id": customer, "ordered_at": day, "amount": float(customer)}
                        for day in days for customer in range(1, 201))  # fmt: skip


@pytest.mark.parametrize(
    ("freq", "periods", "test", "window_days"),
    [("D", 400, 3, 7), ("7D", 160, 7, 28), ("MS", 60, 12, 126), ("MS", 40, 10, 126)],
)
def test_a_window_holds_enough_days_also_of_weekly_and_monthly_rows(freq, periods, test, window_days):
    plan = make_plan(question(label="amount"), periodic(freq, periods))
    assert (plan.unit, plan.test, plan.window_days) == ("months", test, window_days)


def test_no_row_is_known_while_a_request_about_its_moment_is_answered():
    plan = make_plan(question(), ORDERS)
    assert min(plan.row_known_after, plan.outcome_known_after) > Problem.request_delay
    text = problem_files(plan, NAME, len(ORDERS))[Path("src/churn/problem/availability.py")]
    assert "ROW_KNOWN_AFTER = ibis.interval(minutes=2)" in text


@pytest.mark.parametrize(
    ("frame", "asked", "windows", "features"),
    [
        (
            make_weeks(),
            {"time": "monday", "keys": ("shop",), "label": "sold"},
            ("months", 7, 56, (7, 28, 91)),
            ("day_of_year",),
        ),
        (
            make_months(),
            {"time": "billed_at", "keys": ("account",), "label": "late: days_late>=30"},
            ("months", 12, 126, (91, 364)),
            ("day_of_week", "day_of_year"),
        ),
        (
            make_hours(),
            {"time": "began", "keys": (), "label": "rides", "horizon": timedelta(hours=2)},
            ("days", 40, 14, (1 / 24, 0.25, 1)),
            ("hour_of_day", "day_of_week"),
        ),
    ],
    ids=["weeks", "months", "hours"],
)
def test_windows_and_features_fit_how_often_rows_come(frame, asked, windows, features):
    plan = make_plan(question(**asked), frame)
    spans = tuple(span / timedelta(days=1) for span in plan.spans)
    assert (plan.unit, plan.test, plan.window_days, spans) == windows
    assert plan.time_features == features
    assert plan.ttl >= max(plan.spans)


def test_too_few_months_are_refused():
    with pytest.raises(StartError, match=r"a test needs 10 days with predictions, here 1\d of 1\d months; add data"):
        make_plan(question(label="amount"), periodic("MS", 18))


def test_rows_of_one_key_and_moment_are_numbered():
    doubled = pd.concat([ORDERS, ORDERS.tail(3)])
    assert make_plan(question(), doubled).key == ("customer_id", "ordered_at", "row")
    assert make_plan(question(), ORDERS).key == ("customer_id", "ordered_at")


@pytest.mark.parametrize(
    "asked",
    [
        {"label": "returned", "request": ("channel", "amount"), "known_after": timedelta(days=14)},
        {"label": "amount", "horizon": timedelta(hours=2)},
        {"label": "left: no row within 28d"},
        {"label": "amount", "keys": ()},
        {"label": "returned", "keys": ("customer_id", "channel")},
        {"label": "size", "known_after": timedelta(days=2)},
        {"label": "stars", "task": "multiclass"},
        {"label": "stars", "keys": ("owner", "owner_id", "windows")},
        {"label": "stars", "request": ("day_of_week",)},
        {"label": 'x: said=a "\\d"'},
    ],
    ids=lambda asked: f"{asked['label']}, {asked.get('keys')}",
)
@pytest.mark.filterwarnings("error")
def test_each_file_is_python_and_begins_with_what_to_change(asked):
    for file, text in problem_files(make_plan(question(**asked), NAMED), NAME, len(ORDERS)).items():
        compile(text, str(file), "exec")
        assert not doubled_names(ast.parse(text)), file
        if "tests" not in file.parts:
            assert text.startswith('"""CHANGE ME')


def doubled_names(code: ast.Module) -> set[str]:
    """Give what a file defines, imports or assigns twice, and keys that a dict has twice."""
    names = []
    for node in code.body:
        names += [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
        names += [node.name] if isinstance(node, ast.FunctionDef) else []
        names += [each.asname or each.name for each in node.names] if isinstance(node, ast.ImportFrom) else []
    dicts = [node.keys for node in ast.walk(code) if isinstance(node, ast.Dict)]
    keys = [[key.value for key in each if isinstance(key, ast.Constant)] for each in dicts]
    return {name for each in (names, *keys) for name in each if each.count(name) > 1}


def test_numbers_that_are_names_are_no_measures():
    ids = (1_850_000_000_000_000_000 + ORDERS["stars"]).astype(str)
    plan = make_plan(question(keys=("post",)), ORDERS.drop(columns="customer_id").assign(post=ids, thread=ids))
    assert (plan.columns["post"].kind, [each.name for each in plan.measures]) == ("Int64", ["amount", "stars"])
    with pytest.raises(StartError, match="amount holds an infinite number"):
        make_plan(question(), ORDERS.assign(amount=float("inf")))


def test_spans_are_said_in_words():
    assert [spoken(timedelta(days=1)), spoken(timedelta(hours=36)), spoken(timedelta(seconds=1))] == [
        "a day",
        "36 hours",
        "a second",
    ]


def test_what_is_read_has_names_that_python_can_hold(tmp_path: Path):
    ORDERS.rename(columns={"customer_id": "Customer ID"}).to_csv(tmp_path / "orders.csv", index=False)
    assert read_source(str(tmp_path / "orders.csv")).columns[0] == "customer_id"
