"""What monitoring found goes where it outlives the task, if the settings say where."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.gauges.prometheus_textfile import Measured
from flightline.core.errors import StartError
from flightline.core.settings import Settings
from pipelines import monitoring
from pipelines.monitoring_steps.published import publish_report
from tests.support.served_champion import CLOCK, project_of

MEASURED = [
    Measured("flightline_monitor_loss", "Loss.", 0.25, {"metric": "brier"}),
    Measured("flightline_monitor_loss", "Loss.", float("nan"), {"metric": "roc_auc"}),
]


@pytest.fixture
def folder(tmp_path):
    window = tmp_path / "monitoring" / "2013-01"
    window.mkdir(parents=True)
    (window / "page.html").write_text("a page")
    (window.parent / "latest_page.html").write_text("a page")
    (window / "rows.parquet").write_text("what no report names")
    return window.parent


def test_pages_and_gauges_go_on(folder, tmp_path, capsys) -> None:
    place = tmp_path / "kept for good"
    settings = Settings(root=tmp_path, monitoring_url=place.as_uri(), cloudwatch_namespace="some")
    written = [folder / "2013-01" / "page.html", folder / "latest_page.html"]
    publish_report(settings, folder, written, MEASURED)
    publish_report(settings, folder, written, MEASURED)
    assert sorted(file.relative_to(place) for file in place.rglob("*.*")) == sorted(
        file.relative_to(folder) for file in written
    )
    assert (place / "2013-01" / "page.html").read_text() == "a page"
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    (told,) = line["_aws"]["CloudWatchMetrics"]
    assert told == {"Namespace": "some", "Dimensions": [["metric"]], "Metrics": [{"Name": "monitor_loss"}]}
    assert (line["metric"], line["monitor_loss"]) == ("brier", 0.25)


def test_without_a_place_they_stay(folder, tmp_path, capsys) -> None:
    publish_report(Settings(root=tmp_path), folder, [], MEASURED)
    assert capsys.readouterr().out == ""


def test_a_place_that_is_none_is_named(folder, tmp_path) -> None:
    with pytest.raises(StartError, match=r"FLIGHTLINE_MONITORING_URL='pigeon://loft'.*such as s3://bucket"):
        publish_report(Settings(root=tmp_path, monitoring_url="pigeon://loft"), folder, [], [])


@pytest.fixture
def published(served, tmp_path):
    """A log with labels of a champion, and settings that say where reports go."""
    settings = served.settings.model_copy(update={"monitoring_url": (tmp_path / "published").as_uri()})
    return replace(served.log().label(), settings=settings)


def served_rows(settings: Settings) -> list[str]:
    """Find what is left of served rows: only the champion's own rows are kept."""
    found = (settings.state_dir / "monitoring").rglob("*.parquet")
    return [file.name for file in found if "references" not in file.parts]


@pytest.mark.system
@pytest.mark.parametrize("trained", ["classification"], indirect=True)
def test_served_rows_are_neither_kept_nor_published(published, tmp_path):
    for days in (0, 1):
        set_clock(published.settings, CLOCK + timedelta(days=days))
        window = monitoring.run_monitoring(project_of(published.settings, published.problem)).folder.name
        assert (tmp_path / "published" / window / "page.html").is_file()
    kinds = {file.suffix for file in (tmp_path / "published").rglob("*") if file.is_file()}
    assert kinds == {".html", ".json", ".png", ".prom"}
    assert served_rows(published.settings) == []


@pytest.mark.system
@pytest.mark.parametrize("trained", ["classification"], indirect=True)
def test_of_a_run_that_fails_no_served_row_stays(published, monkeypatch):
    def fail(*_: object) -> None:
        assert served_rows(published.settings) == ["served.parquet"]
        raise ValueError("a fault")

    monkeypatch.setattr(monitoring, "judge_windows", fail)
    set_clock(published.settings, CLOCK)
    with pytest.raises(ValueError, match="a fault"):
        monitoring.run_monitoring(project_of(published.settings, published.problem))
    assert served_rows(published.settings) == []
