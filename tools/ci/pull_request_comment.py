"""Writes a report onto its pull request, and renews it there: one comment for each title.

The report may come from a fork, so it is text and nothing else. Where it goes follows from GitHub's
event and API alone: a pull request whose head is the very commit that was tested. The standard library only, so
that the job that may write installs nothing.
"""

import argparse
import json
import os
import re
import sys
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.ci.github_api import GitHub, GitHubError

# GitHub takes 65,536 characters.
LONGEST = 60_000
AUTHOR = "github-actions[bot]"


def tested_commit(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Give owner and branch that an event's pull request comes from, and the commit that was tested."""
    if run := event.get("workflow_run"):
        # A fork that was deleted since is null.
        fork = run["head_repository"] or {"owner": {"login": ""}}
        return fork["owner"]["login"], run["head_branch"], run["head_sha"]
    if request := event.get("pull_request"):
        return request["head"]["user"]["login"], request["head"]["ref"], request["head"]["sha"]
    raise GitHubError("expected an event `workflow_run` or `pull_request`; this one has neither")


def pull_requests(github: GitHub, event: Mapping[str, Any]) -> list[int]:
    """Find the open pull requests whose head is the commit that was tested: none if it was pushed over since."""
    owner, branch, commit = tested_commit(event)
    head = urllib.parse.quote(f"{owner}:{branch}", safe="")
    found = github.call("GET", f"pulls?state=open&head={head}&per_page=100")
    return [int(each["number"]) for each in found if each["head"]["sha"] == commit]


def marker(title: str) -> str:
    """Give the hidden first line by which a comment is found again."""
    return f"<!-- comment of the workflow: {title} -->"


def text_of(title: str, report: str | None, run_url: str, commit: str) -> str:
    """Give the comment: the report, cut to length and without mentions; or that there is none."""
    if report is None:
        body = "The run failed before it could report."
    else:
        # A mention would write to people; a marker would let a report pass for another comment.
        body = re.sub(r"(?<!\w)@(?=\w)", "@\u200b", report).replace("<!--", "&lt;!--")
    if len(body) > LONGEST:
        body = body[:LONGEST] + "\n\n*Cut here; the run's page has all of it.*"
    return f"{marker(title)}\n\n{body}\n\n[{title}]({run_url}) of {commit[:10]}"


def write(github: GitHub, number: int, title: str, body: str) -> str:
    """Write the comment, or renew the one that is there; says which."""
    for page in range(1, 101):
        comments = github.call("GET", f"issues/{number}/comments?per_page=100&page={page}")
        for comment in comments:
            # Anyone may write the marker; only the workflow's own comment is renewed.
            if comment["user"]["login"] == AUTHOR and comment["body"].startswith(marker(title)):
                github.call("PATCH", f"issues/comments/{comment['id']}", {"body": body})
                return "renewed"
        if len(comments) < 100:
            break
    github.call("POST", f"issues/{number}/comments", {"body": body})
    return "written"


def run_url_of(event: Mapping[str, Any]) -> str:
    """Give the page of the run that made the report."""
    if run := event.get("workflow_run"):
        return str(run["html_url"])
    name = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run_id = (os.environ[each] for each in name)
    return f"{server}/{repository}/actions/runs/{run_id}"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and write the comment; 1 after an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", required=True, help="of a-z and hyphen; one comment for each")
    parser.add_argument(
        "--file", type=Path, required=True, help="the report; says that the run failed if it is missing"
    )
    given = parser.parse_args(arguments)
    try:
        event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        github = GitHub.of_the_run()
        numbers = pull_requests(github, event)
        if not numbers:
            print(
                "comment: SKIPPED, no open pull request has the tested commit as its head: it was pushed over or closed"
            )
        report = given.file.read_text(encoding="utf-8", errors="replace") if given.file.is_file() else None
        body = text_of(given.title, report, run_url_of(event), tested_commit(event)[2])
        for number in numbers:
            print(f"comment: {write(github, number, given.title, body)} on pull request {number}")
    except KeyError as err:
        print(f"comment: {err} is missing: this runs in a workflow of GitHub, with GITHUB_TOKEN set", file=sys.stderr)
        return 1
    except GitHubError as err:
        print(f"comment: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
