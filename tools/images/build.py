"""Builds the images and prints what is in them: `make image`.

The package index and its certificate authority, where they are not the usual ones, are taken
from the variables that uv and pip read, and handed on as build secrets: no layer holds them.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.model_store.model_bom import BOM_FILE
from flightline.adapters.model_store.served_model import current_manifest, load_served_model
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.adapters.provenance import git
from flightline.core.errors import ModelFileError
from flightline.core.project import open_project
from flightline.core.settings import Settings
from tools.images.docker import Docker, DockerError, docker_ready

ROOT = Path(__file__).parents[2]
# Names what the Dockerfiles build on, in one line that dependabot follows.
BASE_FILE = ROOT / "serving" / "base.Dockerfile"
_FROM = re.compile(r"^FROM (\S+)$", re.MULTILINE)
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
LARGEST = 10
BUILD_SECONDS = 1800
# Sizes of the installed distributions, bytecode included, as the image itself sees them.
_SIZES = """
import json
from importlib.metadata import distributions
from pathlib import Path

def size(found):
    files = {Path(found.locate_file(name)) for name in found.files or []}
    caches = {folder / "__pycache__" for folder in {file.parent for file in files if file.suffix == ".py"}}
    names = {(file.parent, file.stem) for file in files}
    compiled = {pyc for cache in caches if cache.is_dir() for pyc in cache.iterdir()
                if (cache.parent, pyc.name.split(".")[0]) in names}
    return sum(file.stat().st_size for file in files | compiled if file.is_file())

print(json.dumps({found.metadata["Name"]: size(found) for found in distributions()}))
"""


def read_base(file: Path = BASE_FILE) -> str:
    """Read the base image, by tag or by tag and digest.

    Raises
    ------
    DockerError
        If the file does not name one, and only one.
    """
    found = _FROM.findall(file.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise DockerError(
            f"{file.name} names {len(found)} images, expected one line such as FROM python:3.11-slim-bookworm"
        )
    return str(found[0])


def pin_base(docker: Docker, file: Path = BASE_FILE) -> str:
    """Write into the file the digest that the registry has for its tag now; give the whole name.

    Raises
    ------
    DockerError
        If the image cannot be pulled, or came from no registry.
    """
    base = read_base(file)
    tag = base.partition("@")[0]
    pulled = docker.run("pull", "--quiet", tag, check=False)
    if pulled.returncode:
        raise DockerError(f"{tag} cannot be pulled ({pulled.stderr.strip()[-300:]}), so its digest is not known")
    pinned = f"{tag}@{docker.digest(tag)}"
    file.write_text(file.read_text(encoding="utf-8").replace(f"FROM {base}\n", f"FROM {pinned}\n"), encoding="utf-8")
    return pinned


@dataclass(frozen=True)
class Image:
    """An image of this project.

    Parameters
    ----------
    name
        Its repository, without a tag.
    dockerfile
        Relative to the project.
    """

    name: str
    dockerfile: str


SERVICE = Image("flightline-service", "serving/Dockerfile")
SERVICE_WITH_MODEL = Image("flightline-service-with-model", "serving/with-model.Dockerfile")
FLOWS = Image("flightline-flows", "pipelines/Dockerfile")


def ensure_base(docker: Docker, base: str = "") -> str:
    """Have the base image, and report whether it was "present" or "pulled".

    Raises
    ------
    DockerError
        If it is not here and cannot be pulled.
    """
    base = base or read_base()
    if docker.run("image", "inspect", base, check=False).returncode == 0:
        return "present"
    pulled = docker.run("pull", "--quiet", base, check=False)
    if pulled.returncode:
        raise DockerError(
            f"{base} is not here and cannot be pulled ({pulled.stderr.strip()[-300:]}); "
            "docker load it, or name another with BASE="
        )
    return "pulled"


def project_version() -> str:
    """Read the project's version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def commit() -> str:
    """Name the commit; with -dirty if tracked files differ from it, "unknown" without git."""
    found = git(ROOT, "rev-parse", "--verify", "HEAD")
    if found.returncode:
        return "unknown"
    changed = git(ROOT, "status", "--porcelain", "--untracked-files=no").stdout.strip()
    return found.stdout.strip() + ("-dirty" if changed else "")


@contextmanager
def index_secrets() -> Iterator[list[str]]:
    """Give the build arguments by which a build reaches the package index as this shell does."""
    with tempfile.TemporaryDirectory(prefix="index-") as folder:
        file = Path(folder) / "index"
        file.touch(mode=0o600)
        given = {name: value for name in INDEX_VARIABLES if (value := os.environ.get(name))}
        file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in given.items()))
        secrets = ["--secret", f"id=index,src={file}"]
        authority = os.environ.get("SSL_CERT_FILE", "")
        if Path(authority).is_file():
            secrets += ["--secret", f"id=ca,src={authority}"]
        yield secrets


def extra_locks(packages: Iterable[str]) -> list[str]:
    """Give the locks of what models of the zoo need besides, relative to the project.

    Raises
    ------
    DockerError
        If a package has none.
    """
    locks = {package: f"locks/extra-{package}.txt" for package in sorted({*packages})}
    if unknown := [package for package, lock in locks.items() if not (ROOT / lock).is_file()]:
        known = ", ".join(sorted(file.stem.removeprefix("extra-") for file in (ROOT / "locks").glob("extra-*.txt")))
        raise DockerError(f"got EXTRAS={' '.join(unknown)}, expected some of: {known}; `make lock` writes their locks")
    return [*locks.values()]


