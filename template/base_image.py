"""The base image of the Dockerfiles, made of Debian's packages where no registry is reached: `make base-image`.

It stands in for the official one, on machines that reach Debian's mirror and no registry: the
same Debian release and Python version under the official tag, but Debian's own build of
Python. An image for others is to be built on the official base, and pinned by its digest.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from flightline.core.settings import Settings
from tools.images.build import ROOT, ensure_base, read_base
from tools.images.docker import Docker, DockerError, docker_ready, find_client

_RELEASE = "bookworm"
_PACKAGES = "python3,python3-venv"
_TOO_MUCH = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
_LINKS = ("python", "python3", "python3.11")
_SECONDS = 900


def have_base(docker: Docker) -> str:
    """Have the base image; report whether it was "present", "pulled" or "made of Debian's packages".

    Raises
    ------
    DockerError
        If none of the three works.
    """
    try:
        return ensure_base(docker)
    except DockerError as err:
        if shutil.which("debootstrap") is None:
            raise DockerError(
                f"{err}, or make it, as root, with Debian's debootstrap: apt-get install debootstrap"
            ) from err
    with tempfile.TemporaryDirectory(prefix="base-image-") as folder:
        make_base(docker, Path(folder))
    return "made of Debian's packages"


def make_base(docker: Docker, folder: Path) -> None:
    """Make the base in an empty folder and import it under its tag."""
    system = folder / "system"
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _RELEASE, str(system), _mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if done.returncode:
        raise DockerError(f"debootstrap ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    for path in _TOO_MUCH:
        shutil.rmtree(system / path, ignore_errors=True)
    # It names the mirror.
    (system / "etc/apt/sources.list").write_text("")
    for name in _LINKS:
        (system / "usr/local/bin" / name).symlink_to("/usr/bin/python3.11")
    _import(docker, system)


def _mirror() -> str:
    """Find the mirror that apt uses."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {_RELEASE}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    if not found:
        raise DockerError(
            f"apt has no mirror of Debian {_RELEASE}, of which {read_base()} could be made: apt-get update first"
        )
    return found[0]


def _import(docker: Docker, system: Path) -> None:
    archive = system.with_suffix(".tar")
    subprocess.run(["tar", "--create", "--file", str(archive), "--directory", str(system), "."], check=True)
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    changes = [f"ENV {path}", "ENV LANG=C.UTF-8", 'CMD ["python3"]']
    docker.run("import", *(f"--change={change}" for change in changes), str(archive), read_base().partition("@")[0])


def main() -> int:
    """Have the base, and print where it came from; without Docker there is nothing to do yet."""
    if find_client() is None:
        print("base-image: SKIPPED, Docker is not installed")
        return 0
    try:
        with docker_ready(Settings(root=ROOT).state_dir) as docker:
            print(f"base-image: {read_base()}: {have_base(docker)}")
    except (DockerError, subprocess.TimeoutExpired) as err:
        print(f"base-image: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
