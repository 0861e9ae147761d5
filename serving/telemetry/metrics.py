"""What Prometheus is told: every metric, and the functions that count.

Where `metrics_folder.shared_metrics` was entered, all processes of the service write to one folder, and any worker
answers for all; elsewhere (tests) for itself. Gauges of a process that ended are dropped when they are next read.
"""

import os
import time
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from serving.telemetry.metrics_folder import VARIABLES, drop_ended, is_begun

# Read with prometheus_client's import: what is set later (Feast does) changes nothing any more.
_FOLDER = os.environ.get(VARIABLES[0])
_OWN = CollectorRegistry()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
AGES_EVERY_SECONDS = 0.1
BOUNDS = ("concurrent", "rows", "body", "time")
LIMITS = ("requests", "rows", "wrong_keys")
SIGNED_ROLES = ("champion", "challenger", "features")
REFUSED_ABOUT = ("model", "signature", "move")
CANARY_ERRORS = ("failed", "slow", "dropped", "refused")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_AGES = (_MINUTE, 10 * _MINUTE, _HOUR, 3 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY)

_counter, _histogram = partial(Counter, registry=_OWN), partial(Histogram, registry=_OWN)
# Gauges are sums over the workers where nothing else is said.
_gauge = partial(Gauge, registry=_OWN, multiprocess_mode="livesum")

REQUEST_SECONDS = _histogram("flightline_request_seconds", "Time to answer.", ["route", "status"], buckets=_SECONDS)
ACTIVE = _gauge("flightline_requests_active", "Requests being answered.")
BUSY = _counter("flightline_busy", "Requests refused with 503 for want of room or time.", ["bound"])
RATE_LIMITED = _counter("flightline_rate_limited", "Requests refused with 429.", ["why"])
COUNTED_ALONE = _counter("flightline_limits_alone", "Requests counted while limits_url was away.")
UNAUTHORISED = _counter("flightline_unauthorised", "Requests without a valid key.")
ROWS = _counter("flightline_rows", "Rows answered, by endpoint.", ["endpoint"])
PREDICTIONS = _counter("flightline_predictions", "Predictions made.", ["version", "role"])
MISSING = _counter("flightline_features_missing", "Rows that lacked a feature, or a whole view.", ["feature", "reason"])
WITHOUT_FEATURES = _counter(
    "flightline_rows_without_features", "Rows answered of which the feature store knew nothing."
)
FEATURES_BEHIND = _gauge("flightline_features_behind_seconds", "Store behind the clock.", multiprocess_mode="livemax")
FEATURE_AGE = _histogram(
    "flightline_feature_age_seconds",
    "Greatest age of a view among the rows of a request, of at most ten requests a second and worker.",
    ["view"],
    buckets=_AGES,
)
# Sums, because every process that imports this, one that never predicts too, adds a zero.
WORKERS = _gauge("flightline_workers", "Workers that run.")
WORKERS_READY = _gauge("flightline_workers_ready", "Workers ready.")
MODEL_WORKERS = _gauge("flightline_model_workers", "Workers that hold this version.", ["role", "version"])
MODEL_TIMESTAMP = _gauge(
    "flightline_model_timestamp_seconds",
    "When the model was registered; of workers that differ, the earlier.",
    ["role"],
    multiprocess_mode="livemin",
)
MODELS_REFUSED = _counter("flightline_models_refused", "Delivered models that were refused.")
MODEL_REFUSED = _gauge(
    "flightline_model_refused",
    "1 while the newest model is refused, by what was wrong.",
    ["about"],
    multiprocess_mode="livemax",
)
SIGNATURES_REFUSED = _counter(
    "flightline_signatures_refused",
    "Looks at a delivered model that found its signature missing or wrong.",
    ["role"],
)
REGISTRIES_REFUSED = _counter(
    "flightline_registries_refused", "Looks at Feast's registry that found in it what Feast would run."
)
CANARY_ERROR_ROWS = _counter(
    "flightline_canary_errors", "Rows a challenger failed or was slow for, or was not asked for.", ["reason"]
)
CANARY_SECONDS = _histogram(
    "flightline_canary_seconds", "Time of a challenger to predict, by request.", buckets=_SECONDS
)
LOG_SECONDS = _histogram("flightline_log_write_seconds", "Time to write predictions to the log.", buckets=_SECONDS)
LOG_ROWS = _counter("flightline_log_rows", "Predictions written to the log.")
LOG_FAILURES = _counter("flightline_log_failures", "Writes to the prediction log that failed.")
# Not there until it is measured: a zero from a process that never does would be a full disk.
LOG_FREE_BYTES = _gauge(
    "flightline_log_free_bytes",
    "How much the prediction log can still grow.",
    ["log"],
    multiprocess_mode="livemin",
)


@cache
def _child(metric: Any, *labels: str) -> Any:
    """Give what counts for these labels: to look it up costs more than to count."""
    return metric.labels(*labels)


def record_request(route: str, status: int, seconds: float) -> None:
    """Count an answered request; `route` is a route's template, never what the client sent."""
    _child(REQUEST_SECONDS, route, str(status)).observe(seconds)


def record_busy(bound: str) -> None:
    """Count a request refused because a bound was reached: one of `BOUNDS`."""
    _child(BUSY, bound).inc()


def record_rate_limited(why: str) -> None:
    """Count a 429, for one of `LIMITS`."""
    _child(RATE_LIMITED, why).inc()


def record_rows(endpoint: str, count: int, version: str, role: str) -> None:
    """Count predictions that are answers.

    Parameters
    ----------
    endpoint
        The route of the request: predict or score.
    """
    _child(ROWS, endpoint).inc(count)
    record_prediction(version, role, count)


