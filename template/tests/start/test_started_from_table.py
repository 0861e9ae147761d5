"""A table and one line make a project that trains, is promoted and answers; nothing of the shipped problem is left."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.provenance import git
from template.tests.copies import commit_all, linked_to_environment, run_make, run_python
from template.tests.start.made_up_tables import make_hours, make_months, make_orders, make_weeks
from tools.tree import copy_tree, project_files

PROJECT = Path(__file__).parents[3]
OF_THE_FLIGHTS = re.compile(
    r"\bflights?\b|flight-delay|airport|carrier|nycflights|\bJFK\b|tailnum|flightline", re.IGNORECASE
)
# Why the template is as it is, and who wrote it.
HISTORY = ("docs/decisions/", "LICENSE", "CHANGELOG.md", "MIGRATION.md")
ASK = """
import json
from fastapi.testclient import TestClient
from pipelines.commands.request import next_instance
from serving.app import create_app
from {package}.core.project import open_project
project = open_project()
with TestClient(create_app(project)) as client:
    body = {{"instances": [next_instance(project)]}}
    answer = client.post(f"/v1/models/{{project.problem.model_name}}:predict", json=body)
print(json.dumps([answer.status_code, answer.json()]))
"""


ORDERS = ("TIME=ordered_at", "KEY=customer_id")
# By name: the table, and what is asked of it on make's line.
STARTS = {
    "a column": (make_orders, *ORDERS, "LABEL=returned", "TASK=classification", "HORIZON=0h", "KNOWN_AFTER=14d"),
    "an absence": (make_orders, *ORDERS, "LABEL=left: no row within 28d"),
    "classes": (make_orders, *ORDERS, "LABEL=size", "KNOWN_AFTER=14d"),
    "weeks": (make_weeks, "TIME=monday", "KEY=shop", "LABEL=sold", "HORIZON=7d"),
    "months": (make_months, "TIME=billed_at", "KEY=account", "LABEL=late: days_late>=30", "KNOWN_AFTER=60d"),
    "hours": (make_hours, "TIME=began", "LABEL=rides", "HORIZON=2h", "ZONE=Europe/Oslo"),
}


@pytest.fixture(scope="module", params=STARTS.values(), ids=STARTS)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was started from a table."""
    make, *question = request.param
    folder = tmp_path_factory.mktemp("own")
    frame = make(days=500, customers=200) if make is make_orders else make()
    frame.to_parquet(folder / "table.parquet", index=False)
    root = folder / "project"
    copy_tree(PROJECT, root)
    linked_to_environment(root)
    printed = run_make(root, "start", "NAME=churn", "FROM=../table.parquet", *question)
    assert "to beat: " in printed
    assert " old when it is used (median), none in " in printed
    assert "alone, the best take away of a constant's loss: " in printed
    assert "WARNING" not in printed
    return root


def test_nothing_of_the_flights_is_left(own: Path) -> None:
    found = {
        str(file): [
            line for line in (own / file).read_text(encoding="utf-8").splitlines() if OF_THE_FLIGHTS.search(line)
        ]
        for file in project_files(own)
        if not str(file).startswith(HISTORY)
        and file.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".mk", ".tf", ""}
    }
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_its_source_is_where_it_was_and_no_path_of_this_machine(own: Path) -> None:
    text = (own / "src/churn/problem/source.py").read_text(encoding="utf-8")
    assert 'SOURCE = "../table.parquet"' in text
    assert str(own) not in text


@pytest.mark.slow
def test_lint_and_the_tests_of_the_problem_are_green(own: Path) -> None:
    run_make(own, "lint")
    assert " passed" in run_python(own, "-m", "pytest", "-p", "no:cacheprovider", "tests/problem")


@pytest.mark.slow
def test_it_is_trained_promoted_and_answers(own: Path) -> None:
    assert "PROMOTE" in run_python(own, "-m", "pipelines.training")
    status, answer = json.loads(run_python(own, "-c", ASK.format(package="churn")).splitlines()[-1])
    assert status == 200
    (prediction,) = answer["predictions"]
    chances = prediction["probabilities"].values() if "probabilities" in prediction else [prediction.get("probability")]
    assert all(chance is None or 0 < chance < 1 for chance in chances)
    assert set(prediction["missing_features"].values()) <= {"no value"}
    assert "0 mismatches in 1 predictions" in run_python(own, "-m", "pipelines.parity")


@pytest.mark.slow
def test_more_rows_of_the_table_are_a_new_version(own: Path) -> None:
    table = pd.read_parquet(own.parent / "table.parquet")
    (time,) = table.columns.intersection(["ordered_at", "monday", "billed_at", "began"])
    newer = table.tail(50).assign(**{time: pd.to_datetime(table[time], utc=True) + timedelta(days=42)})
    newer.to_csv(own.parent / "newer.csv", index=False)
    printed = run_python(own, "-m", "pipelines.ingest", "--from", "../newer.csv")
    assert "New version" in printed
    assert git(own, "diff", "--name-only").stdout.split() == ["data.dvc"] or "data.dvc" in printed


def test_a_column_that_is_the_label_under_another_name_is_warned_of(tmp_path: Path) -> None:
    frame = make_orders(days=500, customers=100)
    frame.assign(refund=frame["returned"] * frame["amount"]).to_parquet(tmp_path / "table.parquet", index=False)
    root = tmp_path / "project"
    copy_tree(PROJECT, root)
    linked_to_environment(root)
    asked = (*STARTS["a column"][1:], "REQUEST=refund")
    printed = run_make(root, "start", "NAME=churn", "FROM=../table.parquet", *asked)
    assert "WARNING: refund " in printed


def test_old_data_stands_in_the_way(tmp_path: Path) -> None:
    copy_tree(PROJECT, tmp_path)
    commit_all(tmp_path)
    (tmp_path / "data").mkdir()
    make_orders().to_parquet(tmp_path / "data" / "orders.parquet")
    table = ("--from", "data", "--time", "ordered_at", "--label", "amount")
    with pytest.raises(AssertionError, match="data of the old problem are here; start in a clean clone"):
        run_python(tmp_path, "-m", "template.start", "--name", "churn", *table)
