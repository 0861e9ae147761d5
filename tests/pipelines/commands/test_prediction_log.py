"""The commands behind `make db-migrate` and `make retention`, on a SQLite file."""

from datetime import UTC, datetime, timedelta

import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.schema import head_revision
from flightline.core.settings import Settings
from pipelines.commands.prediction_log import main
from pipelines.orchestration.deployments import make_deployments
from pipelines.retention import retention
from pipelines.steps.retention import before_of
from tests.adapters.prediction_log.predictions import prediction
from tests.toy_problem import make_project

TODAY = before_of(0, datetime.now(UTC))


@pytest.fixture
def log():
    opened = PredictionLog.open(Settings())
    yield opened
    opened.close()


def test_migrate_makes_a_database_and_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("FLIGHTLINE_PREDICTION_LOG__URL", f"sqlite:///{tmp_path / 'mine.db'}")
    assert [main(["migrate"]), main(["migrate"])] == [0, 0]
    said = f"prediction log: SQLite file mine.db, schema {head_revision()}"
    assert capsys.readouterr().out.splitlines() == [f"{said}, was none", said]
    PredictionLog.open(Settings()).close()


def test_migrate_makes_the_default_file_where_there_is_nothing(capsys):
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out.startswith("prediction log: SQLite file predictions.db, schema")
    assert Settings().prediction_log_file.is_file()


def test_a_url_that_will_not_do_ends_in_words(capsys, monkeypatch):
    monkeypatch.setenv("FLIGHTLINE_PREDICTION_LOG__URL", "mysql://me:hunter2@db/log")
    assert main(["migrate"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("LogError: prediction_log.url is not one")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ([], [0, 89, 90]),
        (["--days", "1"], [0, 1]),
        (["--before", (TODAY - timedelta(days=89)).date().isoformat()], [0, 89]),
    ],
    ids=["setting", "days", "before"],
)
def test_old_days_leave_the_log(log, capsys, arguments, left):
    ages = [0, 1, 89, 90, 91] if "--days" in arguments else [0, 89, 90, 91]
    log.write([prediction(logged_at=TODAY - timedelta(days=age), request_id=str(age)) for age in ages])
    assert main(["export", *arguments]) == 0
    assert sorted(map(int, log.read()["request_id"])) == left
    moved = len(ages) - len(left)
    assert f"{moved} rows logged before" in capsys.readouterr().out
    assert len(list(Settings().prediction_exports_dir.glob("*.parquet"))) == moved


@pytest.mark.parametrize("arguments", [["--days", "0"], ["--days", "x"], ["--before", "soon"]], ids=str)
def test_nonsense_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        main(["export", *arguments])


def test_today_is_refused(log, capsys):
    tomorrow = (TODAY + timedelta(days=1)).date().isoformat()
    assert main(["export", "--before", tomorrow]) == 1
    assert "today's predictions are still being written" in capsys.readouterr().err


def test_the_flow_moves_what_the_setting_says(log, monkeypatch):
    log.write([prediction(logged_at=TODAY - timedelta(days=age), request_id=str(age)) for age in (0, 5, 6)])
    monkeypatch.setenv("FLIGHTLINE_PREDICTION_LOG__RETENTION_DAYS", "5")
    assert retention.fn() == 1
    assert sorted(log.read()["request_id"]) == ["0", "5"]


def test_retention_is_deployed_with_its_schedule(tmp_path):
    settings = Settings(root=tmp_path)
    (found,) = [one for one in make_deployments(make_project(settings)) if one.flow_name == "retention"]
    assert [item.schedule.cron for item in found.schedules] == [settings.schedules.retention] != [""]
