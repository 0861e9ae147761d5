"""`make base-image`: what it says where the base cannot be made."""

import pytest

from template import base_image
from tools.images import docker
from tools.images.docker import Docker, DockerError


@pytest.fixture
def no_registry(tmp_path) -> Docker:
    """A client that has no image and reaches no registry."""
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho 'no such host' >&2\nexit 1\n")
    client.chmod(0o755)
    return Docker(str(client))


def test_without_debootstrap_it_says_what_to_install(no_registry, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DockerError, match=r"cannot be pulled \(no such host\).*apt-get install debootstrap"):
        base_image.have_base(no_registry)


def test_without_docker_there_is_nothing_to_do(monkeypatch, capsys):
    monkeypatch.setattr(docker, "CLIENTS", ("no-such-docker",))
    assert base_image.main() == 0
    assert "SKIPPED, Docker is not installed" in capsys.readouterr().out
