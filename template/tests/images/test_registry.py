"""An image pushed to a registry comes back by its digest, and is the same; a tag tells which digest it names."""

import hashlib
import json
import urllib.request

from template.tests.images.image_registry import running_registry
from tools.deploy.images import find_digest


def test_it_is_pushed_and_pulled_by_digest(docker, service_image, tmp_path):
    with running_registry(tmp_path / "images", tmp_path) as registry:
        push_and_pull(docker, service_image, registry)


def push_and_pull(docker, service_image, registry):
    there = f"{registry}/{service_image}"
    before = docker.run("image", "inspect", "--format", "{{.Id}}", service_image).stdout
    docker.run("tag", service_image, f"{there}:pushed")
    try:
        docker.run("push", "--quiet", f"{there}:pushed")
        named = docker.run("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', service_image).stdout
        (by_digest,) = (line for line in named.splitlines() if line.startswith(f"{there}@sha256:"))
        docker.run("rmi", f"{there}:pushed")
        docker.run("pull", "--quiet", by_digest)
        assert docker.run("image", "inspect", "--format", "{{.Id}}", by_digest).stdout == before
        asked = docker.run("run", "--rm", "--network", "none", by_digest, "python", "-c", "import serving.app")
        assert asked.returncode == 0
    finally:
        named = docker.run("image", "inspect", "--format", "{{range .RepoDigests}}{{.}} {{end}}", service_image).stdout
        docker.run("rmi", *(line for line in named.split() if line.startswith(there)), check=False)


def test_a_tag_tells_its_digest_to_who_pushes_again(tmp_path):
    """An image index of no image: small enough to be sent without Docker."""
    kind = "application/vnd.oci.image.index.v1+json"
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": []}).encode()
    with running_registry(tmp_path / "images", tmp_path) as registry:
        assert find_digest(f"{registry}/flightline/service", "c0ffee", None) is None
        url = f"http://{registry}/v2/flightline/service/manifests/c0ffee"
        request = urllib.request.Request(url, data=body, headers={"Content-Type": kind}, method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        digest = find_digest(f"{registry}/flightline/service", "c0ffee", None)
        assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
        assert find_digest(f"{registry}/flightline/service", digest, None) == digest
