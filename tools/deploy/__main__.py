"""The command line: `python -m tools.deploy deploy | rollback | first-fill | destroy | plan`, as make calls it."""

import argparse
import sys

from botocore.exceptions import BotoCoreError, ClientError

from flightline.adapters.files.pipes import outlive_reader
from tools.deploy import roll_back
from tools.deploy.environment import NOTHING, Environment, Release
from tools.deploy.plan import as_markdown
from tools.deploy.release import DeployRequest, deploy
from tools.deploy.steps import DeployError
from tools.images.build import commit
from tools.terraform import commands as infra
from tools.terraform.terraform import INSTALL, TerraformError, find_terraform

DRIFTED = 2
PERCENT = {"staging": 0, "production": 10}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "deploy": "bring images to an environment",
        "rollback": "bring back what was live before",
        "first-fill": "fill an environment that has no model yet",
        "destroy": "remove an environment with everything in it",
        "plan": "print the plan as Markdown; 2 if it would change anything",
    }
    made = {name: commands.add_parser(name, help=text) for name, text in helps.items()}
    for one in made.values():
        one.add_argument("--environment", choices=infra.ENVIRONMENTS, required=True)
    for name in ("deploy", "plan"):
        made[name].add_argument("--image", default="", help="the service's, by digest; empty: the live one")
        made[name].add_argument("--flows-image", default="", help="the flows', by digest; empty: the live one")
    made["deploy"].add_argument("--canary", type=int, help="percent of requests for a canary; 0: none")
    made["deploy"].add_argument("--watch", type=float, default=600, help="seconds that a canary is watched")
    made["deploy"].add_argument("--allow-destroy", action="store_true", help="take the protection off production")
    made["deploy"].add_argument("--new-secrets", action="store_true", help="make every password anew")
    made["rollback"].add_argument("--why", default="")
    made["rollback"].add_argument("--what", choices=("images", "model"), default="images")
    made["destroy"].add_argument("--confirm", default="", help="the environment's name")
    return parser


def wanted(environment: Environment, options: argparse.Namespace) -> Release:
    """Take the images that were given, and for one that was not the live one.

    Raises
    ------
    DeployError
        If there is neither.
    """
    live = environment.read_record().live or (NOTHING if options.command == "plan" else None)
    service, flows = options.image or (live and live.service), options.flows_image or (live and live.flows)
    missing = [name for name, image in (("IMAGE", service), ("FLOWS_IMAGE", flows)) if not image]
    if missing:
        raise DeployError(
            f"nothing is live in {environment.name}, so give {' and '.join(missing)}=host/repository@sha256:..."
        )
    return Release(str(service), str(flows), why=f"deployed at {commit()[:12]}")


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    environment = Environment.open(options.environment)
    environment.allow_destroy = getattr(options, "allow_destroy", False)
    if options.command == "deploy":
        percent = PERCENT[environment.name] if options.canary is None else options.canary
        wished = wanted(environment, options)
        deploy(environment, DeployRequest(wished, percent, options.watch, options.new_secrets))
    elif options.command == "rollback":
        back = roll_back.roll_images_back if options.what == "images" else roll_back.roll_model_back
        back(environment, options.why)
    elif options.command == "first-fill":
        roll_back.first_fill(environment)
    elif options.command == "destroy":
        roll_back.destroy(environment, options.confirm)
    else:
        changes = environment.plan(environment.variables(wanted(environment, options)))
        print(as_markdown(environment.name, changes), end="")
        return DRIFTED if changes else 0
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says; 1 after an error, which says what to do."""
    options = _parser().parse_args(arguments)
    if find_terraform() is None:
        print(f"{options.command}: terraform is missing; {INSTALL}", file=sys.stderr)
        return 1
    try:
        return run(options)
    except (DeployError, TerraformError, ClientError, BotoCoreError, OSError) as err:
        sys.stdout.flush()
        print(f"{options.command} {options.environment}: {err}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
