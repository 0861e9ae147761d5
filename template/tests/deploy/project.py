"""A copy of the project for one run, turned to the emulator as a user turns it to an account; real `make` in it."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flightline.core.project import open_project
from flightline.core.settings import Settings
from pipelines.commands.data import make_first_version
from template.tests.infra.emulated.cloud import REGION, STATE_BUCKET
from tools.terraform.terraform import ROOT
from tools.tree import copy_tree

LIMIT_SECONDS = 1200
SEED = Path("src/flightline/problem/source.py")
ALL_FLIGHTS = 'flights = archive.read("flights.csv").decode()'
# One machine does the work of all that is deployed: what is late here is not yet the fault of an image.
PATIENCE = 4
BOUNDS = {"tools/deploy/checks.py": "SLOWEST_SECONDS", "tools/deploy/rollout.py": "MOST_SECONDS"}
FEW_FLIGHTS = ALL_FLIGHTS + '\n    header, *rows = flights.split("\\n")\n    flights = "\\n".join([header, *rows[::8]])'


@dataclass(frozen=True)
class Ran:
    """What a make call came to."""

    code: int
    said: str


@dataclass(frozen=True)
class Project:
    """The copy.

    Parameters
    ----------
    root
        Its folder.
    environment
        By which clients find the emulator and the load balancer.
    """

    root: Path
    environment: dict[str, str]

    def make(self, target: str, **variables: str) -> Ran:
        """Run a make target, and show what it says as it says it."""
        asked = [target, *(f"{name}={value}" for name, value in variables.items())]
        print(f"$ make {' '.join(asked)}", flush=True)
        # Its environments are links to this project's: installed for another folder, and not to be made anew.
        installed = [
            ".venv/.installed",
            ".tools/bin/uv",
            *(str(mark.relative_to(self.root)) for mark in self.root.glob(".tools/*/.installed")),
        ]
        command = ["make", *(part for mark in installed for part in ("-o", mark)), *asked]
        lines = []
        # A person's shell names no setting: the tests' own say that the problem is the toy.
        shell = {name: value for name, value in os.environ.items() if not name.startswith("FLIGHTLINE_")}
        with subprocess.Popen(
            command,
            cwd=self.root,
            env={**shell, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line)
            return Ran(process.wait(timeout=LIMIT_SECONDS), "".join(lines))


def make_project(folder: Path, zone: str, environment: dict[str, str]) -> Project:
    """Copy the project, name the zone in its tfvars, and note the state's bucket as `make infra-account` does."""
    root = folder / "project"
    copy_tree(ROOT, root)
    # Whoever copies this copy asks git what belongs to it.
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    for name in (".venv", ".tools"):
        (root / name).symlink_to(ROOT / name)
    for file in (root / "infra" / "environments").glob("*.tfvars"):
        file.write_text(re.sub(r'(hosted_zone_id *= *)"[^"]*"', rf'\1"{zone}"', file.read_text()))
    take_few_flights(root, folder)
    be_patient(root)
    backend = {"bucket": STATE_BUCKET, "region": REGION}
    (root / "infra" / "environments" / "backend.json").write_text(json.dumps(backend))
    return Project(root, environment)


def be_patient(root: Path) -> None:
    """Let a copy of the project wait longer for predictions before it calls an image slow."""
    for file, name in BOUNDS.items():
        text = (root / file).read_text(encoding="utf-8")
        patient, count = re.subn(rf"(?m)^{name} = (\S+)$", rf"{name} = {PATIENCE} * \1", text)
        assert count == 1, f"{file} has no line {name} = ...: change BOUNDS"
        (root / file).write_text(patient, encoding="utf-8")


def take_few_flights(root: Path, folder: Path) -> None:
    """Turn a copy of the project to a seed of an eighth of the flights, and to the data version that comes of it."""
    text = (root / SEED).read_text(encoding="utf-8")
    assert ALL_FLIGHTS in text, f"{SEED} reads the flights in another way: change FEW_FLIGHTS"
    text = text.replace(ALL_FLIGHTS, FEW_FLIGHTS)
    (root / SEED).write_text(text, encoding="utf-8")
    module: dict[str, Any] = {"__name__": "few_flights"}
    exec(compile(text, "few_flights", "exec"), module)  # the project's own file, one line changed
    small = folder / "few"
    (small / ".dvc").mkdir(parents=True)
    for name in (".dvcignore", ".dvc/config"):
        shutil.copy(root / name, small / name)
    settings = Settings(root=small, dvc_remote_url=str(folder / "few-remote"), problem_package="flightline.problem")
    whole = open_project(settings)
    few_tables = replace(whole.raw_tables, write_seed=module["write_seed"])
    make_first_version(replace(whole, load_raw_tables=lambda: few_tables))
    shutil.copy(small / "data.dvc", root / "data.dvc")
