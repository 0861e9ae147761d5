"""What monitoring found goes where it outlives the task, if the settings say where."""

import json

import pytest

from flightline.adapters.gauges.prometheus_textfile import Measured
from flightline.core.errors import StartError
from flightline.core.settings import Settings
from pipelines.monitoring_steps.published import publish_report

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
    return window.parent


def test_pages_and_gauges_go_on(folder, tmp_path, capsys) -> None:
    place = tmp_path / "kept for good"
    settings = Settings(root=tmp_path, monitoring_url=place.as_uri(), cloudwatch_namespace="some")
    publish_report(settings, folder, MEASURED)
    publish_report(settings, folder, MEASURED)
    assert (place / "2013-01" / "page.html").read_text() == "a page"
    assert (place / "latest_page.html").is_file()
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    (told,) = line["_aws"]["CloudWatchMetrics"]
    assert told == {"Namespace": "some", "Dimensions": [["metric"]], "Metrics": [{"Name": "monitor_loss"}]}
    assert (line["metric"], line["monitor_loss"]) == ("brier", 0.25)


def test_without_a_place_they_stay(folder, tmp_path, capsys) -> None:
    publish_report(Settings(root=tmp_path), folder, MEASURED)
    assert capsys.readouterr().out == ""


def test_a_place_that_is_none_is_named(folder, tmp_path) -> None:
    with pytest.raises(StartError, match=r"FLIGHTLINE_MONITORING_URL='pigeon://loft'.*such as s3://bucket"):
        publish_report(Settings(root=tmp_path, monitoring_url="pigeon://loft"), folder, [])
