"""`make clock`: what it prints, what it moves, and what it refuses."""

import json
from pathlib import Path

import pytest

from flightline.adapters.event_clock import ensure_clock, read_clock
from flightline.core.project import Project
from flightline.core.settings import Settings
from pipelines.commands import clock
from pipelines.orchestration.deployments import FLOWS, describe, make_deployments
from pipelines.rerun.live import status
from tests.support.clones import PROJECT, make_clone
from tests.toy_problem import PROBLEM, make_project, write_feature_repo

FIRST = PROBLEM.first_clock


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    settings = make_clone(tmp_path / "clone", tmp_path / "remote", PROJECT / "data.dvc")
    write_feature_repo(settings.root)
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(settings.root))
    return make_project(settings)


def test_it_prints_where_the_clock_stands(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert clock.main([]) == 1
    assert "the event clock has not been set: run `make train`" in capsys.readouterr().err
    ensure_clock(project.settings, FIRST)
    assert clock.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "event clock     2020-07-01 12:00:00 UTC, set"
    assert lines[1:] == [
        "features        not known yet: `make materialise`",
        "online store    not known yet: `make materialise`",
        "labels          not known yet: `make labels`",
    ]


def test_it_moves_forward_and_then_follows_the_day(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert clock.main(["--to", "2020-07-02T12:00Z"]) == 0  # before any training too
    assert read_clock(project.settings).isoformat() == "2020-07-02T12:00:00+00:00"
    assert capsys.readouterr().out.startswith("event clock     2020-07-02 12:00:00 UTC, set\n")
    assert clock.main(["--to", "real"]) == 0
    assert " UTC, the time of day\n" in capsys.readouterr().out
    first, second = read_clock(project.settings), read_clock(Settings())
    assert FIRST.year < first.year
    assert first < second


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("2020-06-30T12:00Z", "stands at 2020-07-01T12:00:00+00:00 and moves forward only"),
        ("2020-07-02T12:00", "without a time zone"),
        ("noon", "expected an ISO 8601 moment"),
        ("2999-01-01T00:00Z", "still to come"),
    ],
)
def test_a_move_it_refuses_is_one_line(
    project: Project, capsys: pytest.CaptureFixture[str], to: str, said: str
) -> None:
    ensure_clock(project.settings, FIRST)
    assert clock.main(["--to", to]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("ClockError: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert read_clock(project.settings) == FIRST


def test_status_says_what_is_behind_and_what_has_no_effect(project: Project) -> None:
    assert status(project)["behind_clock"] is None
    ensure_clock(project.settings, FIRST.replace(month=6))
    (project.settings.data_dir / "sales").mkdir(parents=True)
    (project.settings.data_dir / "sales" / "2020-07.csv").touch()
    behind = status(project)["behind_clock"]
    assert behind["online_store"] == {"as_of": None, "seconds": None, "is_other_data": None}
    assert behind["data"].startswith("data/ holds 2020-07, of which the event clock, at 2020-06-01 12:00 UTC")
    assert "move it by `make clock TO=2020-07-01T12:00Z`" in behind["first_clock"]
    json.dumps(behind)


def test_materialisation_has_a_schedule(project: Project) -> None:
    assert "materialise  5 * * * * UTC\n" in describe(make_deployments(project))
    never = Settings(root=project.settings.root, schedules={"materialise": ""})
    (deployment,) = make_deployments(project.at(never), {"materialise": FLOWS["materialise"]})
    assert not deployment.schedules
