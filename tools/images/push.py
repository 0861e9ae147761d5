"""Builds the images, pushes them and prints their digests: `make image-push REPOSITORY=host/name`.

What is deployed is named by digest; the tag, the commit, is for people. In a workflow the digests
are outputs of the step.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from flightline.core.settings import Settings
from tools.images.build import FLOWS, ROOT, SERVICE, Image, build, commit, ensure_base, read_base
from tools.images.docker import Docker, DockerError, docker_ready

PUSHED = {"service": SERVICE, "flows": FLOWS}


def push(docker: Docker, image: Image, there: str, tag: str) -> str:
    """Push an image under a tag, and give its digest.

    Raises
    ------
    DockerError
        If the registry refuses it.
    """
    docker.run("tag", f"{image.name}:latest", f"{there}:{tag}")
    docker.run("push", "--quiet", f"{there}:{tag}", timeout_seconds=1800)
    named = docker.run("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', f"{there}:{tag}").stdout
    found = [line.split("@")[1] for line in named.splitlines() if line.startswith(f"{there}@")]
    if len(found) != 1:
        raise DockerError(f"{there}:{tag} was pushed and has {len(found)} digests, expected one: {named.strip()}")
    return found[0]


def push_all(docker: Docker, repository: str, tag: str) -> dict[str, str]:
    """Push both images; give, by name, reference and digest as outputs of a workflow's step."""
    references = {}
    for name, image in PUSHED.items():
        digest = push(docker, image, f"{repository}/{name}", tag)
        references[name], references[f"{name}_digest"] = f"{repository}/{name}@{digest}", digest
    return references


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, build, push and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", required=True, help="such as <account>.dkr.ecr.<region>.amazonaws.com/name")
    parser.add_argument("--base", default=read_base())
    options = parser.parse_args(arguments)
    if "/" not in options.repository:
        print(f"image-push: got REPOSITORY={options.repository!r}, expected host/name", file=sys.stderr)
        return 1
    try:
        with docker_ready(Settings(root=ROOT).state_dir) as docker:
            ensure_base(docker, options.base)
            if "@sha256:" not in options.base:
                print(f"image-push: the base {options.base} is named by a tag, which may change; make base-pin")
            for image in PUSHED.values():
                build(docker, image, options.base)
            references = push_all(docker, options.repository, commit())
    except (DockerError, subprocess.TimeoutExpired) as err:
        print(f"image-push: {err}; log in to the registry first (aws ecr get-login-password)", file=sys.stderr)
        return 1
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a", encoding="utf-8") as outputs:
            outputs.writelines(f"{name}={value}\n" for name, value in references.items())
    print(f"image-push: IMAGE={references['service']} FLOWS_IMAGE={references['flows']}")
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
