"""A push that is made again: what is there under the commit's tag is taken as it is, and nothing is built."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.stub import Stubber

from tools.deploy.images import find_digest
from tools.deploy.steps import DeployError
from tools.images import docker, push

COMMIT = "c" * 40
SERVICE, FLOWS = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


class Registry(BaseHTTPRequestHandler):
    """Holds the digests that a test has put into `held`, by path; asks for a login where it holds None; or fails."""

    def do_HEAD(self):
        digest = self.server.held.get(self.path, "")
        self.send_response(500 if self.server.fails else 401 if digest is None else 200 if digest else 404)
        self.send_header("Docker-Content-Digest", digest or "")
        self.end_headers()

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry on loopback, no Docker, and a clean tree at a commit."""
    monkeypatch.setattr(docker, "CLIENTS", ("no-such-docker",))
    monkeypatch.setattr(push, "commit", lambda: COMMIT)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.held, server.fails = {}, False
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def repository(registry):
    return f"127.0.0.1:{registry.server_port}/flightline"


def path(name, tag=COMMIT):
    return f"/v2/flightline/{name}/manifests/{tag}"


def test_what_was_pushed_is_taken_by_its_digest_without_docker(registry, tmp_path, capsys):
    registry.held |= {path("service"): SERVICE, path("flows"): FLOWS}
    there = repository(registry)
    assert push.main(["--repository", there]) == 0
    assert (tmp_path / "outputs").read_text().splitlines() == [
        f"service={there}/service@{SERVICE}",
        f"flows={there}/flows@{FLOWS}",
        f"service_digest={SERVICE}",
        f"flows_digest={FLOWS}",
    ]
    assert f"service:{COMMIT} is there already, and is not built again" in capsys.readouterr().out


@pytest.mark.parametrize("held", [{}, {path("service"): SERVICE}, {path("service"): None, path("flows"): None}])
def test_what_is_not_there_is_built(registry, capsys, held):
    registry.held |= held
    assert push.main(["--repository", repository(registry)]) == 1
    assert "docker.io" in capsys.readouterr().err  # it went for Docker


@pytest.mark.parametrize("tag", [f"{COMMIT}-dirty", "unknown"])
def test_a_tag_that_names_many_trees_is_not_believed(registry, tag):
    registry.held |= {path("service", tag): SERVICE, path("flows", tag): FLOWS}
    assert push.pushed_before(repository(registry), tag) == {}


@pytest.mark.parametrize("is_there", [True, False])
def test_ecr_is_asked_by_its_own_interface(is_there):
    client = boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    session = type("Session", (), {"client": lambda self, name, region_name: client})()
    asked = {"registryId": "123456789012", "repositoryName": "flightline/service", "imageIds": [{"imageTag": COMMIT}]}
    with Stubber(client) as stub:
        if is_there:
            stub.add_response("describe_images", {"imageDetails": [{"imageDigest": SERVICE}]}, asked)
        else:
            stub.add_client_error("describe_images", "ImageNotFoundException", expected_params=asked)
        there = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/flightline/service"
        assert find_digest(there, COMMIT, session) == (SERVICE if is_there else None)


def test_a_repository_that_is_not_there_is_said_before_anything_is_built():
    client = boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    session = type("Session", (), {"client": lambda self, name, region_name: client})()
    stub = Stubber(client)
    stub.add_client_error("describe_images", "RepositoryNotFoundException")
    with stub, pytest.raises(DeployError, match="has no repository flightline/service"):
        find_digest("123456789012.dkr.ecr.eu-west-1.amazonaws.com/flightline/service", COMMIT, session)


def test_a_registry_that_fails_is_named_with_the_image(registry):
    registry.fails = True
    with pytest.raises(DeployError, match=r"127\.0\.0\.1:\d+ answered 500 when asked for flightline/service"):
        find_digest(f"{repository(registry)}/service", COMMIT, None)
