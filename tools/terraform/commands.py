"""Terraform behind make: `python -m tools.terraform.commands check | account | init | settings`.

Deploying is not here: this looks at the code, makes what an account needs once, and writes
what an environment puts out where the `aws` profile reads it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from flightline.adapters.files.pipes import outlive_reader
from tools.terraform.terraform import INSTALL, ROOT, Terraform, TerraformError, find_terraform

STATE = ROOT / ".state" / "terraform"
INFRA = ROOT / "infra"
BACKEND = INFRA / "environments" / "backend.json"
ENVIRONMENTS = ("staging", "production")
# Where the account's own state lies in the bucket that it made.
ACCOUNT_STATE = "account/terraform.tfstate"


def check(checkov: Path) -> None:
    """Look at format, validity, unit tests and known mistakes, without an account and without a network."""
    root, account = Terraform(INFRA, STATE / "check"), Terraform(INFRA / "account", STATE / "check-account")
    steps = [
        ("format", lambda: root.run("fmt", "-check", "-recursive", "-diff")),
        (
            "init",
            lambda: [each.run("init", "-backend=false", "-input=false", "-no-color") for each in (root, account)],
        ),
        ("validate", lambda: [each.run("validate", "-no-color") for each in (root, account)]),
        ("unit tests", lambda: run_unit_tests(root)),
        ("checkov", lambda: _checkov(checkov)),
    ]
    for name, step in steps:
        started = time.monotonic()
        result = step()
        note = result if isinstance(result, str) and len(result) < 200 else "passed"
        print(f"  {name:12} {note or 'passed'} ({time.monotonic() - started:.1f} s)", flush=True)


def run_unit_tests(root: Terraform) -> str:
    """Run the files of unit tests side by side, since each waits for a provider of its own; give how many passed."""
    files = sorted(file.name for file in (root.folder / "tests").glob("*.tftest.hcl"))
    with ThreadPoolExecutor() as beside:
        result = list(beside.map(lambda name: root.run("test", "-no-color", f"-filter=tests/{name}"), files))
    passed = [re.search(r"Success! (\d+) passed, 0 failed", one) for one in result]
    if not files or not all(passed):
        raise TerraformError("the unit tests did not say how many passed\n" + "\n".join(result))
    return f"{sum(int(one[1]) for one in passed if one)} passed in {len(files)} files"


def _checkov(program: Path) -> str:
    command = [str(part) for part in (program, "--directory", INFRA, "--config-file", INFRA / "checkov.yaml")]
    # It would ask its maker's server for news and rules.
    quiet = {"CKV_SKIP_PACKAGE_UPDATE_CHECK": "True", "LOG_LEVEL": "ERROR", "BC_API_KEY": ""}
    done = subprocess.run(command, env={**os.environ, **quiet}, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise TerraformError(f"checkov found a mistake, or failed\n{done.stdout}{done.stderr[-2000:]}")
    return next(line for line in done.stdout.splitlines() if line.startswith("Passed checks")).strip()


def account(name: str = "") -> None:
    """Make state bucket, image registry and GitHub's roles, and note where the states of its environments are.

    Parameters
    ----------
    name
        The environment that has an account of its own; empty: one account holds all.
    """
    root, state = Terraform(INFRA / "account", STATE / "account"), INFRA / "account" / "terraform.tfstate"
    root.run("init", "-input=false", "-no-color")
    fetch_account_state(name, state)
    given = INFRA / "environments" / ("account.tfvars" if not name else f"account-{name}.tfvars")
    try:
        root.run("apply", f"-state={state}", f"-var-file={given}", shown=True)
    finally:
        outputs = root.outputs() if state.is_file() else {}
        if "backend" in outputs:
            keep_account_state(outputs["backend"], state)
    note_backend(outputs["backend"], [name] if name else ENVIRONMENTS)
    print(f"account: {BACKEND.relative_to(ROOT)} says where the states are; commit it")
    for image, url in outputs["repositories"].items():
        print(f"  push the image {image} to {url}")
    for role, arn in outputs["role_arns"].items():
        print(f"  role of the workflows for {role}: {arn}")


def fetch_account_state(name: str, file: Path) -> None:
    """Bring the account's own state from the bucket that its first apply made, if there was one."""
    if not BACKEND.is_file():
        return
    place = read_backend(name or ENVIRONMENTS[0])
    s3 = boto3.client("s3", region_name=place["region"])
    try:
        file.write_bytes(s3.get_object(Bucket=place["bucket"], Key=ACCOUNT_STATE)["Body"].read())
    except ClientError as err:
        if err.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket", "404"):
            raise TerraformError(f"the state of the account cannot be read from {place['bucket']}: {err}") from err


