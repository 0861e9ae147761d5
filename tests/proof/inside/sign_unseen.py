"""Runs inside a copy: signs and approves what the registry holds now unseen, as only somebody with the key can."""

import sys

from flightline.adapters.model_store.approvals import Approval
from flightline.core.project import open_project
from pipelines.promotion_steps.champion import sign_approval_of
from pipelines.steps.signing import collect, sign
from tests.proof.inside.champion_rows import champion_of


def main() -> int:
    project = open_project()
    found = champion_of(project)
    sign(project.settings, found, collect(project, found, "person:nobody", "a test"))
    approval = Approval(
        model=found.name, version=str(found.version), role="champion", verdict="PROMOTE", by="gate", why="a test"
    )
    sign_approval_of(project, found, approval, found.tags["model_sha256"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
