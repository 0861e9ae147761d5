import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from template.tests.workflows.local_github.act import Run, project_repository, run_workflow
from template.tests.workflows.local_github.github_api import GitHubApi, github_api

# Stands in for the checks where a test looks at what comes after them.
SHORT_CI = """
name: ci
on: {pull_request: , workflow_call: {inputs: {are_images_pushed: {type: boolean, default: false}}}}
permissions: {contents: read}
jobs:
  ci:
    runs-on: ubuntu-24.04
    steps: [{run: make all-checks, env: {IMAGES_ELSEWHERE: "${{ inputs.are_images_pushed }}"}}]
"""


# Each job is given a copy, so what no test looks at stays out.
MAKE = ("Makefile", "infra/infra.mk", "tools.env")
LOOKED_AT = (*MAKE, "tools", "locks/uv.txt", "locks/workflows.txt", ".github")


@pytest.fixture(scope="session")
def repository(tmp_path_factory) -> Path:
    """The project, as a runner would check it out, as far as workflows look at it."""
    return project_repository(tmp_path_factory.mktemp("project") / "name", only=LOOKED_AT)


@pytest.fixture(scope="session")
def short_repository(repository, tmp_path_factory) -> Path:
    """The same, with one step in place of the checks."""
    copy = tmp_path_factory.mktemp("short") / "name"
    shutil.copytree(repository, copy, symlinks=True)
    (copy / ".github" / "workflows" / "ci.yml").write_text(SHORT_CI)
    return copy


@pytest.fixture
def act(repository, tmp_path) -> Callable[..., Run]:
    """Run a workflow for an event: act(name, event name, payload, ...), as often as a test wants."""
    numbers = iter(range(100))

    def run(*arguments, in_repository: Path = repository, **options) -> Run:
        return run_workflow(in_repository, tmp_path / f"run{next(numbers)}", *arguments, **options)

    return run


@pytest.fixture
def api() -> Iterator[GitHubApi]:
    """A stand-in for GitHub's API, for comments."""
    with github_api() as running:
        yield running
