"""The images, built once, and a small feature store and model for them to serve.

Where Docker is missing these tests are skipped by name, but under CI=true they fail.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.core.settings import Settings
from tests.images.containers import volume
from tests.support.small_service import NOON, put_model
from tests.support.small_store import definitions_digest, make_store
from tools.images.build import FLOWS, SERVICE, Image, build, ensure_base
from tools.images.docker import Docker, DockerError, docker_ready

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests: they are what `make image-smoke` runs, and nothing else does."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def docker(isolated_session: None) -> Iterator[Docker]:
    """Give a Docker that answers; ends the daemon that it had to start."""
    ready = docker_ready(ROOT / ".state")
    try:
        opened = ready.__enter__()
        ensure_base(opened)
    except DockerError as err:
        if os.environ.get("CI") == "true":
            pytest.fail(str(err))
        pytest.skip(str(err))
    yield opened
    ready.__exit__(None, None, None)


@pytest.fixture(scope="session")
def service_image(docker: Docker) -> str:
    return tested(docker, SERVICE, "TESTED_SERVICE_IMAGE")


@pytest.fixture(scope="session")
def flows_image(docker: Docker) -> str:
    return tested(docker, FLOWS, "TESTED_FLOWS_IMAGE")


def tested(docker: Docker, image: Image, variable: str) -> str:
    """Give the image that was pushed, by its digest, so that what is tested is what is deployed; else build it."""
    if pushed := os.environ.get(variable):
        docker.run("pull", "--quiet", pushed, timeout_seconds=1800)
        docker.run("tag", pushed, f"{image.name}:latest")
    else:
        build(docker, image)
    return image.name


@pytest.fixture(scope="session")
def stored_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with a set clock, a materialised feature store and a model that fits it."""
    settings = Settings(root=tmp_path_factory.mktemp("images"))
    set_clock(settings, NOON)
    make_store(settings)
    put_model(settings, "3", feature_views_sha256=definitions_digest(settings))
    return settings.root


@pytest.fixture
def stored(docker: Docker, service_image: str, stored_root: Path) -> Iterator[str]:
    """Give a volume from which the service can predict."""
    with volume(docker, service_image, stored_root, "clock.json", "feast", "serving", "signing/public.pem") as name:
        yield name