def extras_of_model(folder: Path) -> list[str]:
    """Name what the current model of a folder needs besides the lock of an image, by its bill of materials."""
    manifest = current_manifest(folder)
    bom = folder / manifest.version / BOM_FILE if manifest else None
    if bom is None or not bom.is_file():
        return []
    names = {part["name"] for part in json.loads(bom.read_text(encoding="utf-8"))["components"]}
    return sorted(name for name in names if (ROOT / "locks" / f"extra-{name}.txt").is_file())


def build(docker: Docker, image: Image, base: str = "", extras: Iterable[str] = ()) -> None:
    """Build an image under the tags `latest` and the project's version.

    Parameters
    ----------
    extras
        Packages that a model of the zoo needs besides.

    Raises
    ------
    DockerError
        With the end of what the build said, if it fails.
    """
    with index_secrets() as secrets:
        given = {"BASE": base or read_base(), "COMMIT": commit(), "VERSION": project_version()}
        _build(docker, image, ROOT, given | {"EXTRA_LOCKS": " ".join(extra_locks(extras))}, secrets)


def build_with_model(docker: Docker, folder: Path, settings: Settings) -> None:
    """Build the service's image anew with a model in it, on the one that `build` made.

    The model is verified first, and the public key goes into the image: what is read-only together
    is verified again at each start.

    Parameters
    ----------
    folder
        As the service loads from: with current.json and a folder for each version.
    settings
        Say whose signature is believed.

    Raises
    ------
    DockerError
        If there is no model, it is not signed as it is, or the build fails.
    """
    if not (folder / "current.json").is_file():
        raise DockerError(
            f"{folder} holds no current.json; name a folder that a model sync filled, such as .state/serving"
        )
    try:
        load_served_model(folder, open_project(settings))
        keys = [str(key.keyval["public"]) for key in read_trusted_keys(settings)]
    except ModelFileError as err:
        raise DockerError(f"the model of {folder} is not baked: {err}") from err
    with tempfile.TemporaryDirectory(prefix="baked-") as temporary:
        context = Path(temporary)
        shutil.copytree(folder, context / "models")
        (context / "public.pem").write_text("".join(keys), encoding="utf-8")
        _build(docker, SERVICE_WITH_MODEL, context, {"SERVICE": f"{SERVICE.name}:latest"})


def _build(
    docker: Docker, image: Image, context: Path, arguments: Mapping[str, str], options: Sequence[str] = ()
) -> None:
    command = ["build", "--file", str(ROOT / image.dockerfile), *options]
    for tag in ("latest", project_version()):
        command += ["--tag", f"{image.name}:{tag}"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    done = docker.run(*command, str(context), timeout_seconds=BUILD_SECONDS, check=False)
    if done.returncode:
        raise DockerError(f"{image.dockerfile} did not build:\n{(done.stderr or done.stdout)[-4000:]}")


def size_megabytes(docker: Docker, image: Image) -> float:
    """Give the size of an image, all layers, in 10^6 bytes."""
    return int(docker.run("image", "inspect", "--format", "{{.Size}}", image.name).stdout) / 1e6


def package_sizes(docker: Docker, image: Image) -> dict[str, float]:
    """Give what each installed package takes in an image, in 10^6 bytes, the largest first."""
    command = ["run", "--rm", "--network", "none", "--read-only", image.name, "python", "-c", _SIZES]
    found: dict[str, int] = json.loads(docker.run(*command).stdout)
    return {name: size / 1e6 for name, size in sorted(found.items(), key=lambda item: -item[1])}


def show(docker: Docker, image: Image) -> None:
    """Print what an image weighs, and its largest packages."""
    packages = package_sizes(docker, image)
    print(f"image: {image.name}:{project_version()} of {commit()}, {size_megabytes(docker, image):.0f} MB, of which")
    print(f"  {sum(packages.values()):7.1f} MB  {len(packages)} packages; the {LARGEST} largest:")
    for name, size in list(packages.items())[:LARGEST]:
        print(f"  {size:7.1f} MB  {name}")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, build and show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default=read_base(), help="another base image, best by digest: python@sha256:...")
    parser.add_argument("--pin-base", action="store_true", help="only note the digest that the base's tag has now")
    parser.add_argument("--extras", default="", help="packages of models of the zoo, besides what the champion needs")
    parser.add_argument("--model-inside", type=Path, help="a folder of models to bake, such as .state/serving")
    options = parser.parse_args(arguments)
    try:
        with docker_ready(Settings(root=ROOT).state_dir) as docker:
            if options.pin_base:
                print(f"image: {BASE_FILE.relative_to(ROOT)} names {pin_base(docker)}; commit it")
                return 0
            print(f"image: base {options.base}: {ensure_base(docker, options.base)}")
            served = options.model_inside or Settings(root=ROOT).serving_models_dir
            extras = {*options.extras.split(), *extras_of_model(served)}
            for image in (SERVICE, FLOWS):
                build(docker, image, options.base, extras)
                show(docker, image)
            if options.model_inside:
                build_with_model(docker, options.model_inside.resolve(), Settings(root=ROOT))
                print(
                    f"image: {SERVICE_WITH_MODEL.name}:{project_version()}, with the models of {options.model_inside}"
                )
    except (DockerError, subprocess.TimeoutExpired) as err:
        print(f"image: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
