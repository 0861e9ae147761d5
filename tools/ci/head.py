"""Stops a deployment of what is not the head of its branch: `make workflow-head`. The standard library only."""

import os
import sys

from tools.ci.github_api import GitHub, GitHubError


def refusal(commit: str, head: str, branch: str) -> str | None:
    """Say why a commit is not deployed, or None if it is the head."""
    if commit == head:
        return None
    return (
        f"this run is of {commit[:10]}, and {branch} is at {head[:10]}, whose own run deploys; "
        "to go back use the workflow `redeploy` (docs/workflows.md)"
    )


def main() -> int:
    """Ask where the branch is now; 1 with a sentence unless it is at this run's commit."""
    try:
        branch, commit = os.environ["GITHUB_REF_NAME"], os.environ["GITHUB_SHA"]
        head = GitHub.of_the_run().call("GET", f"git/ref/heads/{branch}")["object"]["sha"]
    except GitHubError as err:
        print(f"head: {err}", file=sys.stderr)
        return 1
    if why := refusal(commit, head, branch):
        print(f"::error title=Not deployed::{why}")
        return 1
    print(f"head: {branch} is at {commit[:10]}, which this run is of")
    return 0


if __name__ == "__main__":
    sys.exit(main())
