"""What is logged for CloudWatch: one number for each thing that an alert rule asks."""

import json
import time

import pytest

from flightline.core.settings import Settings
from serving.telemetry.cloudwatch import measure, metrics_logged
from tests.support.waiting import wait_until

FIRST = """\
# TYPE flightline_request_seconds histogram
flightline_request_seconds_bucket{route="/v1/models/m:predict",status="200",le="0.5"} 7
flightline_request_seconds_bucket{route="/v1/models/m:predict",status="200",le="+Inf"} 10
flightline_request_seconds_count{route="/v1/models/m:predict",status="200"} 10
flightline_request_seconds_count{route="/v1/models/m",status="500"} 2
flightline_request_seconds_count{route="/health/ready",status="503"} 50
# TYPE flightline_features_missing counter
flightline_features_missing_total{feature="a",reason="stale"} 4
flightline_features_missing_total{feature="a",reason="absent"} 5
flightline_features_missing_total{feature="b",reason="absent"} 6
# TYPE flightline_signatures_refused counter
flightline_signatures_refused_total{role="champion"} 1
flightline_signatures_refused_total{role="features"} 3
# TYPE flightline_workers gauge
flightline_workers 3
# TYPE flightline_workers_ready gauge
flightline_workers_ready 2
# TYPE flightline_model_refused gauge
flightline_model_refused{about="model"} 1
flightline_model_refused{about="move"} 0
# TYPE flightline_model_workers gauge
flightline_model_workers{role="champion",version="1"} 2
flightline_model_workers{role="champion",version="2"} 1
flightline_model_workers{role="champion",version="3"} 0
# TYPE flightline_model_timestamp_seconds gauge
flightline_model_timestamp_seconds{role="champion"} 100
"""


def test_counts_are_those_of_the_minute_and_leave_health_checks_out() -> None:
    values, before = measure(FIRST, {})
    expected = {
        "requests": 12, "failed_requests": 2, "prediction_requests": 10, "slow_prediction_requests": 3,
        "stale_features": 4, "most_missed_feature": 9, "refused_model_signatures": 1, "refused_feature_signatures": 3,
        "workers_not_ready": 1, "model_refused": 1, "champion_moved_unrecorded": 0, "versions_served": 2,
    }  # fmt: skip
    assert values.items() >= expected.items()
    assert values["model_age_seconds"] == pytest.approx(time.time() - 100, abs=60)
    again, _ = measure(
        FIRST.replace('le="+Inf"} 10', 'le="+Inf"} 11').replace('status="200"} 10', 'status="200"} 11'), before
    )
    assert (again["requests"], again["slow_prediction_requests"], again["failed_requests"]) == (1, 1, 0)
    assert again["workers_not_ready"] == 1


def test_what_is_not_measured_yet_is_not_told_as_zero() -> None:
    values, _ = measure("", {})
    assert {"workers_not_ready", "model_age_seconds", "log_free_bytes", "features_behind_seconds"} & set(
        values
    ) == set()


def test_lines_come_only_where_a_namespace_is_named(capsys, tmp_path) -> None:
    lines: list[str] = []

    def seen() -> list[str]:
        lines.extend(capsys.readouterr().out.splitlines())
        return lines

    named = Settings(root=tmp_path, cloudwatch_namespace="some")
    with metrics_logged(named, every_seconds=0.01):
        wait_until(lambda: len(seen()) >= 2)
    assert json.loads(seen()[0])["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "some"
    lines.clear()
    with metrics_logged(Settings(root=tmp_path), every_seconds=0.01):
        assert seen() == []
