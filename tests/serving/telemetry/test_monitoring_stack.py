"""Dashboard and alert rules: they parse, they fire when they should, and every metric they name is real."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.servers.service_process import Service, running
from tests.support.small_service import INSTANCE, PREDICT
from tools.ci import check_alerts
from tools.ci.check_alerts import STACK, dashboard_queries, metrics_named, rule_queries

pytestmark = pytest.mark.system

OF_PROMETHEUS = {"up"}
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine")
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
    assert {name: gone for name, found in named.items() if (gone := found - present - OF_PROMETHEUS)} == {}


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


@needs_promtool
def test_a_query_that_does_not_parse_is_found() -> None:
    assert check_alerts.check_queries({"good": "sum(up)"}).returncode == 0
    assert check_alerts.check_queries({"good": "sum(up)", "broken": "sum(rate(up[5m])"}).returncode != 0


def test_a_metric_that_is_not_there_is_found() -> None:
    assert metrics_named('rate(flightline_no_such_total{a="b"}[5m]) / on (instance) sum by (le) (up)') == {
        "flightline_no_such_total",
        "up",
    }
