"""What the image tools do without Docker: what they hand to a build, what they say, what the Dockerfiles name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flightline.adapters.model_store.model_bom import BOM_FILE, model_bom
from flightline.adapters.provenance import git_state
from flightline.core.settings import Settings
from tests.support.small_service import KINDS, manifest_of, put_model
from tools.images import build as image
from tools.images import docker
from tools.images.docker import Docker, DockerError, docker_ready

ROOT = Path(__file__).parents[3]
DOCKERFILES = [ROOT / "serving" / "Dockerfile", ROOT / "pipelines" / "Dockerfile"]
ADDRESS = "https://reader:s3cret@index.example/simple"


@pytest.fixture
def no_daemon(tmp_path, monkeypatch) -> Docker:
    """A client that always fails, as one without a daemon does."""
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho 'cannot connect' >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setattr(docker, "CLIENTS", (str(client),))
    return Docker(str(client))


def test_the_index_goes_by_secrets_and_is_gone_afterwards(monkeypatch, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    monkeypatch.setenv("UV_DEFAULT_INDEX", ADDRESS)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with image.index_secrets() as options:
        assert ADDRESS not in " ".join(options)
        sources = [Path(option.split("src=")[1]) for option in options if "src=" in option]
        assert sources[0].stat().st_mode & 0o077 == 0
        read = f". {sources[0]} && echo $UV_DEFAULT_INDEX"
        assert subprocess.run(["sh", "-c", read], capture_output=True, text=True).stdout.strip() == ADDRESS
        assert sources[1] == authority
    assert not sources[0].exists()


def test_without_docker_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(docker, "CLIENTS", ("no-such-docker",))
    with pytest.raises(DockerError, match=r"apt-get install docker\.io"), docker_ready(tmp_path):
        pass


def test_without_a_daemon_it_says_that_none_answers(no_daemon, monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DockerError, match="no Docker daemon answers"), docker_ready(tmp_path):
        pass


def test_a_base_that_cannot_be_had_is_named(no_daemon):
    with pytest.raises(DockerError, match=r"other:1 is not here and cannot be pulled \(cannot connect\)"):
        image.ensure_base(no_daemon, "other:1")


def test_one_line_that_dependabot_follows_names_the_base():
    base = image.read_base()
    folders = re.search(
        r"package-ecosystem: docker\s+directories: \[(.*?)\]", (ROOT / ".github/dependabot.yml").read_text()
    )
    assert f"/{image.BASE_FILE.parent.name}" in folders[1].split(", ")
    assert re.fullmatch(r"python:3\.11-slim-\w+(@sha256:[0-9a-f]{64})?", base)
    for file in DOCKERFILES:  # for who builds without make
        assert f"\nARG BASE={base.partition('@')[0]}\n" in file.read_text()


@pytest.mark.parametrize("stands", ["python:3.11-slim-bookworm", f"python:3.11-slim-bookworm@sha256:{'0' * 64}"])
def test_the_base_is_pinned_to_what_its_registry_has(tmp_path, stands):
    client, file = tmp_path / "docker", tmp_path / "base.Dockerfile"
    client.write_text(f"#!/bin/sh\n[ $1 = pull ] || echo python@sha256:{'a' * 64}\n")
    client.chmod(0o755)
    file.write_text(f"# a comment\nFROM {stands}\n")
    pinned = f"python:3.11-slim-bookworm@sha256:{'a' * 64}"
    assert image.pin_base(Docker(str(client)), file) == pinned
    assert file.read_text() == f"# a comment\nFROM {pinned}\n"
    assert image.read_base(file) == pinned


def test_a_base_without_a_registry_is_not_pinned(no_daemon, tmp_path):
    file = tmp_path / "base.Dockerfile"
    file.write_text("FROM python:3.11-slim-bookworm\n")
    with pytest.raises(DockerError, match="so its digest is not known"):
        image.pin_base(no_daemon, file)
    file.write_text("FROM a\nFROM b\n")
    with pytest.raises(DockerError, match="names 2 images"):
        image.read_base(file)


def test_a_folder_without_a_model_is_not_baked(no_daemon, tmp_path):
    with pytest.raises(DockerError, match=r"holds no current\.json"):
        image.build_with_model(no_daemon, tmp_path, Settings(root=tmp_path))


def test_a_model_that_is_not_signed_as_it_is_is_not_baked(no_daemon, tmp_path):
    settings = Settings(root=tmp_path)
    put_model(settings, "3")
    with pytest.raises(DockerError, match=r"with-model\.Dockerfile did not build"):
        image.build_with_model(no_daemon, settings.serving_models_dir, settings)
    (settings.serving_models_dir / "3" / "added").write_text("")
    with pytest.raises(DockerError, match="is not baked: the files of version 3 are not those that were signed"):
        image.build_with_model(no_daemon, settings.serving_models_dir, settings)


@pytest.fixture
def asked(tmp_path) -> tuple[Docker, Path]:
    """A client that notes what it was asked for."""
    client, notes = tmp_path / "docker", tmp_path / "asked"
    client.write_text(f'#!/bin/sh\necho "$@" >> {notes}\n')
    client.chmod(0o755)
    return Docker(str(client)), notes


@pytest.mark.parametrize("extras", [[], ["lightgbm"]], ids=["none", "lightgbm"])
def test_a_build_takes_the_lock_of_an_extra_only_where_it_is_needed(asked, extras):
    docker, notes = asked
    image.build(docker, image.SERVICE, "base", extras)
    locks = " ".join(f"locks/extra-{name}.txt" for name in extras)
    assert f"--build-arg EXTRA_LOCKS={locks} {ROOT}" in notes.read_text()
    for name in ("serving", "pipelines"):
        assert "lightgbm==" not in (ROOT / f"locks/{name}.txt").read_text()


def test_an_extra_without_a_lock_is_refused(no_daemon):
    with pytest.raises(DockerError, match="got EXTRAS=xgboost, expected some of: dask, keras, lightgbm, spark"):
        image.build(no_daemon, image.SERVICE, "base", ["lightgbm", "xgboost"])


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_an_image_takes_no_extra_unless_it_is_told(file):
    assert "\nARG EXTRA_LOCKS=\n" in file.read_text()
    assert ".txt ${EXTRA_LOCKS}\n" in file.read_text()


def test_what_the_champion_needs_is_read_from_its_bill_of_materials(tmp_path):
    settings = Settings(root=tmp_path)
    folder = settings.serving_models_dir
    assert image.extras_of_model(folder) == []
    put_model(settings, "3")
    assert image.extras_of_model(folder) == []
    for libraries, extras in (({}, []), ({"lightgbm": "4.7.0"}, ["lightgbm"])):
        bom = model_bom(manifest_of(KINDS), "classification", "a model", {}, {}, {"scikit-learn": "1.9.1"} | libraries)
        (folder / "3" / BOM_FILE).write_text(json.dumps(bom))
        assert image.extras_of_model(folder) == extras


@pytest.mark.parametrize("ci", ["true", ""])
def test_without_docker_tests_are_skipped_and_demanded_in_ci(ci, tmp_path):
    code = (
        "import sys, pytest, tools.images.docker as d; d.CLIENTS = ('no-such-docker',);"
        "sys.exit(pytest.main(['tests/images/test_service_image.py::test_it_is_small', '-rs']))"
    )
    environment = os.environ | {"CI": ci, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert "apt-get install docker.io" in done.stdout, done.stdout + done.stderr
    assert ("1 skipped" in done.stdout) is (ci != "true")
    assert done.returncode == (1 if ci == "true" else 0)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_a_build_takes_no_address_by_argument(file):
    arguments = re.findall(r"^ARG (\w+)", file.read_text(), re.MULTILINE)
    assert set(arguments) == {"BASE", "COMMIT", "EXTRA_LOCKS", "VERSION"}


def test_the_flows_image_has_the_settings_of_the_tools():
    lines = (ROOT / "tools.env").read_text().splitlines()
    told = [line for line in lines if line and not line.startswith("#")]
    held = (ROOT / "pipelines" / "Dockerfile").read_text()
    assert [line for line in told if line not in held] == []


def test_nothing_is_sent_to_a_build_but_what_is_named():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert not any(word in line for line in lines for word in (".state", ".env.", "api_keys", "data/"))


@pytest.mark.parametrize(
    ("commit", "expected"), [("a1b2", ("a1b2", False)), ("a1b2-dirty", ("a1b2", True)), ("", ("unknown", True))]
)
def test_where_there_is_no_git_the_settings_name_the_commit(tmp_path, monkeypatch, commit, expected):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(Settings(root=tmp_path, commit=commit)) == expected
