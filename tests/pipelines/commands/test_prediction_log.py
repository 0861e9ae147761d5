"""The commands behind `make db-migrate` and `make retention`, on a SQLite file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.schema import head_revision
from flightline.core.problem_spec import Monitoring
from flightline.core.settings import Settings
from flightline.monitoring.decision import windows_until
from pipelines.commands.prediction_log import main
from pipelines.orchestration.deployments import make_deployments
from pipelines.retention import retention
from pipelines.steps.retention import before_of, export
from tests.adapters.prediction_log.predictions import prediction
from tests.toy_problem import make_project

TODAY = before_of(0, datetime.now(UTC))
DAY = timedelta(days=1)


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setenv("FLIGHTLINE_CLOCK", "real")
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


RULES = {
    "long windows": Monitoring(window=28 * DAY, label_delay=29 * DAY),
    "late labels": Monitoring(label_delay=90 * DAY),
    "as it comes": Monitoring(),
}


def of_rule(rule: Monitoring):
    project = make_project(Settings())
    return replace(project, problem=replace(project.problem, monitoring=rule))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_what_the_shown_windows_need_stays_however_old_it_is(log, capsys, rule):
    now = datetime.now(UTC)
    first = windows_until(now, rule)[0].start
    for logged in (first - rule.window - DAY, first - rule.window, first, first + DAY, TODAY - 90 * DAY):
        log.write([prediction(logged_at=logged, clock=logged, prediction_time=logged, request_id=f"{logged:%F}")])
    assert export(of_rule(rule), before_of(1, now), now) == 1
    assert log.read()["prediction_time"].min() == first - rule.window
    line = f"monitoring reads what was predicted since {first - rule.window:%Y-%m-%d} by the event clock"
    assert line in capsys.readouterr().out


def test_the_days_of_the_setting_stay_where_the_windows_need_fewer(log, capsys):
    for age in (90, 91):
        log.write([prediction(logged_at=TODAY - age * DAY, clock=TODAY - age * DAY)])
    now = datetime.now(UTC)
    assert export(of_rule(Monitoring(shown_windows=4)), before_of(90, now), now) == 1
    assert "monitoring reads" not in capsys.readouterr().out


@pytest.mark.parametrize(("moved_on", "left"), [(0, 3), (85, 3), (95, 2), (200, 0)])
def test_where_the_clock_is_set_it_decides_what_is_needed(log, monkeypatch, moved_on, left):
    monkeypatch.setenv("FLIGHTLINE_CLOCK", "set")
    stood = datetime(2013, 7, 1, tzinfo=UTC)
    for number in range(3):  # logged years later, the last two when the clock had moved on a little
        log.write([prediction(logged_at=TODAY - (300 - number) * DAY, clock=stood + min(number, 1) * 5 * DAY)])
    project, now = of_rule(Monitoring()), datetime.now(UTC)
    set_clock(project.settings, stood + moved_on * DAY)
    export(project, before_of(90, now), now)
    assert log.count() == left


def test_a_row_that_is_needed_keeps_the_days_after_it(log):
    now, old = datetime.now(UTC), TODAY - 200 * DAY
    for number, clock in enumerate((old, TODAY, old)):
        log.write([prediction(logged_at=old + number * DAY, clock=clock, request_id=str(number))])
    assert export(of_rule(Monitoring()), before_of(90, now), now) == 1
    assert log.read()["request_id"].tolist() == ["1", "2"]


def test_a_date_that_a_person_gives_moves_what_is_needed_too_and_says_so(log, capsys):
    log.write([prediction(logged_at=TODAY - 5 * DAY, clock=TODAY - 5 * DAY)])
    assert main(["export", "--days", "2"]) == 0
    assert log.count() == 1
    assert main(["export", "--before", TODAY.date().isoformat()]) == 0
    assert log.count() == 0
    assert f"from {TODAY - 5 * DAY:%Y-%m-%d} on too early: monitoring reads" in capsys.readouterr().out


def test_retention_is_deployed_with_its_schedule(tmp_path):
    settings = Settings(root=tmp_path)
    (found,) = [one for one in make_deployments(make_project(settings)) if one.flow_name == "retention"]
    assert [item.schedule.cron for item in found.schedules] == [settings.schedules.retention] != [""]
