"""Bills of materials, as CycloneDX 1.6, of both images and of the model: `make sbom`.

Of an image they are made of what is installed in it, not of what its Dockerfile meant to
install, and every Python package must be in the image's lock. The model's was written and signed
when it was registered.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.model_store.model_bom import BOM_FILE
from flightline.adapters.model_store.served_model import load_served_model
from flightline.core.errors import ModelFileError
from flightline.core.project import open_project
from flightline.core.settings import Settings
from tools.images.build import FLOWS, ROOT, SERVICE, Image, project_version
from tools.images.docker import Docker, DockerError, docker_ready

SBOM_ENVIRONMENT = ROOT / ".tools" / "sbom" / "bin"
LOCKS = {SERVICE.name: "serving.txt", FLOWS.name: "pipelines.txt"}
_DISTRIBUTIONS = "cd /opt/venv/lib/python3*/site-packages && tar --create *.dist-info"
_DEBIAN = ("dpkg-query", "--show", "--showformat", "${Package}\\t${Version}\\t${Architecture}\\n")


class BomError(Exception):
    """A bill of materials cannot be made, or what it lists should not be there."""


@dataclass(frozen=True)
class Installed:
    """What is installed in an image.

    Parameters
    ----------
    distributions
        The folders ``*.dist-info`` of its Python packages, as a tar file.
    debian
        Lines of package, version and architecture.
    digest, commit
        Of the image, as Docker and its label have them.
    """

    distributions: bytes
    debian: str
    digest: str
    commit: str


def look_into(docker: Docker, image: Image) -> Installed:
    """Read what is installed in an image, in a container without a network."""
    command = [docker.client, "run", "--rm", "--network", "none", "--read-only", image.name]
    packed = subprocess.run(
        [*command, "sh", "-c", _DISTRIBUTIONS], env=docker.full_environment, capture_output=True, check=True
    )
    debian = docker.run(*command[1:], *_DEBIAN).stdout
    asked = '{{.Id}} {{index .Config.Labels "org.opencontainers.image.revision"}}'
    digest, _, commit = docker.run("image", "inspect", "--format", asked, image.name).stdout.strip().partition(" ")
    return Installed(packed.stdout, debian, digest, commit)


def image_bom(image: Image, installed: Installed) -> dict[str, Any]:
    """Make the bill of materials of an image: Python packages by cyclonedx-bom, Debian's from dpkg.

    Raises
    ------
    BomError
        If cyclonedx-bom cannot make one.
    """
    with tempfile.TemporaryDirectory(prefix="bom-") as temporary:
        folder = Path(temporary)
        venv.create(folder, with_pip=False, symlinks=True)
        (packages,) = folder.glob("lib/python3*/site-packages")
        with tarfile.open(fileobj=io.BytesIO(installed.distributions)) as archive:
            # Python 3.11.4 brought the filter; before it there is none.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(packages)  # noqa: S202  # made by this project's own image
        bom = _python_bom(folder)
    bom["metadata"]["component"] = {
        "type": "container",
        "bom-ref": f"image:{image.name}",
        "name": image.name,
        "version": project_version(),
        "hashes": [{"alg": "SHA-256", "content": installed.digest.removeprefix("sha256:")}],
        "properties": [{"name": "commit", "value": installed.commit}],
    }
    bom["components"] = [*bom.get("components", []), *map(_debian_component, installed.debian.splitlines())]
    references = [part["bom-ref"] for part in bom["components"]]
    own = {"ref": f"image:{image.name}", "dependsOn": sorted(references)}
    bom["dependencies"] = [*(one for one in bom.get("dependencies", []) if one["ref"] in set(references)), own]
    return bom


def _python_bom(environment: Path) -> dict[str, Any]:
    program = SBOM_ENVIRONMENT / "cyclonedx-py"
    if not program.exists():
        raise BomError("cyclonedx-bom is not installed: `make sbom` installs it")
    done = subprocess.run(
        [program, "environment", "--sv", "1.6", "--of", "JSON", environment / "bin" / "python"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BomError(f"cyclonedx-py ended with {done.returncode}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def _debian_component(line: str) -> dict[str, str]:
    name, version, architecture = line.split("\t")
    purl = f"pkg:deb/debian/{name}@{version.replace(':', '%3A').replace('+', '%2B')}?arch={architecture}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def python_packages(bom: dict[str, Any]) -> dict[str, str]:
    """Give the Python packages of a bill of materials, normalised name to version."""
    found = (part for part in bom["components"] if part.get("purl", "").startswith("pkg:pypi/"))
    return {_normal(part["name"]): part["version"] for part in found}


def locked_packages(lock: str) -> set[tuple[str, str]]:
    """Give the packages of a lock's text, as normalised name and version; some have one for each version of Python."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    return {(_normal(name), version) for name, version in found}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_lock(bom: dict[str, Any], lock: str, named: str) -> None:
    """Demand that each Python package of an image is in its lock, in that version.

    Raises
    ------
    BomError
        Naming those that are not.
    """
    locked = locked_packages(lock)
    found = python_packages(bom)
    foreign = [f"{name}=={version}" for name, version in sorted(found.items()) if (name, version) not in locked]
    if foreign or not found:
        names = ", ".join(foreign) or "no Python package at all"
        raise BomError(f"{named} holds what its lock does not: {names}; only the lock is to be installed")


def check_schema(files: Iterable[Path]) -> None:
    """Demand that files are CycloneDX 1.6.

    Raises
    ------
    BomError
        Saying which is not, and why.
    """
    command = [SBOM_ENVIRONMENT / "python", ROOT / "tools" / "images" / "check_sbom.py", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BomError(done.stderr.strip()[-2000:])


def write_model_bom(settings: Settings, folder: Path) -> Path | None:
    """Copy the bill of materials of the model that the service would load, if there is one: it is signed with it."""
    served = load_served_model(settings.serving_models_dir, open_project(settings))
    if served is None:
        return None
    source = settings.serving_models_dir / served.manifest.version / BOM_FILE
    if not source.is_file():
        raise BomError(f"version {served.manifest.version} was registered without {BOM_FILE}; `make sign` writes it")
    file = folder / BOM_FILE
    file.write_bytes(source.read_bytes())
    return file


def write_image_boms(docker: Docker, folder: Path) -> list[Path]:
    """Write the bill of materials of each image that was built, after comparing it with its lock."""
    files = []
    for image in (SERVICE, FLOWS):
        bom = image_bom(image, look_into(docker, image))
        locks = [ROOT / "locks" / LOCKS[image.name], *(ROOT / "locks").glob("extra-*.txt")]
        check_lock(bom, "\n".join(file.read_text(encoding="utf-8") for file in locks), image.name)
        file = folder / f"{image.name}.cdx.json"
        file.write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")
        count = len(python_packages(bom))
        print(f"sbom: {image.name}: {count} Python packages, all in locks/{LOCKS[image.name]}, ", end="")
        print(f"{len(bom['components']) - count} of Debian: {file}")
        files.append(file)
    return files


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args(arguments)
    settings = Settings(root=ROOT)
    folder = settings.state_dir / "sbom"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model = write_model_bom(settings, folder)
        print(f"sbom: the model's: {model}" if model else "sbom: there is no model yet")
        if model:
            check_schema([model])
        with docker_ready(settings.state_dir) as docker:
            check_schema(write_image_boms(docker, folder))
    except (BomError, DockerError, ModelFileError, subprocess.CalledProcessError) as err:
        print(f"sbom: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
