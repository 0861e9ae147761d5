"""Stands in for `make` and for foreign actions while act runs a workflow; act.py writes its plan.

Called as: stand_in.py PLAN make ARGUMENT..., or stand_in.py PLAN action NAME. Standard library only.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

OF_INTEREST = (
    "AWS_", "IMAGE", "IMAGES_ELSEWHERE", "FLOWS_IMAGE", "REPOSITORY", "ENV", "DRIFT", "UNREACHED", "ADVISORIES",
    "WHAT", "WHY", "FILE", "GITHUB_TOKEN", "NEEDS",
)  # fmt: skip
# Copied for the job, or made by installing: a checkout takes the project's own.
LINKED = (".venv", ".tools")


def note(plan, **call):
    """Add a call to the record."""
    with Path(plan["calls"]).open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"job": os.environ["GITHUB_JOB"], **call}) + "\n")


def must_fail(plan, name):
    """Say whether the test wants this call to fail."""
    return name in plan["fails"] or f"{os.environ['GITHUB_JOB']}:{name}" in plan["fails"]


def tell(variable, values):
    """Write values where the runner reads them."""
    with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())


def make(plan, arguments):
    """Record a make call; run it, or fail, or write what it would have written."""
    name = " ".join(["make", *arguments])
    seen = {key: value for key, value in os.environ.items() if key.startswith(OF_INTEREST)}
    note(plan, name=name, environment=seen)
    if must_fail(plan, name):
        print(f"{name}: fails, as the test wants it")
        return 2
    target = next(argument for argument in arguments if "=" not in argument)
    if target in plan["real"]:
        return run_really(plan, arguments)
    for path, text in plan["files"].get(target, {}).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    tell("GITHUB_OUTPUT", plan["outputs"].get(target, {}))
    return 0


def run_really(plan, arguments):
    """Run the real make in the checkout; what it shows on the run's page is kept for the test."""
    page = Path(os.environ["RUNNER_TEMP"]) / "page.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        if (Path(plan["project"]) / name).is_dir() and not Path(name).exists():
            Path(name).symlink_to(Path(plan["project"]) / name)
    # Installed already: newer only because the checkout is.
    installed = [".venv/.installed", ".tools/bin/uv", *Path().glob(".tools/*/.installed")]
    old = [part for name in installed for part in ("-o", str(name))]
    environment = {**os.environ, **plan["environment"], "GITHUB_STEP_SUMMARY": str(page)}
    done = subprocess.run([plan["make"], *old, *arguments], env=environment, check=False)
    if page.is_file():
        with Path(plan["summary"]).open("a", encoding="utf-8") as file:
            file.write(page.read_text(encoding="utf-8"))
        page.unlink()
    return done.returncode


def action(plan, name):
    """Record an action, and do what of it the later steps need."""
    inputs = {key: value for key, value in json.loads(os.environ["STAND_IN_INPUTS"]).items() if value}
    note(plan, name=name, inputs=inputs)
    if must_fail(plan, name):
        print(f"{name}: fails, as the test wants it")
        return 1
    if name == "aws-actions/configure-aws-credentials" and inputs.get("output-env-credentials") != "false":
        tell("GITHUB_ENV", {"AWS_REGION": inputs["aws-region"], "AWS_ROLE": inputs["role-to-assume"], **plan["aws"]})
    elif name == "actions/checkout":  # with `ref`; act itself does those without
        shutil.copytree(plan["repository"], os.environ["GITHUB_WORKSPACE"], dirs_exist_ok=True, symlinks=True)
    elif name == "actions/upload-artifact":
        return upload(inputs, Path(plan["artifacts"]) / inputs["name"])
    elif name == "actions/download-artifact":
        return download(Path(plan["artifacts"]) / inputs["name"], Path(inputs["path"]))
    return 0


def upload(inputs, target):
    """Keep a file or a folder, as actions/upload-artifact does: a single file without its folder."""
    source = Path(inputs["path"])
    if not source.exists():
        print(f"{source} is not there")
        return int(inputs.get("if-no-files-found") == "error")
    target.mkdir(parents=True)
    if source.is_file():
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, dirs_exist_ok=True)
    return 0


def download(source, target):
    """Give back what was kept."""
    if not source.is_dir():
        print(f"no artifact {source.name}")
        return 1
    shutil.copytree(source, target, dirs_exist_ok=True)
    return 0


def main():
    """Read the plan and do as called."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return make(plan, sys.argv[3:]) if sys.argv[2] == "make" else action(plan, sys.argv[3])


if __name__ == "__main__":
    sys.exit(main())
