"""What infra/stack/compose.yaml says, unstarted: passwords, limits, who reaches whom; and that compose takes it."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flightline.core.errors import StartError
from tests.stack.composed import COMPOSE, MissingVariableError, read_compose
from tools.images.docker import CLIENTS, DockerError
from tools.stack.compose import PAGES, check_ports, obey, parse
from tools.stack.secrets import ALERTS_SHA256, KEYS, PASSWORDS, ensure_secrets, read_environment

TEXT = COMPOSE.read_text(encoding="utf-8")
NEEDED = sorted(set(re.findall(r"\$\{(\w+):\?", TEXT)))
# What runs once, and the model sync, whose end the service outlives: compose starts it again, and nobody waits for it.
UNASKED = {"setup", "declarations", "model-sync"}
OWN = {"setup", "declarations", "mlflow", "prefect", "worker", "service", "model-sync"}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    ensure_secrets(tmp_path)
    return read_environment(tmp_path / "stack.env")


@pytest.fixture
def services(given: dict[str, str]) -> dict[str, dict]:
    return read_compose(given)["services"]


def compose_programs() -> list[list[str]]:
    """Give every compose of this machine: Docker's plugin, of version 2, and the older program."""
    clients = [
        [client, "compose"]
        for client in filter(None, map(shutil.which, CLIENTS))
        if subprocess.run([client, "compose", "version"], capture_output=True, check=False).returncode == 0
    ]
    older = shutil.which("docker-compose")
    return clients[:1] + ([[older]] if older else [])


@pytest.fixture(params=[0, 1])
def compose_program(request: pytest.FixtureRequest) -> list[str]:
    programs = compose_programs()
    if not programs:
        said = "compose is not on this machine (Debian: apt-get install docker-compose)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(said)
    if request.param >= len(programs):
        pytest.skip(f"one compose is on this machine: {programs[0]}")
    return programs[request.param]


def config(compose_program: list[str], environment_file: Path) -> "subprocess.CompletedProcess[str]":
    command = [*compose_program, "--env-file", str(environment_file), "--file", str(COMPOSE), "config"]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STACK_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=bare)


def test_compose_takes_it(compose_program: list[str], given: dict[str, str], tmp_path: Path) -> None:
    done = config(compose_program, tmp_path / "stack.env")
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()
    assert "no-new-privileges" in done.stdout


@pytest.mark.parametrize("name", NEEDED)
def test_without_a_password_it_refuses_to_start_and_says_what_to_do(name: str, given: dict, tmp_path: Path) -> None:
    with pytest.raises(MissingVariableError, match=name):
        read_compose({known: value for known, value in given.items() if known != name})


