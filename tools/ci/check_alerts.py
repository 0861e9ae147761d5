"""Checks what watches the service, with promtool: ``python -m tools.ci.check_alerts``.

Rules and configuration as Prometheus reads them, the rules' own tests, and every query of the
dashboards. That each metric they name exists is a test: tests/serving/telemetry/test_monitoring_stack.py.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from flightline.adapters.files.pipes import outlive_reader

STACK = Path(__file__).parents[2] / "infra" / "stack"


def dashboard_queries(folder: Path) -> dict[str, str]:
    """Give each query of the dashboards, with Grafana's variables filled in, by where it stands."""
    queries = {}
    for file in sorted(folder.glob("grafana/dashboards/*.json")):
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                name = f"{file.name}: {panel['title']}: {target['refId']}"
                queries[name] = target["expr"].replace("$__rate_interval", "5m")
    return queries


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool and give what it said."""
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


def check_queries(queries: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Let promtool parse queries, as rules that record each."""
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries.values())]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "queries.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
        return promtool("check", "rules", file)


def check(folder: Path) -> Sequence[tuple[str, subprocess.CompletedProcess[str]]]:
    """Run every check on a stack's folder."""
    prometheus = folder / "prometheus"
    return [
        # The file with the key is not there to be looked at.
        ("configuration", promtool("check", "config", "--syntax-only", prometheus / "prometheus.yml")),
        ("rules", promtool("check", "rules", prometheus / "rules.yml")),
        ("rules' tests", promtool("test", "rules", prometheus / "rules_test.yml")),
        ("queries of dashboards", check_queries(dashboard_queries(folder))),
    ]


def main() -> int:
    """Print what each check found; 1 if one failed."""
    checks = check(STACK)
    for name, done in checks:
        print(f"{'passed' if done.returncode == 0 else 'FAILED'}  {name}")
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
    return max(abs(done.returncode) for _, done in checks)


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
