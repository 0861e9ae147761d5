"""Runs a command of a copy in a process that is forked with all libraries imported."""

import importlib
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# Not imported here: it costs ten seconds, and whoever imports this module may only want a name of it.
LIBRARIES = "tests.proof.execution.libraries"
CONTEXT = multiprocessing.get_context("forkserver")
MODULE, CODE = "-m", "-c"


def start_forkserver(environment: Mapping[str, str]) -> None:
    """Start the process that imports the libraries, with the settings that they read while they are imported.

    It is one for the whole of this process, and ends with it. `PREFECT_HOME` must be relative, so that it means
    the folder of each copy.
    """
    CONTEXT.set_forkserver_preload([LIBRARIES])
    own = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        from multiprocessing.forkserver import ensure_running

        ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(own)


def fork(command: Sequence[str], cwd: Path, environment: Mapping[str, str], output: Path) -> ForkServerProcess:
    """Start a command, ``-m module`` or ``-c code`` with arguments, in a process group of its own."""
    process = CONTEXT.Process(target=_execute, args=(tuple(command), str(cwd), dict(environment), str(output)))
    process.start()
    return process


def _execute(command: Sequence[str], cwd: str, environment: Mapping[str, str], output: str) -> None:
    """Become the command: its group, files, folder, environment and path, and no module of another copy."""
    os.setsid()
    _redirect(output)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for name in [name for name in sys.modules if name.split(".")[0] in _own_packages()]:
        del sys.modules[name]
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    libraries = [path for path in sys.path if "-packages" in path or path.startswith(sys.base_prefix)]
    sys.path[:] = [*filter(None, paths), *libraries]
    importlib.invalidate_caches()
    kind, what, *arguments = command
    sys.argv = [what if kind == MODULE else CODE, *arguments]
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    if kind == MODULE:
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<command>", "exec"), {"__name__": "__main__"})


def _own_packages() -> tuple[str, ...]:
    libraries = sys.modules.get(LIBRARIES)
    return (*getattr(libraries, "OWN", ()), "tests")


def _redirect(output: str) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
