"""Runs Terraform for make and for the tests: one place that knows where providers, data and settings lie.

Nothing is written into infra/ but what Terraform insists on; an AWS provider that lies unpacked
on this machine is used, so that no network is needed.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INSTALL = "install Terraform 1.11 or later: https://developer.hashicorp.com/terraform/install"
# Where system packages and administrators put providers; FLIGHTLINE_PROVIDERS names another such folder.
PROVIDER_FOLDERS = ("/usr/share/terraform/*", "/usr/local/share/terraform/*", "/opt/*")
# What `apply` and `destroy` say of each resource at its end.
DONE = re.compile("(Creation|Modifications|Destruction) complete after ")
# How long another's plan or apply of the same environment is waited for.
LOCK_TIMEOUT = "-lock-timeout=10m"
AWS_PROVIDER = "registry.terraform.io/hashicorp/aws"


class TerraformError(Exception):
    """Terraform failed; the message says in which step, and holds its own words."""


def find_terraform() -> str | None:
    """Find the program, or None."""
    return shutil.which("terraform")


def find_providers(environment: Mapping[str, str]) -> Path | None:
    """Find a folder of unpacked providers that holds the one for AWS, or None: then they are downloaded."""
    if named := environment.get("FLIGHTLINE_PROVIDERS"):
        return Path(named)
    for pattern in PROVIDER_FOLDERS:
        for folder in sorted(Path("/").glob(pattern.removeprefix("/"))):
            if (folder / AWS_PROVIDER).is_dir():
                return folder
    return None


@dataclass(frozen=True)
class Terraform:
    """One configuration with a data folder of its own.

    Parameters
    ----------
    folder
        The configuration.
    data
        Where Terraform keeps providers and the backend's address for this use.
    environment
        Added to the process's own.
    """

    folder: Path
    data: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, shown: bool = False) -> str:
        """Run a command and give what it printed.

        Raises
        ------
        TerraformError
            If it fails.
        """
        done = subprocess.run(
            self._command(arguments),
            env=self._environment(),
            stdout=None if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise self._failed(arguments, done.stdout or "")
        return done.stdout or ""

    def run_with_progress(self, *arguments: str, pause_seconds: float = 30) -> None:
        """Run `apply` or `destroy`, which take minutes, and print from time to time how far it is.

        Parameters
        ----------
        pause_seconds
            Between two lines.

        Raises
        ------
        TerraformError
            If it fails.
        """
        started = last_shown = time.monotonic()
        lines = []
        with subprocess.Popen(
            self._command([arguments[0], "-no-color", "-input=false", *arguments[1:]]),
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                if time.monotonic() - last_shown > pause_seconds:
                    last_shown = time.monotonic()
                    done = sum(bool(DONE.search(one)) for one in lines)
                    print(f"     {last_shown - started:.0f} s: {done} resources done; {line.strip()}", flush=True)
        if process.returncode:
            raise self._failed(arguments, "".join(lines))

    def outputs(self) -> dict[str, Any]:
        """Read the outputs of what was applied."""
        return {name: output["value"] for name, output in json.loads(self.run("output", "-json")).items()}

    def planned(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Plan, and give the plan as Terraform describes it in JSON."""
        file = self.data / "plan"
        self.run("plan", "-no-color", "-input=false", LOCK_TIMEOUT, f"-out={file}", *arguments)
        return json.loads(self.run("show", "-json", str(file)))

    def _command(self, arguments: Sequence[str]) -> list[str]:
        program = find_terraform()
        if program is None:
            raise TerraformError(f"terraform is missing; {INSTALL}")
        return [program, f"-chdir={self.folder}", *arguments]

    def _failed(self, arguments: Sequence[str], output: str) -> TerraformError:
        return TerraformError(f"terraform {arguments[0]} in {self.folder.name}/ failed\n{output}".rstrip())

    def _environment(self) -> dict[str, str]:
        self.data.mkdir(parents=True, exist_ok=True)
        made = {**os.environ, **self.environment, "TF_DATA_DIR": str(self.data), "CHECKPOINT_DISABLE": "1"}
        named = made.get("TF_CLI_CONFIG_FILE", "")
        if named and not Path(named).is_file():
            del made["TF_CLI_CONFIG_FILE"]
        providers = find_providers(made)
        if providers and "TF_CLI_CONFIG_FILE" not in made:
            file = self.data / "terraform.rc"
            file.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{providers}"\n  }}\n}}\n')
            made["TF_CLI_CONFIG_FILE"] = str(file)
        return made
