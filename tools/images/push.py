"""Builds the images, pushes them and prints their digests: `make image-push REPOSITORY=host/name`.

What is deployed is named by digest; the tag is the commit, and means one image for ever: what was pushed under it is
not built again. In a workflow the digests are outputs of the step.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from flightline.adapters.files.pipes import outlive_reader
from flightline.core.settings import Settings
from tools.ci.workflow import append
from tools.deploy.images import find_digest
from tools.deploy.steps import DeployError
from tools.images.build import FLOWS, ROOT, SERVICE, Image, build, commit, ensure_base, read_base
from tools.images.docker import Docker, DockerError, docker_ready

PUSHED = {"service": SERVICE, "flows": FLOWS}
# Of a clean tree: with -dirty behind it, it names many.
COMMIT = re.compile(r"[0-9a-f]{40}")


def push(docker: Docker, image: Image, there: str, tag: str) -> str:
    """Push an image under a tag, and give its digest.

    Raises
    ------
    DockerError
        If the registry refuses it.
    """
    docker.run("tag", f"{image.name}:latest", f"{there}:{tag}")
    docker.run("push", "--quiet", f"{there}:{tag}", timeout_seconds=1800)
    return docker.digest(f"{there}:{tag}")


def pushed_before(repository: str, tag: str) -> dict[str, str]:
    """Ask which of the images are there under a tag, with their digests; a tag that is no commit means nothing."""
    if not COMMIT.fullmatch(tag):
        return {}
    session = boto3.Session()
    found = {name: find_digest(f"{repository}/{name}", tag, session) for name in PUSHED}
    return {name: digest for name, digest in found.items() if digest}


def build_and_push(
    docker: Docker, repository: str, tag: str, base: str, held: Mapping[str, str], extras: Sequence[str] = ()
) -> dict[str, str]:
    """Build and push what the registry does not hold yet; give the digest of each image."""
    digests = dict(held)
    for name, image in PUSHED.items():
        if name not in held:
            ensure_base(docker, base)
            build(docker, image, base, extras)
            digests[name] = push(docker, image, f"{repository}/{name}", tag)
    return digests


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, build, push and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", required=True, help="such as <account>.dkr.ecr.<region>.amazonaws.com/name")
    parser.add_argument("--base", default=read_base())
    parser.add_argument("--extras", default="", help="packages of models of the zoo that are to be served")
    options = parser.parse_args(arguments)
    if "/" not in options.repository:
        print(f"image-push: got REPOSITORY={options.repository!r}, expected host/name", file=sys.stderr)
        return 1
    tag = commit()
    try:
        digests = pushed_before(options.repository, tag)
        for name in digests:
            print(f"image-push: {name}:{tag} is there already, and is not built again")
        if digests.keys() != PUSHED.keys():
            if "@sha256:" not in options.base:
                print(f"image-push: the base {options.base} is named by a tag, which may change; make base-pin")
            with docker_ready(Settings(root=ROOT).state_dir) as docker:
                extras = options.extras.split()
                digests = build_and_push(docker, options.repository, tag, options.base, digests, extras)
    except (DockerError, DeployError, subprocess.TimeoutExpired, BotoCoreError, ClientError, OSError) as err:
        print(f"image-push: {err}; log in to the registry first (aws ecr get-login-password)", file=sys.stderr)
        return 1
    references = {name: f"{options.repository}/{name}@{digest}" for name, digest in digests.items()}
    for name, value in (references | {f"{name}_digest": digest for name, digest in digests.items()}).items():
        append("GITHUB_OUTPUT", f"{name}={value}")
    print(f"image-push: IMAGE={references['service']} FLOWS_IMAGE={references['flows']}")
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
