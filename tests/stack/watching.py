"""What watches the stack, as processes: Prometheus, the exporter of the monitor's gauges, and Alertmanager.

Command and configuration are the stack's; another address, and another place of a file, is all that differs.
"""

import shutil
from pathlib import Path

from pipelines.common.servers.processes import Program
from tests.stack.composed import REPOSITORY, Composed

HOST = "127.0.0.1"


def find_program(name: str) -> str | None:
    """Find a program of Prometheus' family, which Debian calls by a longer name."""
    return shutil.which(f"prometheus-{name}") or shutil.which(name)


def prometheus_program(composed: Composed, folder: Path) -> Program:
    """Describe Prometheus with the stack's configuration."""
    shutil.copytree(REPOSITORY / "infra" / "stack" / "prometheus", folder)
    config = folder / "prometheus.yml"
    text = config.read_text(encoding="utf-8")
    places = {"/run/secrets/metrics_key": str(composed.folder / "stack" / "metrics_key")}
    for name, port in {"service": 8000, "gauges": 9100, "alertmanager": 9093}.items():
        places[f"{name}:{port}"] = f"{HOST}:{composed.ports[name]}"
    for there, here in places.items():
        assert there in text
        text = text.replace(there, here)
    config.write_text(text, encoding="utf-8")
    moved = {"=/etc/prometheus": f"={folder}", "=/prometheus": f"={folder / 'data'}"}
    command = ("prometheus", *_options(composed, "prometheus", moved), _listening(composed, "prometheus"))
    return Program("prometheus", command, composed.ports["prometheus"], path="/-/ready", folder=folder)


def gauges_program(composed: Composed) -> Program:
    """Describe the exporter, which reads the worker's volume."""
    moved = {"=/worker": f"={composed.folder / 'volumes' / 'worker'}", "=:9100": f"={HOST}:{composed.ports['gauges']}"}
    command = (
        str(find_program("node-exporter") or find_program("node_exporter")),
        *_options(composed, "gauges", moved),
    )
    return Program("gauges", command, composed.ports["gauges"], path="/metrics")


def alertmanager_program(composed: Composed, folder: Path) -> Program:
    """Describe Alertmanager with the configuration that `make stack-up` writes."""
    moved = {"=/etc/alertmanager": f"={composed.folder / 'stack' / 'alertmanager'}", "=/alertmanager": f"={folder}"}
    options = (*_options(composed, "alertmanager", moved), _listening(composed, "alertmanager"))
    return Program(
        "alertmanager", (str(find_program("alertmanager")), *options), composed.ports["alertmanager"], path="/-/ready"
    )


def _options(composed: Composed, service: str, moved: dict[str, str]) -> list[str]:
    options = []
    for word in composed.services[service]["command"]:
        here = word
        for there, place in moved.items():
            if there in word:
                here = word.replace(there, place)
                break
        options.append(here)
    return options


def _listening(composed: Composed, service: str) -> str:
    return f"--web.listen-address={HOST}:{composed.ports[service]}"
