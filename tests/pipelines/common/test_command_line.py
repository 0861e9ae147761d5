import logging
import sys
import weakref
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flightline.core.errors import ContractError
from pipelines.common.command_line import run_command


def _report(logger: str, message: str, error: Any) -> None:
    """Report as Prefect does, but to the terminal only."""
    logging.getLogger().handle(logging.LogRecord(logger, logging.ERROR, __file__, 1, message, None, error))


def test_success_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: print("done")) == 0
    assert capsys.readouterr().out == "done\n"


def test_an_error_of_this_project_is_one_message_and_one(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        try:
            raise ContractError("x.csv:2 is broken")
        except ContractError:
            _report("prefect.task_runs", "Task run failed", sys.exc_info())
            _report("prefect.flow_runs", "Finished in state Failed('x.csv:2 is broken')", None)
            raise

    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        assert run_command(fail) == 1
    finally:
        logging.getLogger().removeHandler(handler)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "ContractError: x.csv:2 is broken\n"


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("pipelines.training", [[]]),
        ("pipelines.tuning", [[]]),
        ("pipelines.change_report.report", [["--base", "main"]]),
        ("pipelines.commands.prediction_log", [["export"]]),
        ("pipelines.monitoring", []),
        ("serving.__main__", []),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(
    module: str, arguments: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTLINE_ENGINE", "flink")
    assert import_module(module).main(*arguments) == 1
    assert capsys.readouterr().err == (
        "SettingsError: FLIGHTLINE_ENGINE: Input should be 'duckdb' or 'spark', got 'flink'\n"
    )


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0)


@pytest.fixture
def broken_problem(isolated_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A problem whose code stands in a folder of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", "broken_problem")
    monkeypatch.delitem(sys.modules, "broken_problem", raising=False)
    folder = tmp_path / "broken_problem"
    folder.mkdir()
    (folder / "__init__.py").write_text("def fail(rows):\n    return rows / 0\n", encoding="utf-8")
    return folder


def test_an_error_of_the_problem_is_its_own_lines(broken_problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> None:
        try:
            import_module("broken_problem").fail(1)
        except ZeroDivisionError as err:
            raise RuntimeError("a task failed") from err

    assert run_command(call) == 1
    assert capsys.readouterr().err == (
        f"ZeroDivisionError: division by zero\n  {broken_problem}/__init__.py:2, in fail: return rows / 0\n"
    )


def test_code_of_the_problem_that_is_no_python_is_named(
    broken_problem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (broken_problem / "features.py").write_text("one = 1\ntwo = (\n", encoding="utf-8")
    assert run_command(lambda: import_module("broken_problem.features")) == 1
    assert f"{broken_problem}/features.py:2: two = (\n" in capsys.readouterr().err


def test_ctrl_c_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert run_command(interrupted) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_that_is_kept_keeps_nothing_of_its_frames() -> None:
    class Opened:
        pass

    opened, kept = [], []

    def fail() -> None:
        relation = Opened()
        opened.append(weakref.ref(relation))
        try:
            raise ContractError("x.csv:2 is broken")
        except ContractError as err:
            kept.append(err)
            raise

    assert run_command(fail) == 1
    assert kept
    assert opened[0]() is None


def test_a_damaged_file_of_state_is_named_in_place_of_a_traceback(
    isolated_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = isolated_root / ".state" / "mlflow" / "mlflow.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"garbage" * 600)
    assert run_command(lambda: 1 / 0) == 1
    assert capsys.readouterr().err.startswith("StateError: .state/mlflow/mlflow.db is damaged; it held MLflow's runs")


def test_the_filter_does_not_stay() -> None:
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        run_command(lambda: None)
        assert handler.filters == []
    finally:
        logging.getLogger().removeHandler(handler)


def test_a_prefect_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert run_command(lambda: pytest.fail("nothing begins")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("StartError: no Prefect server answers at PREFECT_API_URL=http://127.0.0.1:9/api (")
