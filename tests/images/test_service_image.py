"""What the service's image holds, and what it does not."""

import json
import re
import subprocess

import pytest

from tests.images.conftest import ROOT
from tools.images.build import SERVICE, commit, package_sizes, project_version, size_megabytes
from tools.images.docker import Docker

MOST_MEGABYTES = 800
BUILDERS = ("gcc", "cc", "make", "ld", "pip", "pip3", "uv", "git", "curl", "wget")
NEVER_INSIDE = ("mlflow", "prefect", "dvc", "evidently", "matplotlib", "pandera", "mypy", "pip", "setuptools", "pytest")


@pytest.fixture(scope="module")
def config(docker: Docker, service_image: str) -> dict:
    return json.loads(docker.run("image", "inspect", service_image).stdout)[0]["Config"]


def inside(docker: Docker, image: str, *command: str) -> "subprocess.CompletedProcess[str]":
    return docker.run("run", "--rm", "--network", "none", "--read-only", image, *command, check=False)


def test_it_is_small(docker, service_image):
    assert size_megabytes(docker, SERVICE) <= MOST_MEGABYTES


def test_it_says_what_it_was_made_of(config):
    labels = config["Labels"]
    assert labels["org.opencontainers.image.revision"] == commit()
    assert labels["org.opencontainers.image.version"] == project_version()
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?", commit())


def test_it_runs_as_nobody_special(config):
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python"]


def test_it_holds_no_build_tool(docker, service_image):
    found = inside(docker, service_image, "sh", "-c", "for tool; do command -v $tool; done; true", "sh", *BUILDERS)
    assert found.stdout == ""


def test_it_holds_nothing_of_the_flows(docker, service_image):
    code = "import importlib.util as u, sys; print([name for name in sys.argv[1:] if u.find_spec(name)])"
    assert inside(docker, service_image, "python", "-c", code, *NEVER_INSIDE, "pipelines").stdout.strip() == "[]"


def test_it_holds_what_is_locked_and_nothing_else(docker, service_image):
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", (ROOT / "locks/serving.txt").read_text(), re.MULTILINE))
    held = {re.sub(r"[-_.]+", "-", name.lower()) for name in package_sizes(docker, SERVICE)}
    assert held - locked == set()
    assert "scikit-learn" in held


def test_its_bytecode_is_compiled(docker, service_image):
    code = (
        "import flightline.core.settings, serving.app, sklearn, sys; from pathlib import Path;"
        "print([m for m in (flightline.core.settings, serving.app, sklearn) if not Path(m.__cached__).is_file()])"
    )
    assert inside(docker, service_image, "python", "-c", code).stdout.strip() == "[]"


def test_no_index_and_no_secret_stays_in_it(docker, service_image, config):
    history = docker.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", service_image).stdout
    assert not re.search(r"INDEX|SSL_CERT_FILE|PIP_CERT|://[^ ]*simple", history + json.dumps(config["Env"]))
    search = "find / -xdev -path '/run/secrets/*' -o -name .cache -o -name pip.conf -o -name uv.toml"
    as_root = ("run", "--rm", "--user", "0", "--network", "none", service_image)
    assert docker.run(*as_root, "sh", "-c", search).stdout == ""


def test_no_code_in_it_can_be_changed_by_the_service(docker, service_image):
    find = "find / -xdev -writable -not -path '/proc/*' -not -path '/dev/*' -not -type l | sort"
    writable = docker.run("run", "--rm", "--network", "none", service_image, "sh", "-c", f"{find} 2>/dev/null").stdout
    places = {"/tmp", "/var/tmp", "/run/lock", "/srv/flightline/.state"}
    assert {line for line in writable.splitlines() if not line.startswith(("/proc", "/sys", "/dev"))} <= places
