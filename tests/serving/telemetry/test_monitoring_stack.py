"""Dashboard and alert rules: they parse, they fire when they should, and every metric they name is real."""

import ast
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.adapters.model_store.signing_keys import PUBLIC_FILE
from flightline.core.settings import Settings
from serving.middleware.api_keys import issue_key
from serving.telemetry import metrics as in_code
from tests.support.models.damaged_models import deliver_damaged
from tests.support.servers.service_process import REPOSITORY, Service, running
from tests.support.small_service import INSTANCE, PREDICT, STATUS, put_model
from tests.support.waiting import wait_until
from tools.ci import check_alerts
from tools.ci.check_alerts import STACK, dashboard_queries

pytestmark = pytest.mark.system

OF_PROMETHEUS = {"up", "node_textfile_mtime_seconds"}
OF_THE_MONITOR = set(
    re.findall(r'"(flightline_monitor_\w+)"', (REPOSITORY / "pipelines/monitoring_steps/report.py").read_text())
)
METRICS = "serving/telemetry/metrics.py"
COUNTED = ("_total", "_count", "_bucket", "_sum")
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine")


def rule_queries(folder: Path) -> dict[str, str]:
    rules = yaml.safe_load((folder / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    return {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}


def metrics_named(query: str) -> set[str]:
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|group_left)\s*\([^)]*\)', " ", query)
    return set(re.findall(r"\b(?:up|[a-z]+(?:_[a-z]+)+)\b(?!\s*\()", bare)) - {"group_left"}


QUERIES = {**rule_queries(STACK), **dashboard_queries(STACK)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("watched")) as up:
        up.ask(PREDICT, {"instances": [INSTANCE]})
        yield up


def test_every_metric_that_is_named_is_on_the_service(service: Service) -> None:
    present = {name.split("{")[0] for name in service.metrics()}
    named = {name: metrics_named(query) for name, query in QUERIES.items()}
    assert all(named.values())
    assert {
        name: gone for name, found in named.items() if (gone := found - present - OF_PROMETHEUS - OF_THE_MONITOR)
    } == {}


def test_every_gauge_of_the_monitor_is_looked_at() -> None:
    named = set().union(*map(metrics_named, QUERIES.values()))
    assert len(OF_THE_MONITOR) > 8
    # Labels of what the others count.
    assert OF_THE_MONITOR - named == {
        "flightline_monitor_info",
        "flightline_monitor_clock_seconds",
        "flightline_monitor_anomaly",
    }


def test_every_metric_of_the_service_is_looked_at(service: Service) -> None:
    counts = {name.split("{")[0] for name in service.metrics()}
    named = set().union(*map(metrics_named, QUERIES.values()))
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in counts}
    looked_at = {name.removesuffix("_bucket").removesuffix("_count") for name in named}
    assert families - looked_at == set()


@needs_promtool
def test_the_stack_passes_every_check() -> None:
    failed = {name: done.stdout + done.stderr for name, done in check_alerts.check(STACK) if done.returncode}
    assert failed == {}


