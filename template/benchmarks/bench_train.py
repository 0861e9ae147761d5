"""What a training run costs beside the same compute without the frameworks: `make bench-train`.

Both run as processes of their own, in turn, in a temporary clone with nothing cached; peak
memory is that of the process. The machine's other work shows in both.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.files.pipes import outlive_reader
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM

ROOT = Path(__file__).parents[2]
COMPUTE = ("validate", "features", "training set", "train", "evaluate")
MEASURED = (
    "import resource, runpy, sys; sys.argv = sys.argv[1:]; {run}; "
    "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


def make_clone(folder: Path) -> Path:
    """Lay out a clone that has data and declarations, and no state."""
    clone = folder / "clone"
    for name in ("feature_repo", "locks", ".dvc"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "cache", "tmp"))
    for name in ("data.dvc", ".dvcignore"):
        shutil.copy(ROOT / name, clone)
    (clone / ".state" / "prefect").mkdir(parents=True)
    return clone


def run(code: str, arguments: list[str], environment: dict[str, str]) -> tuple[str, float, int]:
    """Run Python code as a process; give its output, seconds and peak memory in bytes."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED.format(run=code), *arguments],
        capture_output=True, text=True, env=os.environ | environment, cwd=ROOT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout, time.perf_counter() - start, int(re.findall(r"peak (\d+)", done.stdout)[-1]) * 1024


def main() -> None:
    """Run both once and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="hist_gradient_boosting")
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as folder:
        clone = make_clone(Path(folder))
        environment = {"FLIGHTLINE_ROOT": str(clone), "PREFECT_HOME": str(clone / ".state" / "prefect")}
        flow = "from pipelines.training import main; main(sys.argv[1:])"
        said, flow_seconds, flow_peak = run(flow, ["training", "--model", model], environment)
        views = Path(folder) / "views.json"
        described = feast_store.describe_service(Settings(root=clone), PROBLEM.feature_service)
        views.write_text(json.dumps(described["views"]))
        plain = "runpy.run_module('template.benchmarks.parts.plain_training', run_name='__main__', alter_sys=True)"
        arguments = [
            "plain",
            "--data",
            str(clone / "data"),
            "--target",
            folder,
            "--views",
            str(views),
            "--model",
            model,
        ]
        told, plain_seconds, plain_peak = run(plain, arguments, environment)
    stages = {name.strip(): float(s) for name, s in re.findall(r"^(\w[\w ]{1,13}?)\s{2,}.*\(([\d.]+) s\)$", said, re.M)}
    laps = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    show(stages, laps, flow_seconds, plain_seconds)
    print(f"peak memory: flow {flow_peak / 1e9:.2f} GB, plain {plain_peak / 1e9:.2f} GB")
    print(f"ratio of the flow to the plain script: {flow_seconds / plain_seconds:.2f}")


def show(stages: dict[str, float], laps: dict[str, float], flow_seconds: float, plain_seconds: float) -> None:
    """Print seconds by stage, flow beside plain."""
    print(f"{'stage':<14}{'flow':>8}{'plain':>8}  seconds")
    for name, seconds in stages.items():
        print(f"{name:<14}{seconds:>8.1f}{laps.get(name, float('nan')):>8.1f}")
    rest, plain_rest = flow_seconds - sum(stages.values()), plain_seconds - sum(laps.values())
    print(f"{'start, imports':<14}{rest:>8.1f}{plain_rest:>8.1f}")
    print(f"{'all':<14}{flow_seconds:>8.1f}{plain_seconds:>8.1f}")
    compute = sum(seconds for name, seconds in stages.items() if name in COMPUTE)
    print(f"compute stages {compute:.1f} s, frameworks and start {flow_seconds - compute:.1f} s")


if __name__ == "__main__":
    outlive_reader()
    main()
