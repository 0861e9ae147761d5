"""What is live and why, and what moves it: `python -m pipelines.commands.champion fetch | promote | rollback`.

None of it is a flow: each is one question to the registry, and answers in seconds. `make status` is
`pipelines.rerun.status`.
"""

import argparse
import sys
from typing import Any

from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import last_move, version_before
from flightline.core.errors import ChampionMoveError
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.promotion_steps.champion import fetch_champion, find_champion, promote_version, return_to_version


def registry_status(project: Project) -> dict[str, Any]:
    """Describe champion, challenger, the last verdict and the last move, as the registry has them, in plain values."""
    settings, name = project.settings, project.problem.model_name
    challenger = registry.version_of(settings, name, registry.CHALLENGER)
    return {
        "champion": _describe(settings, registry.version_of(settings, name, registry.CHAMPION)),
        "challenger": _describe(settings, challenger),
        "last_verdict": _verdict(challenger),
        "last_champion_move": last_move(settings, name),
        "unrecorded_champion_move": unrecorded_move(project),
    }


def unrecorded_move(project: Project) -> str | None:
    """Say what is wrong if `champion` points where no recorded move has put it."""
    try:
        find_champion(project)
    except ChampionMoveError as err:
        return str(err)
    return None


def _describe(settings: Settings, version: Any) -> dict[str, Any] | None:
    if version is None:
        return None
    metrics = registry.metrics_of_version(settings, version)
    tested = {name: value for name, value in sorted(metrics.items()) if name.startswith("test_")}
    has_file = registry.has_model_file(settings, version)
    return {"version": str(version.version), "run_id": version.run_id, "has_model_file": has_file, **tested}


def _verdict(version: Any) -> dict[str, Any] | None:
    if version is None or "verdict" not in version.tags:
        return None
    return {
        "version": str(version.version),
        "decision": version.tags["verdict"],
        "reasons": version.tags["verdict_reasons"],
    }


def promote(project: Project, version: str, by: str, why: str) -> None:
    """Let a named person approve a version and move `champion` to it; its metrics and verdict are the evidence."""
    chosen = registry.get_version(project.settings, project.problem.model_name, version)
    evidence = {"metrics": registry.metrics_of_version(project.settings, chosen), "verdict": _verdict(chosen)}
    promote_version(project, version, by=f"person:{by}", why=why, evidence=evidence)
    print(f"champion of {project.problem.model_name} is now version {version}, moved by {by}: {why}")


def roll_back(project: Project, why: str) -> None:
    """Move `champion` back to the version it was before the last one that was promoted."""
    to = version_before(project.settings, project.problem.model_name)
    evidence = {
        "metrics": registry.metrics_of_version(
            project.settings, registry.get_version(project.settings, project.problem.model_name, to)
        )
    }
    return_to_version(project, to, why=why, evidence=evidence)
    name = project.problem.model_name
    print(f"champion of {name} is version {to} again: {why}; a running service follows within seconds")


def _fetch(project: Project) -> None:
    version = fetch_champion(project)
    print(f"champion: version {version}" if version else "champion: none yet; run `make train`")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="bring the champion to where the service loads it from")
    move = commands.add_parser("promote", help="move champion by hand")
    move.add_argument("--version", required=True)
    move.add_argument("--by", required=True, help="your name")
    move.add_argument("--why", required=True, help="the reason, in words")
    back = commands.add_parser("rollback", help="move champion back to the version before")
    back.add_argument("--why", required=True, help="the reason, in words")
    options = parser.parse_args(arguments)
    if options.command == "rollback":
        return run_command(lambda: roll_back(open_project(), options.why))
    if options.command == "fetch":
        return run_command(lambda: _fetch(open_project()))
    return run_command(lambda: promote(open_project(), options.version, options.by, options.why))


if __name__ == "__main__":
    sys.exit(main())