def record_prediction(version: str, role: str, count: int = 1) -> None:
    """Count predictions by the version that made them, and its role: champion, challenger or shadow."""
    _child(PREDICTIONS, version, role).inc(count)


def record_canary(reason: str, rows: int, seconds: float | None = None) -> None:
    """Count what a challenger was asked.

    Parameters
    ----------
    reason
        What was wrong, one of `CANARY_ERRORS`; empty if nothing was.
    seconds
        It took, if it was asked.
    """
    if reason:
        _child(CANARY_ERROR_ROWS, reason).inc(rows)
    if seconds is not None:
        CANARY_SECONDS.observe(seconds)


class _Sampler:
    """Says at most so often that it is time."""

    def __init__(self, every_seconds: float):
        self._every = every_seconds
        self._next = 0.0

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every
        return True


_ages_due = _Sampler(AGES_EVERY_SECONDS)


def record_features(
    missing: Iterable[Mapping[str, str]], ages: Iterable[Mapping[str, float]], without: int = 0
) -> None:
    """Count what predictions could not use, and how old what they used was.

    Parameters
    ----------
    missing
        Of each row, why a feature or a view was missing.
    ages
        Of each row, the age in seconds of each view.
    without
        How many of the rows had no feature at all.
    """
    WITHOUT_FEATURES.inc(without)
    tally = Tally(item for row in missing for item in row.items())
    for (feature, reason), count in tally.items():
        _child(MISSING, feature, reason).inc(count)
    # A view costs two microseconds, so under load not every request is measured.
    if _ages_due.is_due():
        greatest: dict[str, float] = {}
        for row in ages:
            for view, age in row.items():
                greatest[view] = max(age, greatest.get(view, 0))
        for view, age in greatest.items():
            _child(FEATURE_AGE, view).observe(age)


def begin_at_zero() -> None:
    """Show counts whose labels are known before anything is counted: a rate needs a first value."""
    for bound in BOUNDS:
        _child(BUSY, bound).inc(0)
    for why in LIMITS:
        _child(RATE_LIMITED, why).inc(0)
    for role in SIGNED_ROLES:
        _child(SIGNATURES_REFUSED, role).inc(0)
    for reason in CANARY_ERRORS:
        _child(CANARY_ERROR_ROWS, reason).inc(0)


_served: dict[str, str] = {}


def set_served(role: str, version: str | None, since: datetime | None = None) -> None:
    """Show which version this process holds in a role.

    Parameters
    ----------
    role
        champion, shadow or challenger.
    version
        None if it holds none any more.
    since
        When that version was registered, or loaded if that is not known.
    """
    if role in _served:
        MODEL_WORKERS.labels(role, _served.pop(role)).set(0)
    if version is not None:
        _served[role] = version
        MODEL_WORKERS.labels(role, version).set(1)
    if since is not None:
        MODEL_TIMESTAMP.labels(role).set(since.timestamp())


def set_ready(is_ready: bool) -> None:
    """Say whether this worker can predict; a process that is no worker does not call it."""
    WORKERS.set(1)
    WORKERS_READY.set(is_ready)


def count_not_ready() -> tuple[int, int]:
    """Count the workers of this service that cannot predict, and those that run, by what each wrote last."""
    if _FOLDER is None:
        return 0, 1
    drop_ended(Path(_FOLDER))
    sums = _WholeFiles(CollectorRegistry(), path=_FOLDER).collect("gauge_livesum_*.db")
    values = {sample.name: int(sample.value) for metric in sums for sample in metric.samples}
    running = values.get("flightline_workers", 0)
    return running - values.get("flightline_workers_ready", 0), running


def set_features_behind(seconds: float) -> None:
    """Say how far what is loaded of the features is behind the event clock."""
    FEATURES_BEHIND.set(max(0.0, seconds))


def record_refused_model(about: str) -> None:
    """Count a delivered model that was refused for one of `REFUSED_ABOUT`; shown until `clear_refused_model`."""
    MODELS_REFUSED.inc()
    clear_refused_model(but=about)


def record_bad_signature(role: str) -> None:
    """Count a model that was refused for its signature, as one of `SIGNED_ROLES`."""
    _child(SIGNATURES_REFUSED, role).inc()


def clear_refused_model(but: str = "") -> None:
    """Say that the newest model is not refused (any more), but for what one of `REFUSED_ABOUT` says."""
    for about in REFUSED_ABOUT:  # what stays refused is never 0 in between, when somebody may look
        MODEL_REFUSED.labels(about).set(int(about == but))


def record_log_write(seconds: float, rows: int) -> None:
    """Count a write to the prediction log that is durable."""
    LOG_SECONDS.observe(seconds)
    LOG_ROWS.inc(rows)


def record_log_failure() -> None:
    """Count a write to the prediction log that failed."""
    LOG_FAILURES.inc()


def set_log_free_bytes(count: int) -> None:
    """Say how much the prediction log can still grow."""
    LOG_FREE_BYTES.labels("predictions").set(count)


def render() -> bytes:
    """Write all metrics of all processes, as Prometheus reads them."""
    if _FOLDER is None:
        return generate_latest(_OWN)
    drop_ended(Path(_FOLDER))
    registry = CollectorRegistry()
    _WholeFiles(registry, path=_FOLDER)
    return generate_latest(registry)


class _WholeFiles(MultiProcessCollector):
    """Leaves out files that a worker has just made, or was killed while making: they are empty, and cannot be read."""

    def collect(self, pattern: str = "*.db") -> Iterable[Metric]:
        files = [str(file) for file in Path(self._path).glob(pattern) if is_begun(file)]
        return self.merge(files, accumulate=True)
