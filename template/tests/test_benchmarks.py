"""Every benchmark can be started: what it imports is there, and its options are read."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from template.benchmarks.parts.servers import Server

PROJECT = Path(__file__).parents[2]
NAMES = sorted(
    file.stem for file in (PROJECT / "template" / "benchmarks").glob("*.py") if "ArgumentParser" in file.read_text()
)


@pytest.mark.parametrize("name", NAMES)
def test_it_starts(name):
    done = subprocess.run(
        [sys.executable, "-m", f"template.benchmarks.{name}", "--help"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_the_processor_time_of_a_worker_that_has_ended_stays_counted():
    work = "sum(i * i for i in range(3_000_000))"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{work}']); print(flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        times = psutil.Process(process.pid).cpu_times()
        used = Server("", process, 0.0).processor_seconds()
        process.communicate(b"\n")
    assert used >= times.user + times.system + times.children_user > times.user + times.system