def test_compose_itself_refuses_too(compose_program: list[str], given: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "stack.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items() if name != "STACK_REDIS_PASSWORD"))
    done = config(compose_program, file)
    assert done.returncode != 0
    assert "STACK_REDIS_PASSWORD" in done.stderr
    assert "make stack-up" in done.stderr


def test_a_command_without_a_stack_says_what_starts_it(tmp_path: Path) -> None:
    for asked in (["down"], ["do", "ps"]):
        with pytest.raises(DockerError, match="make stack-up"):
            obey(parse(asked), tmp_path)


def test_starting_without_a_docker_says_so_and_makes_the_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(DockerError, match="no Docker daemon answers"):
        obey(parse(["up"]), tmp_path)
    assert (tmp_path / "stack.env").is_file()


def test_every_password_that_is_made_is_asked_for_and_no_other() -> None:
    assert set(NEEDED) == {*PASSWORDS, *KEYS.values(), ALERTS_SHA256}


def test_no_password_has_a_default() -> None:
    assert re.findall(r"\$\{\w*(?:PASSWORD|SECRET|KEY|SHA256)\w*(?::-[^}]+)?\}", TEXT) == []
    literal = re.findall(r"^\s+\w*(?:PASSWORD|SECRET)\w*: (?!\$\{|&|\*)(.+)$", TEXT, re.MULTILINE)
    assert literal == []


def test_only_what_registers_may_write_feasts_registry(services: dict[str, dict]) -> None:
    users = {
        name: urlsplit(service["environment"]["FEAST_REGISTRY"]).username
        for name, service in services.items()
        if "FEAST_REGISTRY" in service.get("environment", {})
    }
    assert users["service"] == "feast_reader"
    assert {name for name, user in users.items() if user != "feast_reader"} == {"declarations", "worker"}
    made = services["setup"]["environment"]
    assert made["FLIGHTLINE_DATABASES__READERS__FEAST"] in services["service"]["environment"]["FEAST_REGISTRY"]


def test_every_port_is_open_to_this_machine_alone(services: dict[str, dict]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == len(PAGES)
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_service_is_bounded_and_can_gain_no_right(services: dict[str, dict]) -> None:
    for name, service in services.items():
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name


def test_what_is_our_own_is_read_only_and_gets_no_right_back(services: dict[str, dict]) -> None:
    for name in OWN:
        assert services[name]["read_only"] is True, name
        assert services[name]["tmpfs"] == ["/tmp"], name
        assert "cap_add" not in services[name], name


def test_images_of_others_are_pinned(services: dict[str, dict]) -> None:
    others = {name: service["image"] for name, service in services.items() if name not in OWN}
    assert len(others) == 7
    assert [image for image in others.values() if not re.fullmatch(r"[\w./-]+:v?\d+(\.\d+)+[\w.-]*", image)] == []


def test_every_service_that_goes_on_is_asked_whether_it_is_well(services: dict[str, dict]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == UNASKED


def test_nobody_reaches_what_it_does_not_need(given: dict[str, str], services: dict[str, dict]) -> None:
    on = {name: set(service["networks"]) for name, service in services.items()}

    def reached_by(name: str) -> set[str]:
        return {other for other, networks in on.items() if networks & on[name]} - {name}

    assert reached_by("postgres") == {"setup", "declarations", "mlflow", "prefect", "worker", "service"}
    assert reached_by("redis") == {"declarations", "worker", "service"}
    assert reached_by("artifacts") == {"mlflow"}
    assert reached_by("grafana") == {"prometheus"}
    assert reached_by("prometheus") == {"service", "gauges", "alertmanager", "grafana"}
    assert reached_by("alertmanager") == {"prometheus"}
    assert reached_by("gauges") == {"prometheus"}
    assert reached_by("mlflow") == {"postgres", "artifacts", "prefect", "worker", "model-sync"}
    assert reached_by("prefect") == {"postgres", "mlflow", "worker", "model-sync"}
    assert reached_by("service") == {"postgres", "redis", "setup", "declarations", "worker", "prometheus"}
    assert reached_by("model-sync") == {"mlflow", "prefect", "worker"}
    networks = read_compose(given)["networks"]
    inside = {name for name, options in networks.items() if options.get("internal")}
    assert inside == {"predictions", "records_mlflow", "records_prefect", "features", "artifacts", "gauges"}


def test_the_private_key_is_the_workers_alone(services: dict[str, dict]) -> None:
    def holds(service: dict, folder: str) -> bool:
        return any(f"/{folder}:" in volume for volume in service.get("volumes", []))

    assert {name for name, service in services.items() if holds(service, "signing")} == {"worker"}
    assert {name for name, service in services.items() if holds(service, "public")} == {"service", "model-sync"}


def test_only_the_service_and_prometheus_know_keys_of_the_service(services: dict[str, dict]) -> None:
    told = {name for name, service in services.items() if "API_KEYS" in str(service.get("environment"))}
    assert told == {"service"}
    assert {name for name, service in services.items() if "metrics_key" in service.get("secrets", [])} == {"prometheus"}


def test_a_taken_port_is_named_before_images_are_built(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    file = tmp_path / "stack.env"
    with socket.create_server(("127.0.0.1", 0)) as taken, file.open("a", encoding="utf-8") as lines:
        port = taken.getsockname()[1]
        lines.write("".join(f"{variable}={port}\n" for variable, _, _ in PAGES.values()))
        lines.flush()
        with pytest.raises(StartError, match=rf"service cannot listen on 127.0.0.1:{port} .*STACK_SERVICE_PORT="):
            check_ports(file)


def test_what_the_stack_listens_on_is_asked_by_no_proxy(services: dict[str, dict]) -> None:
    named = {name: service.get("environment") or {} for name, service in services.items() if name in OWN}
    for name, environment in named.items():
        hosts = set(re.findall(r"https?://([a-z]+):\d+", " ".join(map(str, environment.values())))) - {"localhost"}
        for variable in ("NO_PROXY", "no_proxy"):
            assert hosts <= set(str(environment.get(variable, "")).split(",")), name
        check = " ".join((services[name].get("healthcheck") or {}).get("test", []))
        assert "urllib" not in check or "build_opener(r.ProxyHandler({}))" in check, name


def test_only_prefect_s_own_pages_may_ask_it(services: dict[str, dict]) -> None:
    environment = services["prefect"]["environment"]
    allowed = environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    assert allowed == ["http://127.0.0.1:4200", "http://localhost:4200"]
    assert environment["PREFECT_UI_URL"] in allowed


def test_links_lead_to_this_machine_and_to_no_container(services: dict[str, dict]) -> None:
    named = {
        "prometheus": services["prometheus"]["command"],
        "alertmanager": services["alertmanager"]["command"],
        "grafana": [services["grafana"]["environment"]["GF_SERVER_ROOT_URL"]],
        "prefect": [services["prefect"]["environment"]["PREFECT_UI_URL"]],
    }
    for name, words in named.items():
        port = services[name]["ports"][0].removeprefix("127.0.0.1:").split(":")[0]
        assert any(word.endswith(f"http://127.0.0.1:{port}") for word in words), name
