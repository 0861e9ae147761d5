"""Runs inside a copy: signs what the registry holds now without a look at it, as only somebody with the key can."""

import sys

from flightline.core.project import open_project
from pipelines.steps.signing import collect, sign
from tests.proof.inside.champion_rows import champion_of


def main() -> int:
    project = open_project()
    found = champion_of(project)
    sign(project.settings, found, collect(project, found, "person:nobody", "a test"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
