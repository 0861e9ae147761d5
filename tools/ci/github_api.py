"""GitHub's API for the repository that a workflow runs in. The standard library only: nothing is installed before."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30


class GitHubError(Exception):
    """GitHub was not asked, or refused; the message says why."""


@dataclass(frozen=True)
class GitHub:
    """GitHub's API for one repository.

    Parameters
    ----------
    repository
        As owner/name.
    token
        With the rights that the calls need.
    """

    url: str
    repository: str
    token: str

    @classmethod
    def of_the_run(cls) -> "GitHub":
        """Take what the runner says of the repository, and GITHUB_TOKEN.

        Raises
        ------
        GitHubError
            If one of them is missing.
        """
        names = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN")
        if missing := [name for name in names if not os.environ.get(name)]:
            raise GitHubError(f"{', '.join(missing)} missing: this runs in a workflow of GitHub, with GITHUB_TOKEN set")
        return cls(*(os.environ[name] for name in names))

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API below the repository.

        Raises
        ------
        GitHubError
            With what it answered, if that is an error.
        """
        request = urllib.request.Request(  # noqa: S310 the address is GitHub's own, from the runner
            f"{self.url}/repos/{self.repository}/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 as above
                return json.load(answer)
        except urllib.error.HTTPError as err:
            raise GitHubError(f"{method} {path}: {err.code}, {err.read(500).decode(errors='replace')}") from err
        except (urllib.error.URLError, TimeoutError) as err:
            raise GitHubError(f"{method} {path}: {err}") from err