def keep_account_state(place: dict[str, str], file: Path) -> None:
    """Write the account's own state to its bucket, which keeps former versions; the file holds no secret."""
    s3 = boto3.client("s3", region_name=place["region"])
    s3.put_object(Bucket=place["bucket"], Key=ACCOUNT_STATE, Body=file.read_bytes())


def note_backend(place: dict[str, str], environments: Sequence[str]) -> None:
    """Note where the states of some environments are; those of another account's stay as they are."""
    noted = json.loads(BACKEND.read_text(encoding="utf-8")) if BACKEND.is_file() else {}
    noted = dict.fromkeys(ENVIRONMENTS, noted) if "bucket" in noted else noted
    noted |= dict.fromkeys(environments, place)
    BACKEND.write_text(json.dumps(noted, indent=2) + "\n", encoding="utf-8")


def read_backend(environment: str) -> dict[str, str]:
    """Read where the state of an environment is; a file of before December 2026 names one place for all.

    Raises
    ------
    TerraformError
        If its account was not set up.
    """
    noted = json.loads(BACKEND.read_text(encoding="utf-8")) if BACKEND.is_file() else {}
    place = noted if "bucket" in noted else noted.get(environment)
    if not place:
        raise TerraformError(
            f"infra/environments/{BACKEND.name} does not say where the state of {environment} is; "
            "run: make infra-account"
        )
    return {key: str(value) for key, value in place.items()}


def init(environment: str) -> Terraform:
    """Make Terraform ready for an environment, with its state in the bucket."""
    backend = read_backend(environment)
    root = Terraform(INFRA, STATE / environment)
    given = [f"-backend-config={name}={value}" for name, value in backend.items()]
    key = f"-backend-config=key=environments/{environment}.tfstate"
    root.run("init", "-input=false", "-no-color", "-reconfigure", key, *given)
    return root


def write_settings(environment: str, root: Terraform) -> Path:
    """Write the environment's settings as lines NAME=value, and its secrets' places as comments.

    Returns
    -------
    Path
        The file, readable by its owner only. It holds no secret.
    """
    outputs = root.outputs()
    if "settings" not in outputs:
        raise TerraformError(
            f"{environment} has no outputs: it was not applied yet; run: make deploy ENV={environment}"
        )
    lines = [f"# The `aws` profile of {environment}, written by make infra-settings."]
    lines += [f"{name}={value}" for name, value in sorted(outputs["settings"].items())]
    lines += ["# Besides these, in Secrets Manager (ARN, then a key in it):"]
    lines += [f"# {name}: {place}" for name, place in sorted(outputs["secrets"].items())]
    file = STATE / f"{environment}.env"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (STATE / f"{environment}.json").write_text(json.dumps(outputs, indent=2) + "\n", encoding="utf-8")
    return file


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says; 1 after an error, which says what to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="format, validity, unit tests, checkov").add_argument(
        "--checkov", type=Path, required=True
    )
    own = commands.add_parser("account", help="what an account needs once")
    own.add_argument(
        "--environment", choices=("", *ENVIRONMENTS), default="", help="whose own account it is; empty: all"
    )
    for name in ("init", "settings"):
        commands.add_parser(name).add_argument("--environment", choices=ENVIRONMENTS, required=True)
    given = parser.parse_args(arguments)
    if find_terraform() is None:
        is_demanded = given.command != "check" or os.environ.get("CI") == "true"
        print(f"infra-{given.command}: {'' if is_demanded else 'SKIPPED, '}terraform is missing; {INSTALL}")
        return int(is_demanded)
    try:
        if given.command == "check":
            check(given.checkov)
        elif given.command == "account":
            account(given.environment)
        elif given.command == "init":
            init(given.environment)
        else:
            print(f"settings: {write_settings(given.environment, init(given.environment)).relative_to(ROOT)}")
    except TerraformError as err:
        print(f"infra-{given.command}: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
