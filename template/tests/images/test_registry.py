"""An image pushed to a registry comes back by its digest, and is the same."""

from template.tests.images.image_registry import running_registry


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
