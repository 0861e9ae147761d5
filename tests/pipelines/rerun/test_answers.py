"""An answer is taken again only where nothing that it may follow from has changed, and without what made it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flightline.adapters.event_clock import move_clock, set_clock
from flightline.core.settings import Settings
from pipelines.rerun import answers
from pipelines.rerun.answers import answer_again
from tests.support.clones import make_toy_clone
from tests.toy_problem import PROBLEM

HEAVY = ("mlflow", "prefect", "feast", "evidently", "sklearn", "matplotlib", "ibis", "duckdb", "sqlalchemy", "pandas")
AGAIN = """
import importlib, sys
assert importlib.import_module(sys.argv[1]).main() == 0
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A clone with a clock, a registry, a log of one row, and a folder that something was once left in."""
    made: Settings = make_toy_clone(tmp_path).settings
    set_clock(made, PROBLEM.first_clock)
    for name in ("mlflow/mlflow.db", "serving/current.json", "feast/registry.db", "later/file", "labels/latest.json"):
        (made.state_dir / name).parent.mkdir(exist_ok=True)
        (made.state_dir / name).write_text("content")
    (made.state_dir / "features" / "first").mkdir(parents=True)
    (made.state_dir / "features" / "current").symlink_to("first")
    made.prediction_log_file.parent.mkdir()
    with closing(sqlite3.connect(made.prediction_log_file)) as log:
        log.execute("CREATE TABLE predictions (value)")
    write_row(made)
    return made


def write_row(settings: Settings, write: str = "INSERT INTO predictions VALUES (1)") -> None:
    with closing(sqlite3.connect(settings.prediction_log_file)) as log:
        log.execute(write)
        log.commit()


def append(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def point_elsewhere(settings: Settings) -> None:
    (settings.state_dir / "features" / "current").unlink()
    (settings.state_dir / "features" / "current").symlink_to("../features/first")


CHANGES: dict[str, Callable[[Settings], object]] = {
    "the registry": lambda settings: append(settings.state_dir / "mlflow" / "mlflow.db"),
    "the served model": lambda settings: append(settings.state_dir / "serving" / "current.json"),
    "a folder that nobody lists": lambda settings: append(settings.state_dir / "later" / "file"),
    "a new folder": lambda settings: (
        (settings.state_dir / "new").mkdir() or (settings.state_dir / "new" / "file").touch()
    ),
    "a file that is gone": lambda settings: (settings.state_dir / "labels" / "latest.json").unlink(),
    "the current tables": point_elsewhere,
    "the clock": lambda settings: move_clock(settings, PROBLEM.first_clock.replace(hour=23), PROBLEM.first_clock),
    "a prediction": write_row,
    "a row that is gone": lambda settings: write_row(settings, "DELETE FROM predictions"),
    "the log": lambda settings: settings.prediction_log_file.unlink(),
    "data": lambda settings: append(next(settings.data_dir.rglob("*.csv"))),
    "a declaration": lambda settings: append(next(settings.feature_repo.glob("*.py"))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_anything_that_changes_asks_anew(settings, change):
    assert answer_again(settings, "status", lambda: "first") == ("first", False)
    assert answer_again(settings, "status", lambda: "second") == ("first", True)
    CHANGES[change](settings)
    assert answer_again(settings, "status", lambda: "second") == ("second", False)


def test_a_part_follows_from_its_own_folders_alone(settings):
    def part(said: str) -> tuple[str, bool]:
        return answer_again(settings, "part", lambda: said, reads=["mlflow"])

    part("first")
    write_row(settings)
    append(settings.state_dir / "feast" / "registry.db")
    assert part("second") == ("first", True)
    append(settings.state_dir / "mlflow" / "mlflow.db")
    assert part("second") == ("second", False)


def test_what_a_command_does_not_say_changes_nothing(settings):
    answer_again(settings, "status", lambda: "first")
    for name in ("prefect", "logs", "mypy"):
        (settings.state_dir / name).mkdir(exist_ok=True)
        (settings.state_dir / name / "file").touch()
    (settings.state_dir / "mlflow" / "registered_model_meta").touch()  # whoever downloads a model leaves one
    assert answer_again(settings, "status", lambda: "second") == ("first", True)


def test_an_answer_that_something_overtook_is_not_kept(settings):
    def ask() -> str:
        write_row(settings)
        return "first"

    assert answer_again(settings, "monitor", ask, ["monitoring"]) == ("first", False)
    assert answer_again(settings, "monitor", lambda: "second", ["monitoring"]) == ("second", False)


def test_what_comes_while_the_answer_is_kept_asks_anew(settings, monkeypatch):
    is_answered, digest = [], answers.inputs_digest

    def late(*given: object) -> str:
        if is_answered and is_answered.pop():
            write_row(settings)
        return digest(*given)

    monkeypatch.setattr(answers, "inputs_digest", late)
    answer_again(settings, "monitor", lambda: is_answered.append(True) or "first", ["monitoring"])
    monkeypatch.undo()
    assert answer_again(settings, "monitor", lambda: "second", ["monitoring"]) == ("second", False)


def test_what_a_command_writes_is_part_of_what_must_stay(settings):
    page = settings.state_dir / "monitoring" / "page.html"

    def ask() -> str:
        page.parent.mkdir(exist_ok=True)
        page.write_text("page")
        return "first"

    answer_again(settings, "monitor", ask, ["monitoring"])
    assert answer_again(settings, "monitor", lambda: "second", ["monitoring"]) == ("first", True)
    page.unlink()
    assert answer_again(settings, "monitor", lambda: "second", ["monitoring"]) == ("second", False)


@pytest.mark.parametrize(
    "elsewhere", [{"mlflow_tracking_uri": "http://127.0.0.1:9"}, {"clock": "real"}, {"threads": 7}], ids=str
)
def test_settings_that_differ_or_name_another_place_ask_anew(settings, elsewhere):
    answer_again(settings, "status", lambda: "first")
    other = settings.model_copy(update=elsewhere)
    assert answer_again(other, "status", lambda: "second") == ("second", False)


@pytest.mark.parametrize("command", ["status", "monitor"])
def test_an_answer_is_taken_again_without_what_made_it(settings, command, monkeypatch):
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(settings.root))
    answer_again(Settings(), command, lambda: "what was answered")
    order = [sys.executable, "-W", "ignore", "-c", AGAIN, f"pipelines.rerun.{command}", *HEAVY]
    done = subprocess.run(order, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.splitlines()[-2:] == ["what was answered", ""]