def test_every_rule_has_a_test_of_its_own() -> None:
    tests = yaml.safe_load((STACK / "prometheus" / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    assert [test["name"] for test in tests] == list(rule_queries(STACK))


@needs_promtool
@pytest.mark.parametrize("alert", rule_queries(STACK))
def test_a_rule_that_never_fires_or_always_does_fails_its_test(tmp_path: Path, alert: str) -> None:
    for query in ("vector(0) > 1", "vector(1)"):
        folder = tmp_path / ("always" if query == "vector(1)" else "never")
        shutil.copytree(STACK / "prometheus", folder)
        rules = yaml.safe_load((folder / "rules.yml").read_text(encoding="utf-8"))
        for rule in rules["groups"][0]["rules"]:
            if rule["alert"] == alert:
                rule["expr"] = query
        (folder / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
        done = check_alerts.promtool("test", "rules", folder / "rules_test.yml")
        assert done.returncode != 0
        assert alert in done.stdout + done.stderr


def test_every_metric_is_set_by_code_that_runs() -> None:
    """A gauge that nobody sets is on the page of metrics all the same: as a zero, on which no alert fires."""
    metrics = ast.parse((REPOSITORY / METRICS).read_text(encoding="utf-8"))
    callers = [file for file in (REPOSITORY / "serving").rglob("*.py") if file != REPOSITORY / METRICS]
    used = set().union(*(names_in(ast.parse(file.read_text(encoding="utf-8"))) for file in callers))
    functions = {one.name: names_in(one) for one in ast.walk(metrics) if isinstance(one, ast.FunctionDef)}
    while more := set().union(*(functions[name] for name in used & functions.keys())) - used:
        used |= more
    made = {name for name, value in vars(in_code).items() if isinstance(value, MetricWrapperBase)}
    assert len(made) > 15
    assert made - used == set()


def names_in(tree: ast.AST) -> set[str]:
    """Give every name that code reads or calls; what it imports and does not use does not count."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


@needs_promtool
def test_alerts_fire_by_what_a_real_service_counts(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    key = issue_key(settings.api_keys_file, "team")
    named = {
        "FLIGHTLINE_PROFILE": "stack",
        "FLIGHTLINE_SIGNING__PUBLIC_KEY": settings.signing_dir / PUBLIC_FILE,
        "FLIGHTLINE_PREDICTION_LOG__BUSY_TIMEOUT_SECONDS": 0.2,
    }
    put_model(settings, "3")
    deliver_damaged(settings, "no signature")
    current = settings.serving_models_dir / "current.json"
    atomic_write_text(current, '{"version": "3"}')
    with running(tmp_path, key, **named) as service:
        assert service.ask(PREDICT, {"instances": [INSTANCE]}).status == 200
        assert service.is_ready()
        quiet = service.metrics()
        assert service.ask(PREDICT, {"instances": [INSTANCE] * 50}).status == 200
        for _ in range(20):
            assert service.ask(PREDICT, authorization="Bearer wrong").status == 401
        atomic_write_text(current, '{"version": "4"}')
        wait_until(lambda: service.ask(STATUS).json()["refused"], said="the model is refused")
        with closing(sqlite3.connect(settings.prediction_log_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert service.ask(PREDICT, {"instances": [INSTANCE]}).status == 503
            assert service.ask("/health/ready").status == 503
            # The gauges follow with the next look, within ten seconds.
            loud = wait_until(lambda: in_trouble(service.metrics()), said="the worker shows the others")
    fire_alone(tmp_path, set(), quiet, quiet)
    faults = {
        "WorkersNotReady", "RequestsFail", "WrongKeys", "FeaturesMissing", "ModelRefused", "ModelNotSigned", "LogFails",
    }  # fmt: skip
    fire_alone(tmp_path, faults, quiet, loud)


def in_trouble(metrics: dict[str, float]) -> dict[str, float] | None:
    """Give the metrics if they show that no worker is ready, and that a model is refused."""
    is_refused = any(name.startswith("flightline_model_refused{") and value == 1 for name, value in metrics.items())
    return metrics if is_refused and metrics["flightline_workers_ready"] == 0 else None


def fire_alone(folder: Path, expected: set[str], before: dict[str, float], after: dict[str, float]) -> None:
    """Demand which alerts fire in a Prometheus that reads these metrics: what was counted is counted every 15 s."""
    series = []
    for name, value in after.items():
        bare, _, labels = name.rstrip("}").partition("{")
        rise = value - before.get(name, 0) if bare.endswith(COUNTED) else 0
        labelled = ", ".join(filter(None, [labels, 'instance="a"']))
        series.append({"series": f"{bare}{{{labelled}}}", "values": f"{value}+{rise}x200"})
    queries = [
        {
            "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0 or vector(0)',
            "eval_time": "45m",
            "exp_samples": [{"labels": "{}", "value": int(alert in expected)}],
        }
        for alert in rule_queries(STACK)
    ]
    assert expected <= set(rule_queries(STACK))
    file = folder / "real_test.yml"
    tests = [{"interval": "15s", "input_series": series, "promql_expr_test": queries}]
    content = {"rule_files": [str(STACK / "prometheus" / "rules.yml")], "evaluation_interval": "1m", "tests": tests}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    done = check_alerts.promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_query_that_does_not_parse_is_found() -> None:
    assert check_alerts.check_queries({"good": "sum(up)"}).returncode == 0
    assert check_alerts.check_queries({"good": "sum(up)", "broken": "sum(rate(up[5m])"}).returncode != 0


def test_a_metric_that_is_not_there_is_found() -> None:
    assert metrics_named('rate(flightline_no_such_total{a="b"}[5m]) / on (instance) sum by (le) (up)') == {
        "flightline_no_such_total",
        "up",
    }
