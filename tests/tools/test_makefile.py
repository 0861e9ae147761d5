"""What make does in a clone that was copied or moved."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that make reads, and the marks of a clone that is installed."""
    root = tmp_path / "a clone"
    locks = (f"locks/{name}.txt" for name in ("all", "build", "uv"))
    for name in ("Makefile", "tools.env", "infra/infra.mk", ".github/workflows.mk", *locks):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    for mark in (".tools/bin/uv", ".venv/.installed", ".state/root"):
        (root / mark).parent.mkdir(parents=True)
        (root / mark).write_text(f"{root}\n")
    return root


def commands_of(root: Path) -> str:
    """Give the commands that `make status` would run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-n", "status"], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_clone_runs_the_command_alone(clone):
    assert commands_of(clone) == ".venv/bin/python -m pipelines.rerun.status\n"


def test_a_moved_clone_gets_its_own_environment_and_state(clone):
    moved = clone.rename(clone.with_name("moved"))
    assert "install: making .venv" in commands_of(moved)
    assert "-m pipelines.commands.own_state" in commands_of(moved)


FORM = "$(shell touch made); \"; touch made; `touch made` 'x"


@pytest.mark.parametrize(("target", "options"), [("deploy", ["IMAGE", "FLOWS_IMAGE"]), ("rollback", ["WHY"])])
def test_what_a_person_types_into_a_form_is_no_command(clone, target, options):
    said = clone / "said.txt"
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{said}"\n')
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment |= {"ENV": "staging", **dict.fromkeys(options, FORM)}
    done = subprocess.run(["make", target], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert said.read_text().splitlines().count(FORM) == len(options)
    assert not (clone / "made").exists()


@pytest.mark.parametrize(
    ("is_terminal", "browser", "is_opened"),
    [(True, "/bin/true", True), (True, None, False), (False, "/bin/true", False)],
)
def test_a_demo_opens_its_pages_on_a_terminal_with_a_browser(clone, is_terminal, browser, is_opened):
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir()
    real = f'PATH= exec "{sys.executable}" "$@"'  # where no browser is found but a named one
    python.write_text(
        f'#!/bin/sh\n[ "$1" != -c ] || {real}\necho "$FLIGHTLINE_ROOT" "$@" >> "{clone}/called"\nexit 0\n'
    )
    python.chmod(0o755)
    environment = {"PATH": os.environ["PATH"]} | ({"BROWSER": browser} if browser else {})
    ours, terminal = pty.openpty()
    out = terminal if is_terminal else subprocess.DEVNULL
    subprocess.run(["make", "demo"], cwd=clone, env=environment, stdout=out, check=True)
    os.close(terminal)
    os.close(ours)
    called = (clone / "called").read_text().splitlines()
    opened = [f"{clone}/.state/demo -m pipelines.pages.ui --open"] if is_opened else []
    assert called == [f"{clone} -m pipelines.demo", *opened]
