"""The metrics that the alert rules rest on, as lines of the log from which CloudWatch takes metrics by itself.

No agent, no right and no other image is needed for it: what runs on AWS logs to CloudWatch anyway.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from flightline.adapters.gauges.embedded_metrics import embedded
from flightline.core.settings import Settings
from serving.telemetry.metrics import render

EVERY_SECONDS = 60.0
SLOW_SECONDS = "0.5"  # a bucket of the histograms, and the bound of the rules AnswersSlow and LogSlow
Values = dict[str, float]
Counts = dict[tuple[object, ...], float]


def measure(text: str, before: Mapping[tuple[object, ...], float]) -> tuple[Values, Counts]:
    """Reduce what Prometheus would read to what the alert rules ask, one number each.

    Parameters
    ----------
    text
        In Prometheus' format, of all workers.
    before
        Counts at the last look, if there was one; what was counted since is given.

    Returns
    -------
    dict
        By metric; absent is what this service does not measure yet.
    dict
        Counts, for the next look.
    """
    gauges: dict[str, list[Sample]] = defaultdict(list)
    counted: list[Sample] = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            (gauges[sample.name] if family.type == "gauge" else counted).append(sample)
    since = [sample._replace(value=sample.value - before.get(_key(sample), 0.0)) for sample in counted]
    return _counted(since) | _gauged(gauges), {_key(sample): sample.value for sample in counted}


def _key(sample: Sample) -> tuple[object, ...]:
    return sample.name, tuple(sorted(sample.labels.items()))


def _counted(samples: Sequence[Sample]) -> Values:
    def total(name: str, is_meant: Callable[[Mapping[str, str]], bool] = lambda _: True) -> float:
        return sum(one.value for one in samples if one.name == f"flightline_{name}" and is_meant(one.labels))

    def largest(name: str, label: str) -> float:
        by_label: dict[str, float] = defaultdict(float)
        for one in samples:
            if one.name == f"flightline_{name}":
                by_label[one.labels[label]] += one.value
        return max(by_label.values(), default=0.0)

    def is_answer(labels: Mapping[str, str]) -> bool:
        return not labels["route"].startswith("/health")

    def is_prediction(labels: Mapping[str, str]) -> bool:
        return labels["route"].endswith((":predict", ":score"))

    predictions = total("request_seconds_count", is_prediction)
    writes = total("log_write_seconds_count")
    within = total("request_seconds_bucket", lambda labels: is_prediction(labels) and labels["le"] == SLOW_SECONDS)
    return {
        "requests": total("request_seconds_count", is_answer),
        "failed_requests": total(
            "request_seconds_count", lambda labels: is_answer(labels) and labels["status"].startswith("5")
        ),
        "prediction_requests": predictions,
        "slow_prediction_requests": predictions - within,
        "busy": total("busy_total"),
        "unauthorised": total("unauthorised_total"),
        "rows": total("rows_total"),
        "stale_features": total("features_missing_total", lambda labels: labels["reason"] == "stale"),
        "most_missed_feature": largest("features_missing_total", "feature"),
        "refused_model_signatures": total("signatures_refused_total", lambda labels: labels["role"] != "features"),
        "refused_feature_signatures": total("signatures_refused_total", lambda labels: labels["role"] == "features"),
        "refused_registries": total("registries_refused_total"),
        "log_writes": writes,
        "slow_log_writes": writes - total("log_write_seconds_bucket", lambda labels: labels["le"] == SLOW_SECONDS),
        "log_failures": total("log_failures_total"),
        "challenger_errors": largest("canary_errors_total", "reason"),
    }


def _gauged(gauges: Mapping[str, list[Sample]]) -> Values:
    def values(name: str, **labels: str) -> list[float]:
        return [one.value for one in gauges.get(f"flightline_{name}", []) if labels.items() <= one.labels.items()]

    found: Values = {}
    if workers := values("workers"):
        found["workers_not_ready"] = sum(workers) - sum(values("workers_ready"))
    if behind := values("features_behind_seconds"):
        found["features_behind_seconds"] = max(behind)
    if refused := values("model_refused"):
        found["model_refused"] = max(refused)
        found["champion_moved_unrecorded"] = max(values("model_refused", about="move"), default=0.0)
    if since := values("model_timestamp_seconds", role="champion"):
        found["model_age_seconds"] = time.time() - max(since)
    if served := values("model_workers", role="champion"):
        found["versions_served"] = sum(count > 0 for count in served)
    if free := values("log_free_bytes"):
        found["log_free_bytes"] = min(free)
    return found


@contextmanager
def metrics_logged(settings: Settings, every_seconds: float = EVERY_SECONDS) -> Iterator[None]:
    """Log the metrics from time to time while the block runs, if the settings name a namespace for them."""
    namespace = settings.cloudwatch_namespace
    if not namespace:
        yield
        return
    is_over = threading.Event()

    def log() -> None:
        before: Counts = {}
        while not is_over.wait(every_seconds):
            values, before = measure(render().decode(), before)
            sys.stdout.write(embedded(namespace, values) + "\n")
            sys.stdout.flush()

    thread = threading.Thread(target=log, name="cloudwatch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
