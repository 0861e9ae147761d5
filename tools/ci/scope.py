"""Says what a run has to check, and what a run before it has proved: `make workflow-scope`.

A pull request that changes documents alone gets the checks of documents. A commit of main whose very tree has passed as
a pull request or in a merge queue is not checked again. The standard library only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.ci.github_api import GitHub, GitHubError
from tools.ci.workflow import append

ALL, DOCS, NONE = "all", "docs", "none"
FAIL, WARN = "fail", "warn"
# Put on a pull request by who may triage; docs/workflows.md.
LABEL = "advisories-known"
_DOCUMENT = re.compile(r"(?:[a-z]+/)?docs/.*|[^/]+\.md|\.github/ISSUE_TEMPLATE/.*|\.github/[^/]+\.md")
_QUEUED = re.compile(r"gh-readonly-queue/.+/pr-(\d+)-")


@dataclass(frozen=True)
class Scope:
    """What a run has to check.

    Parameters
    ----------
    checks
        `all`; `docs`: what looks at documents and secrets; `none`: the tree is proved.
    advisories
        `fail`, or `warn` if a person has let them through.
    reason
        In one sentence.
    """

    checks: str
    advisories: str
    reason: str


@dataclass(frozen=True)
class Commit:
    """What git says of the commit that is checked: its hash, that of its tree, and its first parent."""

    sha: str
    tree: str
    parent: str


def is_documents_only(files: Sequence[str]) -> bool:
    """Say whether nothing but documents changed; no change at all is not that.

    Examples
    --------
    >>> is_documents_only(["README.md", "docs/deploy.md"]), is_documents_only(["docs/a.md", "src/a.md"])
    (True, False)
    """
    return bool(files) and all(_DOCUMENT.fullmatch(file) for file in files)


def proof_of(github: GitHub, workflow: str, commit: Commit, requests: Sequence[Mapping[str, Any]]) -> str | None:
    """Find a run of a workflow that checked this very tree and left out nothing; give its page.

    Parameters
    ----------
    requests
        The pull requests that brought the commit.
    """
    for tested, event in _commits_with_its_tree(github, commit, requests):
        query = f"head_sha={tested}&event={event}&status=success&per_page=20"
        for run in github.call("GET", f"actions/workflows/{workflow}.yml/runs?{query}")["workflow_runs"]:
            jobs = github.call("GET", f"actions/runs/{run['id']}/jobs?per_page=100")["jobs"]
            if jobs and all(job["conclusion"] == "success" for job in jobs):
                return str(run["html_url"])
    return None


def _commits_with_its_tree(
    github: GitHub, commit: Commit, requests: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    # A merge queue tests the commit that main then gets.
    yield commit.sha, "merge_group"
    for request in requests:
        head = request["head"]["sha"]
        if github.call("GET", f"git/commits/{head}")["tree"]["sha"] != commit.tree:
            continue
        # GitHub tests the head merged into its base. That is the head's own tree if the head holds all of the base.
        if github.call("GET", f"compare/{commit.parent}...{head}")["behind_by"] == 0:
            yield head, "pull_request"


def find_scope(name: str, event: Mapping[str, Any], workflow: str, github: GitHub) -> Scope:
    """Say what a run has to check; where GitHub is not heard, it is everything.

    Parameters
    ----------
    name, event
        GitHub's name of the event, and its payload.
    """
    base = {"pull_request": "HEAD^1", "merge_group": (event.get("merge_group") or {}).get("base_sha")}.get(name)
    if base:
        checks, reason = ALL, "it changes more than documents"
        if is_documents_only(_git("diff", "--name-only", "--no-renames", base, "HEAD").splitlines()):
            checks, reason = DOCS, "it changes documents alone"
        return Scope(checks, _advisories(github, _pull_requests(github, name, event)), reason)
    commit = Commit(*_git("rev-parse", "HEAD", "HEAD^{tree}", "HEAD^1").splitlines())
    requests = github.call("GET", f"commits/{commit.sha}/pulls")
    merged = [request for request in requests if request.get("merged_at")]
    if proof := proof_of(github, workflow, commit, merged):
        return Scope(NONE, FAIL, f"the tree {commit.tree[:10]} passed all checks in {proof}")
    return Scope(ALL, _advisories(github, merged), f"no run has proved the tree {commit.tree[:10]}")


def _pull_requests(github: GitHub, name: str, event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Ask for the pull request of an event: its payload knows no label that was put on since."""
    if name == "pull_request":
        number = event["pull_request"]["number"]
    elif queued := _QUEUED.search(event["merge_group"]["head_ref"]):
        number = queued[1]
    else:
        return []
    return [github.call("GET", f"pulls/{number}")]


def _advisories(github: GitHub, requests: Sequence[Mapping[str, Any]]) -> str:
    labelled = [each for each in requests if LABEL in {label["name"] for label in each["labels"]}]
    for request in labelled:
        _note(f"Advisories do not stop this run: pull request #{request['number']} has the label `{LABEL}`.")
    return WARN if labelled else FAIL


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def _note(sentence: str) -> None:
    """Show a sentence in the log and on the run's page."""
    print(f"::notice::{sentence}")
    append("GITHUB_STEP_SUMMARY", sentence)


def main(arguments: list[str] | None = None) -> int:
    """Set the outputs `checks` and `advisories`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workflow", required=True, help="the name of its file, without .yml")
    given = parser.parse_args(arguments)
    name = os.environ["GITHUB_EVENT_NAME"]
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    try:
        scope = find_scope(name, event, given.workflow, GitHub.of_the_run())
    except (GitHubError, subprocess.CalledProcessError) as err:
        scope = Scope(ALL, FAIL, f"what was proved before is not known: {err}")
    append("GITHUB_OUTPUT", f"checks={scope.checks}\nadvisories={scope.advisories}")
    _note(f"Checks: {scope.checks}, because {scope.reason}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
