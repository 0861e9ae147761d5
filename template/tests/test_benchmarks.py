"""Every benchmark can be started: what it imports is there, and its options are read."""

import subprocess
import sys
from pathlib import Path

import pytest

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
