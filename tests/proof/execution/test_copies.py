"""Copies, and the commands that run in them: no setting of the developer, a time limit, and a stop."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.proof.__main__ import conclude
from tests.proof.catalogue import FAULTS
from tests.proof.execution.commands import TIMED_OUT, Command, Processes, Result, StoppedError, environment_of
from tests.proof.execution.copies import PROJECT
from tests.proof.execution.harness import CHOICES, Bench
from tests.proof.fault import Fault
from tests.proof.inside import small_data
from tests.proof.observation import State, observe
from tests.support.clones import contents, make_clone, make_toy_clone

LEAK = next(fault for fault in FAULTS if fault.name == "stamped_too_early")


def test_a_copy_gets_no_setting_of_the_developer(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIGHTLINE_PROFILE", "aws")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    shutil.copy(PROJECT / "tools.env", tmp_path)
    environment = environment_of(tmp_path, "http://127.0.0.1:1/api")
    assert not {"FLIGHTLINE_PROFILE", "MLFLOW_TRACKING_URI"} & environment.keys()
    assert environment["FLIGHTLINE_ROOT"] == str(tmp_path)
    assert environment["PYTHONPATH"].startswith(str(tmp_path / "src"))
    assert environment["DVC_NO_ANALYTICS"] == "1"


def test_a_copy_reaches_no_shared_remote(tmp_path):
    shutil.copy(PROJECT / "tools.env", tmp_path)
    assert environment_of(tmp_path, "http://127.0.0.1:1/api")["FLIGHTLINE_DVC_REMOTE_URL"] == str(
        tmp_path / ".dvcstore"
    )


def test_a_copy_has_the_data_of_the_tree_and_not_of_the_source(tmp_path, monkeypatch):
    own = make_toy_clone(tmp_path / "own").settings.data_dir
    (month, *_) = sorted(file for file in own.rglob("*.csv") if len(file.relative_to(own).parts) > 1)
    month.unlink()
    copy = make_clone(tmp_path / "copy", tmp_path / "copy" / ".dvcstore")
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(copy.root))
    monkeypatch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", "tests.toy_problem")
    monkeypatch.setattr(sys, "argv", ["small_data", "--data", str(own)])
    assert small_data.main() == 0
    assert contents(copy.root / "data") == contents(own)


def test_a_command_is_stopped_at_its_time_limit(tmp_path):
    sleep: Command = ("-c", "import time; print('started', flush=True); time.sleep(60)")
    result = Processes().run(sleep, tmp_path, {}, timeout_seconds=2)
    assert result.exit_code == TIMED_OUT
    assert "started" in result.output


def test_nothing_is_started_after_a_stop(tmp_path):
    processes = Processes()
    processes.stop()
    with pytest.raises(StoppedError):
        processes.run(("-c", "pass"), tmp_path, {})


def test_the_registry_is_read_from_outside(tmp_path):
    (tmp_path / "data.dvc").write_text("outs:\n")
    assert observe(tmp_path) == State(None, 0, "outs:\n", None)
    (tmp_path / ".state" / "mlflow").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / ".state" / "mlflow" / "mlflow.db")) as database:
        database.execute("CREATE TABLE registered_model_aliases (alias TEXT, version INTEGER, name TEXT)")
        database.execute("CREATE TABLE model_versions (name TEXT, version INTEGER)")
        database.execute("INSERT INTO registered_model_aliases VALUES ('champion', 2, 'm'), ('challenger', 3, 'm')")
        database.execute("INSERT INTO model_versions VALUES ('m', 1), ('m', 2), ('m', 3)")
        database.commit()
    assert observe(tmp_path) == State("2", 3, "outs:\n", None)


class PromotingProcesses(Processes):
    """Answers each command as a loop without safeguards would; `home` is where its code lies."""

    def __init__(self, home: Path | None = None) -> None:
        super().__init__()
        self.home = home

    def run(self, command, cwd, environment, timeout_seconds=0.0) -> Result:
        return Result(command, 0, f"{self.home or cwd}/src" if command[0] == "-c" else "PROMOTE: fine", 0.0)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A copy that has just what planting the fault needs."""
    for name in ("data.dvc", "tools.env"):
        (tmp_path / "base" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / "base" / name)
    return tmp_path


def test_a_loop_without_safeguards_fails_the_proof(base):
    outcome = Bench(PromotingProcesses(), base, "").try_fault(LEAK)
    assert "not stopped by leak" in outcome.problems[0]
    assert conclude([outcome], 1.0) == 1


def test_a_fault_that_cannot_be_planted_fails_the_proof(base):
    outcome = Bench(PromotingProcesses(), base, "").try_fault(Fault("no_such_patch", "", "leak", ""))
    assert not outcome.is_run
    assert conclude([outcome], 1.0) == 1


def test_a_copy_that_would_run_other_code_is_refused(base):
    outcome = Bench(PromotingProcesses(home=PROJECT), base, "").try_fault(LEAK)
    assert "other code than that copy's" in outcome.problems[0]


def test_an_inapplicable_fault_is_not_run(base):
    file = base / "base" / CHOICES
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({LEAK.name: {"not_applicable": "a reason"}}))
    assert Bench(PromotingProcesses(), base, "").try_fault(LEAK).not_applicable == "a reason"
