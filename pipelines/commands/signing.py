"""Shows, signs and names keys of model versions: `python -m pipelines.commands.signing sign | key`."""

import argparse
import sys

from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import champions
from flightline.adapters.model_store.manifest import check_problem
from flightline.adapters.model_store.signatures import REGISTRATION
from flightline.adapters.model_store.signing_keys import open_signer, public_text
from flightline.core.environment import read_settings
from flightline.core.errors import SignatureError
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.promotion_steps.champion import approve
from pipelines.steps.signing import look_at, sign


def sign_afterwards(project: Project, version: str, by: str, why: str) -> None:
    """Show what the registry has of a version, and sign it if a person and a reason are named."""
    if bool(by.strip()) != bool(why.strip()):
        raise SignatureError('say who signs and why: make sign VERSION=3 BY=ada WHY="registered before signatures"')
    found = registry.get_version(project.settings, project.problem.model_name, version)
    looked = look_at(project, found, f"person:{by.strip()}" if by else REGISTRATION, why.strip())
    check_problem(looked.manifest, project.problem)
    metrics = registry.metrics_of_version(project.settings, found)
    print(f"version {version} of {project.problem.model_name}, run {looked.manifest.run_id}")
    print(f"  registered   {looked.manifest.registered_at:%Y-%m-%d %H:%M} UTC")
    print(f"  model file   sha256 {looked.manifest.sha256}; it loads, and holds only types of the allow-list")
    for name, value in sorted(looked.signed.training.items()):
        print(f"  {name.removeprefix('lineage.'):<12} {value}")
    for name in sorted(name for name in metrics if name.startswith("test_")):
        print(f"  {name.removeprefix('test_'):<12} {metrics[name]:.5f} on the test window")
    if not by:
        print(f'not signed; if this is the model that was trained: make sign VERSION={version} BY=you WHY="..."')
        return
    sign(project.settings, found, looked)
    registry.tag_version(
        project.settings, project.problem.model_name, version, {"signed_by": looked.signed.signed_by, "signed_why": why}
    )
    print(f"signed by {by}: {why}")
    if version in champions(project.settings, project.problem.model_name):
        approve(project, found, "champion", by=looked.signed.signed_by, why=why)
        print("it has been champion before, and is approved as such too; a running service takes it within seconds")


def show_key(settings: Settings) -> None:
    """Print the public key, after making the pair in the profile local if there is none."""
    print(public_text(open_signer(settings)), end="")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("key", help="print the public key")
    one = commands.add_parser("sign", help="show a version, and sign it if BY and WHY are given")
    one.add_argument("--version", required=True)
    one.add_argument("--by", default="", help="your name")
    one.add_argument("--why", default="", help="the reason, in words")
    options = parser.parse_args(arguments)
    if options.command == "key":
        return run_command(lambda: show_key(read_settings()))
    return run_command(lambda: sign_afterwards(open_project(), options.version, options.by, options.why))


if __name__ == "__main__":
    sys.exit(main())
