"""Runs a workflow with act, on the host: foreign actions are stand-ins, `make` is a recorder, or the real one.

`run_workflow` is all that a test needs. It copies the project, makes a repository of the copy, and lets act
run one workflow there for one event. GitHub itself is not part of it: permissions, environments, approvals and
concurrency are only read by act, so the tests look at them in the files.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import yaml

from tools.tree import project_files

PROJECT = Path(__file__).parents[4]
ACT = PROJECT / ".tools" / "act" / "bin" / "act"
STAND_IN = Path(__file__).parent / "stand_in.py"
EVENTS = Path(__file__).parent / "events"
REPOSITORY = "owner/name"
# Need nothing but Python, so they always run as they are.
REAL = ("workflow-ready", "workflow-verdict", "workflow-summary", "workflow-comment")
# What a recorded call says where a test says nothing else.
OUTPUTS = {"workflow-scope": {"checks": "all", "advisories": "fail"}}
LIMIT_SECONDS = 600
CALLS, SUMMARY = "calls.jsonl", "summary.md"
SETS_UP = "make workflow-restored"
# Jobs run on this machine, by actions that lie on it.
OFFLINE = ("--platform", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--action-offline-mode", "--actor", "ada")
OFFLINE += ("--secret", "GITHUB_TOKEN=token-of-the-run")


@dataclass(frozen=True)
class Call:
    """One step that ran: a make target, or an action.

    Parameters
    ----------
    job
        Its identifier in the workflow.
    name
        `make` with its arguments, or the action without its version.
    inputs
        What the action was given.
    environment
        What a make call could see, as far as it is of interest: AWS_*, IMAGE, ENV, GITHUB_TOKEN, ...
    """

    job: str
    name: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What became of a workflow.

    Parameters
    ----------
    code
        act's exit code: 0 if every job that was not skipped passed.
    log
        What act printed.
    calls
        In the order in which they began.
    summary
        What all steps wrote for the run's page.
    """

    code: int
    log: str
    calls: tuple[Call, ...]
    summary: str

    def made(self, job: str | None = None) -> list[str]:
        """Give the make calls of a job, or of all, in their order; those of setting up aside."""
        made = [call for call in self.calls if call.name.startswith("make ") and job in {None, call.job}]
        return [call.name for call in made if call.name != SETS_UP]

    def jobs(self) -> set[str]:
        """Give the jobs that did something."""
        return {call.job for call in self.calls}

    def of(self, name: str) -> list[Call]:
        """Give the calls of one action, or of one make call."""
        return [call for call in self.calls if call.name == name]


@cache
def workflow(name: str) -> dict[str, Any]:
    """Read a workflow; its triggers are under "on"."""
    read: dict[Any, Any] = yaml.safe_load((PROJECT / ".github" / "workflows" / f"{name}.yml").read_text())
    # YAML 1.1 takes the key `on` for true.
    return {"on" if key is True else key: value for key, value in read.items()}


def event(name: str, **changes: Any) -> dict[str, Any]:
    """Read an event payload of template/tests/workflows/local_github/events and change some of its values.

    Parameters
    ----------
    changes
        By path with __ between, such as pull_request__user__login="ada".
    """
    read: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = read
        for parent in parents:
            place = place[parent]
        place[last] = value
    return read


def project_repository(folder: Path, project: Path = PROJECT, only: Sequence[str] = ()) -> Path:
    """Copy the project into a repository of its own, as a runner would check it out.

    Parameters
    ----------
    project
        Where to copy from: this project, or a copy of it that a test changed.
    only
        Files and folders to copy; none: all of it. A workflow whose make is recorded needs little.
    """
    for name in project_files(project):
        if not only or name.parts[0] in only or str(name) in only:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, folder / name, follow_symlinks=False)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["remote", "add", "origin", f"https://github.com/{REPOSITORY}"],
        ["add", "--all"],
        [*identity, "commit", "--quiet", "--message", "The tree under test"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, env=_environment({}))
    return folder


