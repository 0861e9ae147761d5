"""A copy of the project for one run, turned to the emulator as a user turns it to an account; real `make` in it."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.infra.cloud import REGION, STATE_BUCKET
from tools.terraform import ROOT
from tools.tree import copy_tree

LIMIT_SECONDS = 1200


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
        command = ["make", target, *(f"{name}={value}" for name, value in variables.items())]
        print(f"$ {' '.join(command)}", flush=True)
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        return Ran(process.wait(timeout=LIMIT_SECONDS), "".join(lines))


def make_project(folder: Path, zone: str, environment: dict[str, str]) -> Project:
    """Copy the project, name the zone in its tfvars, and note the state's bucket as `make infra-bootstrap` does."""
    root = folder / "project"
    copy_tree(ROOT, root)
    for name in (".venv", ".tools"):
        (root / name).symlink_to(ROOT / name)
    for file in (root / "infra" / "environments").glob("*.tfvars"):
        file.write_text(re.sub(r'(hosted_zone_id *= *)"[^"]*"', rf'\1"{zone}"', file.read_text()))
    backend = {"bucket": STATE_BUCKET, "region": REGION}
    (root / "infra" / "environments" / "backend.json").write_text(json.dumps(backend))
    return Project(root, environment)
