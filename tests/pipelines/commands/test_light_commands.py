"""What a light command imports is what it needs: each of these packages takes from half a second to some seconds."""

import subprocess
import sys

import pytest

MODELS, STORE, ENGINE = ("sklearn", "skops", "matplotlib"), ("feast",), ("ibis", "duckdb")
REPORTS, RUNS, RECORDS, FRAMES = ("evidently",), ("prefect",), ("mlflow",), ("pandas", "numpy")
IMPORT = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("pipelines.commands.data", (*MODELS, *STORE, *ENGINE, *REPORTS, *RUNS, *RECORDS, *FRAMES)),
        ("pipelines.commands.request", (*MODELS, *STORE, *ENGINE, *REPORTS, *RUNS, *RECORDS)),
        ("pipelines.commands.champion", (*MODELS, *STORE, *ENGINE, *REPORTS, *RUNS)),
        ("pipelines.rerun.status", (*MODELS, *STORE, *ENGINE, *REPORTS, *RUNS, *RECORDS, *FRAMES)),
        ("pipelines.rerun.monitor", (*MODELS, *STORE, *ENGINE, *REPORTS, *RUNS, *RECORDS, *FRAMES)),
        ("pipelines.rerun.__main__", (*MODELS, *STORE, *ENGINE, *REPORTS, *RUNS)),
        ("pipelines.labels", (*MODELS, *STORE, *REPORTS, *RECORDS)),
        ("pipelines.canary", (*MODELS, *STORE, *ENGINE, *REPORTS)),
    ],
)
def test_a_light_command_imports_no_more_than_it_needs(module: str, unwanted: tuple[str, ...]) -> None:
    command = [sys.executable, "-W", "ignore", "-c", IMPORT, module, *unwanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
