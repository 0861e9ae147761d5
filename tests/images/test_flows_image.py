"""What the flows' image holds, and that flows run in it."""

import json
import re

import pytest

from tests.images.conftest import ROOT
from tests.images.containers import HARDENED
from tools.images.build import FLOWS, commit, package_sizes, project_version

# A flow writes to data/, .dvc/ and .dvcstore/ too, in the layer of its container.
OPTIONS = tuple(option for option in HARDENED if option != "--read-only")


@pytest.fixture(scope="module")
def config(docker, flows_image) -> dict:
    return json.loads(docker.run("image", "inspect", flows_image).stdout)[0]["Config"]


def test_it_says_what_it_was_made_of(config):
    assert config["Labels"]["org.opencontainers.image.revision"] == commit()
    assert config["Labels"]["org.opencontainers.image.version"] == project_version()
    assert f"FLIGHTLINE_COMMIT={commit()}" in config["Env"]
    assert config["User"] == "10001:10001"


def test_it_holds_what_is_locked_and_nothing_else(docker, flows_image):
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", (ROOT / "locks/pipelines.txt").read_text(), re.MULTILINE))
    held = {re.sub(r"[-_.]+", "-", name.lower()) for name in package_sizes(docker, FLOWS)}
    assert held - locked == set()
    assert {"mlflow", "prefect", "dvc", "evidently"} <= held


def test_data_is_cut_and_verified_in_it(docker, flows_image):
    steps = "python -m pipelines.commands.data && rm -r data && python -m pipelines.commands.data"
    done = docker.run("run", "--rm", "--network", "none", *OPTIONS, flows_image, "sh", "-c", steps)
    versions = re.findall(r"data/ is now at version ([0-9a-f]{32}\.dir)", done.stdout)
    assert len(versions) == 2, done.stdout + done.stderr
    assert len(set(versions)) == 1


def test_a_flow_cannot_change_its_code(docker, flows_image):
    command = ("run", "--rm", "--network", "none", *OPTIONS, flows_image)
    for change in ("mv src src2", "touch src/new", "rm -r pipelines", "touch /opt/venv/new"):
        assert docker.run(*command, "sh", "-c", change, check=False).returncode != 0, change


def test_every_flow_and_tool_starts_in_it(docker, flows_image):
    files = [file.relative_to(ROOT) for file in (ROOT / "pipelines").rglob("*.py") if not file.stem.startswith("_")]
    names = sorted(".".join(file.with_suffix("").parts) for file in files)
    assert {"pipelines.training", "pipelines.commands.model_sync"} <= set(names)
    names.append("serving.dry_run")  # which a training asks
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; import mlflow"
    command = ("run", "--rm", "--network", "none", *HARDENED, flows_image)
    assert docker.run(*command, "python", "-c", code, *names).returncode == 0
    for tool in ("mlflow", "prefect"):
        assert docker.run(*command, tool, "--version").returncode == 0