def run_workflow(
    repository: Path,
    scratch: Path,
    name: str,
    event_name: str,
    payload: Mapping[str, Any],
    *,
    variables: Mapping[str, str] | None = None,
    outputs: Mapping[str, Mapping[str, str]] | None = None,
    files: Mapping[str, Mapping[str, str]] | None = None,
    fails: Sequence[str] = (),
    real: Sequence[str] = REAL,
    environment: Mapping[str, str] | None = None,
    aws: Mapping[str, str] | None = None,
    artifacts: Path | None = None,
    job: str | None = None,
    limit_seconds: float = LIMIT_SECONDS,
) -> Run:
    """Run one workflow for one event.

    Parameters
    ----------
    repository
        Of `project_repository`; each job works on a copy of it.
    scratch
        A folder of this run alone.
    name, event_name, payload
        The workflow, such as "deploy"; the event, such as "push"; what GitHub would tell of it.
    variables
        Repository variables; none: a fresh clone.
    outputs, files
        By make target: outputs that a recorded call sets, besides `OUTPUTS`, and files that it writes (path to text).
    fails
        What must fail: make calls ("make deploy ENV=staging") or actions ("actions/checkout"); with "job:" before it,
        in that job only.
    real
        Make targets that run as they are, with this project's environment linked into the checkout; all others are
        recorded, and pass. A rehearsal of a deployment names "deploy" and "image-push" here, besides `REAL`.
    environment
        Added to what steps see, such as GITHUB_API_URL of a stand-in, or DOCKER_HOST.
    aws
        What the stand-in for aws-actions/configure-aws-credentials hands on, such as AWS_ENDPOINT_URL of an emulator.
    artifacts
        Where artifacts are kept, so that another run can fetch them.
    job
        Run this job and what it needs, and no other.
    """
    stand_in = _lay_out(
        scratch,
        payload,
        {
            "artifacts": str(artifacts or scratch / "artifacts"),
            "outputs": {**OUTPUTS, **(outputs or {})},
            "files": dict(files or {}),
            "fails": list(fails),
            "real": list(real),
            "repository": str(repository),
            "environment": dict(environment or {}),
            "aws": dict(aws or {}),
        },
    )
    command = [str(ACT), event_name, "--workflows", f".github/workflows/{name}.yml", *OFFLINE]
    command += ["--eventpath", str(scratch / "event.json")]
    command += [part for each in _stub_actions(scratch / "actions", stand_in) for part in ("--local-repository", each)]
    command += [part for key, value in (variables or {}).items() for part in ("--var", f"{key}={value}")]
    command += ["--job", job] if job else []
    environment = _environment({"PATH": f"{scratch / 'bin'}:{os.environ['PATH']}"}, scratch)
    code, log = run_to_its_end(command, repository, environment, limit_seconds)
    return Run(code, log, _calls(scratch / CALLS), _text(scratch / SUMMARY))


def run_to_its_end(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], limit_seconds: float
) -> tuple[int, str]:
    """Run act; after the limit its steps end too, which would otherwise work on beside the next test.

    Raises
    ------
    TimeoutError
        With all that was said until then.
    """
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said = process.communicate(timeout=limit_seconds)[0]
        except subprocess.TimeoutExpired as err:
            # Each step has a session of its own, so a signal to the group would not reach it.
            for begun in (*psutil.Process(process.pid).children(recursive=True), process):
                begun.kill()
            raise TimeoutError(f"no end after {limit_seconds:.0f} s:\n{process.communicate()[0]}") from err
    return process.returncode, said


def _lay_out(scratch: Path, payload: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """Write what the stand-ins go by, with a `make` that is one of them; give the command that starts one."""
    plan = {
        "calls": str(scratch / CALLS),
        "summary": str(scratch / SUMMARY),
        "make": shutil.which("make"),
        "project": str(PROJECT),
    }
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "plan.json").write_text(json.dumps({**plan, **told}))
    (scratch / "event.json").write_text(json.dumps(payload))
    (scratch / "bin").mkdir()
    stand_in = shlex.join([sys.executable, "-S", str(STAND_IN), str(scratch / "plan.json")])
    (scratch / "bin" / "make").write_text(f'#!/bin/sh\nexec {stand_in} make "$@"\n')
    (scratch / "bin" / "make").chmod(0o755)
    return stand_in


def _environment(added: Mapping[str, str], scratch: Path | None = None) -> dict[str, str]:
    """Give act and git what they need of this process's environment: no outer git, CI or AWS reaches in."""
    outer = ("GIT_", "GITHUB_", "ACT", "AWS_", "CI", "RUNNER_", "MAKE", "MFLAGS", "FLIGHTLINE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    if scratch:
        kept |= {"XDG_CACHE_HOME": str(scratch / "cache"), "XDG_CONFIG_HOME": str(scratch / "config")}
    return {**kept, **added}


def _used_actions() -> dict[str, set[str]]:
    """Give every foreign action of workflows and own actions, with its version, and the inputs it is given."""
    used: dict[str, set[str]] = {}
    for step in all_steps():
        if "uses" in step and not step["uses"].startswith("./"):
            used.setdefault(step["uses"], set()).update(step.get("with", {}))
    return used


def all_steps() -> Iterator[dict[str, Any]]:
    """Give every step of all workflows, and of the actions that are our own."""
    github = PROJECT / ".github"
    for file in sorted(github.glob("workflows/*.yml")):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            yield from job.get("steps", [])
    for file in sorted(github.glob("actions/*/action.yml")):
        yield from yaml.safe_load(file.read_text())["runs"]["steps"]


def _stub_actions(folder: Path, stand_in: str) -> list[str]:
    """Make a stand-in for each foreign action; gives what act is told of them."""
    told = []
    for number, (action, inputs) in enumerate(sorted(_used_actions().items())):
        step = {
            "shell": "bash",
            "env": {"STAND_IN_INPUTS": "${{ toJSON(inputs) }}"},
            "run": f"{stand_in} action {action.split('@')[0]}",
        }
        described = {"name": action, "inputs": {name: {"required": False} for name in sorted(inputs)}}
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "action.yml").write_text(
            yaml.safe_dump({**described, "runs": {"using": "composite", "steps": [step]}})
        )
        told.append(f"{action}={folder / str(number)}")
    return told


def _text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def _calls(file: Path) -> tuple[Call, ...]:
    return tuple(Call(**json.loads(line)) for line in _text(file).splitlines())
