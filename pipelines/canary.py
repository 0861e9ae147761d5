"""The canary: `python -m pipelines.canary judge | start | stop`.

`judge` is a flow: it reads what champion and challenger said of the same instances, and
promotes, keeps watching or drops; after a promotion the old champion goes on in shadow and
comes back by the same rule. `start` and `stop` change a setting that services follow.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flightline.adapters.event_clock import read_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.canary_record import read_canary, record_decision, write_canary
from flightline.adapters.mlflow.champion_moves import version_before
from flightline.adapters.prediction_log.challenger_counts import read_counts
from flightline.core.errors import RegistryError
from flightline.core.problem_spec import Problem
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.promotion.canary import (
    MOST_SHARE,
    Action,
    CanaryDecision,
    CanarySetting,
    ChallengerCounts,
    JudgedDay,
    Mode,
    Purpose,
    decide_canary,
)
from flightline.promotion.gate import Decision
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.retries import SCHEDULED, is_log_error
from pipelines.common.servers.by_hand import by_hand
from pipelines.promotion_steps.canary_rows import collect_days
from pipelines.promotion_steps.champion import approve, promote_version, return_to_version


@dataclass(frozen=True)
class CanaryEvidence:
    """What a decision rests on."""

    setting: CanarySetting
    clock: datetime
    days: tuple[JudgedDay, ...]
    counts: ChallengerCounts

    def as_record(self, problem: Problem, decision: CanaryDecision) -> dict[str, object]:
        """Write it down in plain values, with the decision and the rule it follows."""
        return {
            "action": str(decision.action),
            "summary": decision.summary,
            "version": self.setting.version,
            "champion": self.setting.champion,
            "purpose": self.setting.purpose,
            "judged_days": len(self.days),
            "clock": self.clock.isoformat(),
            "decision": asdict(decision),
            "setting": self.setting.model_dump(mode="json"),
            "counts": asdict(self.counts),
            "rule": asdict(problem.canary),
            "metric": problem.primary_metric,
            "days": [asdict(day) for day in self.days],
        }


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=is_log_error)
def gather(project: Project, setting: CanarySetting, clock: datetime) -> CanaryEvidence:
    """Read what was logged, labelled and counted since the canary began."""
    days = collect_days(project, setting, clock)
    return CanaryEvidence(setting, clock, tuple(days), read_counts(project.settings, setting))


@task(cache_policy=NO_CACHE)
def keep(project: Project, evidence: CanaryEvidence, decision: CanaryDecision) -> Path:
    """Write a decision down: as JSON, in MLflow, and as Prefect's artifact."""
    setting, record = evidence.setting, evidence.as_record(project.problem, decision)
    folder = project.settings.state_dir / "canary" / f"version_{setting.version}_beside_{setting.champion}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{evidence.clock:%Y%m%dT%H%M%S}.json"
    file.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
    record_decision(
        project.settings, project.problem.model_name, f"version {setting.version}: {decision.action}", record
    )
    tags = {"canary": str(decision.action), "canary_summary": decision.summary}
    registry.tag_version(project.settings, project.problem.model_name, setting.version, tags)
    create_markdown_artifact(
        key=f"{project.problem.model_name}-canary",
        markdown=_as_markdown(evidence, decision),
        description=decision.summary,
    )
    return file


@task(cache_policy=NO_CACHE)
def act(project: Project, evidence: CanaryEvidence, decision: CanaryDecision) -> str:
    """Move `champion` if the decision says so, and set what runs beside it from now on; say what was done."""
    setting, name = evidence.setting, project.problem.model_name
    if decision.action is Action.WATCH:
        return "nothing changes"
    if decision.action is Action.DROP:
        write_canary(project.settings, name, None)
        return f"version {setting.version} runs no more, champion stays version {setting.champion}"
    record, beside = evidence.as_record(project.problem, decision), setting.champion
    if setting.purpose == "rollback":
        return_to_version(project, setting.version, why=decision.summary, evidence=record, instead_of=beside)
        write_canary(project.settings, name, None)
        return f"champion is version {setting.version} again"
    promote_version(project, setting.version, by="canary", why=decision.summary, evidence=record, instead_of=beside)
    guard = CanarySetting(
        version=setting.champion,
        champion=setting.version,
        mode="shadow",
        purpose="rollback",
        since=evidence.clock,
        begun=uuid4().hex,
    )
    write_canary(project.settings, name, guard)
    return (
        f"champion is version {setting.version}; version {setting.champion} goes on in shadow, to come back if better"
    )


def judge_canary(project: Project) -> CanaryDecision | None:
    """Tell the story of a judgement; call it inside a flow. None if no canary runs."""
    setting = _find_running(project)
    if setting is None:
        return None
    champion = registry.version_of(project.settings, project.problem.model_name, registry.CHAMPION)
    if champion is None or str(champion.version) != setting.champion:
        write_canary(project.settings, project.problem.model_name, None)
        print(
            f"version {setting.version} was compared with version {setting.champion}, which is no longer champion: "
            "its canary ends; begin it again with `make canary-start`"
        )
        return None
    with stage("evidence") as progress:
        evidence = gather(project, setting, read_clock(project.settings))
        pairs = sum(day.pairs for day in evidence.days)
        progress.say(f"{pairs:,} labelled pairs on {len(evidence.days)} days, {evidence.counts.asked:,} rows asked")
    with stage("decision") as progress:
        decision = decide_canary(evidence.days, evidence.counts, project.problem.canary)
        keep(project, evidence, decision)
        progress.say(act(project, evidence, decision))
    print(decision.summary)
    return decision


def start_canary(
    project: Project, version: str, mode: Mode, share: float, *, even_if_rejected: bool = False
) -> CanarySetting:
    """Let a version run beside the champion from now on; services follow within seconds.

    Parameters
    ----------
    version
        Empty for the one that the alias `challenger` points at now.
    share
        Of the instances it answers, in mode split: above 0, at most 0.5.
    even_if_rejected
        Whether a version that the gate has rejected may run all the same.

    Raises
    ------
    RegistryError
        If there is no champion, no such version, it is the champion itself, the share does not fit the mode, or the
        gate has rejected it.
    ModelFileError
        If it would answer and is not what was signed, or there is no key to sign that it may.
    """
    name = project.problem.model_name
    champion = registry.version_of(project.settings, name, registry.CHAMPION)
    if champion is None:
        raise RegistryError(f"{name} has no champion to run beside; run `make train`")
    found = _find_other(project.settings, name, version, champion)
    if (mode == "split") != (share > 0) or share > MOST_SHARE:
        raise RegistryError(f"got mode {mode} and share {share}, expected shadow without a share, or 0 < share <= 0.5")
    if found.tags.get("verdict") == str(Decision.REJECT) and not even_if_rejected:
        raise RegistryError(
            f"the gate rejected version {found.version} ({found.tags.get('verdict_reasons', 'it does not say why')}); "
            f"to let it run all the same: make canary-start VERSION={found.version} ANYWAY=yes"
        )
    if mode == "split":
        approve(project, found, "challenger", by="canary", why=f"answers a share of {share:g} of the instances")
    setting = CanarySetting(
        version=str(found.version),
        champion=str(champion.version),
        mode=mode,
        share=share,
        purpose=_purpose(project.settings, name, str(found.version)),
        since=read_clock(project.settings),
        begun=uuid4().hex,
    )
    write_canary(project.settings, name, setting)
    return setting


def _find_other(settings: Settings, name: str, version: str, champion: registry.ModelVersion) -> registry.ModelVersion:
    found = (
        registry.get_version(settings, name, version)
        if version
        else registry.version_of(settings, name, registry.CHALLENGER)
    )
    if found is None or str(found.version) == str(champion.version):
        raise RegistryError(
            f"version {champion.version} is the champion itself, or there is no other; expected another version: "
            "make canary-start VERSION=..."
        )
    return found


def _purpose(settings: Settings, name: str, version: str) -> Purpose:
    """Say whether a version would come back, or be new: the one before may, by the same rule, be rolled back to."""
    try:
        return "rollback" if version_before(settings, name) == version else "promotion"
    except RegistryError:
        return "promotion"


def _find_running(project: Project) -> CanarySetting | None:
    """Find what runs beside the champion, or say that nothing does."""
    name = project.problem.model_name
    has_model = registry.version_of(project.settings, name, registry.CHAMPION) is not None
    setting = read_canary(project.settings, name) if has_model else None
    if setting is None:
        print("no canary runs; begin one with `make canary-start VERSION=...`")
    return setting


def _as_markdown(evidence: CanaryEvidence, decision: CanaryDecision) -> str:
    setting, counts = evidence.setting, evidence.counts
    lines = [
        f"**{decision.summary}**",
        "",
        f"Version {setting.version} beside version {setting.champion} since {setting.since:%Y-%m-%d %H:%M} UTC "
        f"({setting.mode}, {setting.purpose}); asked for {counts.asked:,} rows, failed {counts.failed:,}, slow "
        f"{counts.slow:,}, not asked {counts.dropped:,}.",
        "",
        "| day (UTC) | pairs | champion's loss | gain |",
        "|---|---|---|---|",
        *(f"| {day.day} | {day.pairs:,} | {day.champion_loss:.5f} | {day.gain:+.5f} |" for day in evidence.days),
    ]
    return "\n".join(lines)


@flow(name="canary", validate_parameters=False, **SCHEDULED)
def canary() -> CanaryDecision | None:
    """Judge what runs beside the champion by labels, errors and latency, up to the event clock."""
    return judge_canary(open_project())


def _judge() -> None:
    if _find_running(open_project()):  # else there is no need of Prefect's server
        by_hand(canary)()


def _start(version: str, mode: Mode, share: float, even_if_rejected: bool) -> None:
    setting = start_canary(open_project(), version, mode, share, even_if_rejected=even_if_rejected)
    print(
        f"version {setting.version} runs beside champion version {setting.champion} ({setting.mode}"
        f"{f', {setting.share:.0%} of the instances' if setting.share else ''}); judge it with `make canary`"
    )


def _stop() -> None:
    project = open_project()
    write_canary(project.settings, project.problem.model_name, None)
    print("no canary runs any more")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("judge", help="promote, keep watching or drop")
    start = commands.add_parser("start", help="let a version run beside the champion")
    start.add_argument("--version", default="", help="empty: the one with the alias challenger")
    start.add_argument("--mode", choices=["shadow", "split"], default="shadow")
    start.add_argument("--share", type=float, default=0.0, help="of the instances it answers, up to 0.5")
    start.add_argument("--anyway", action="store_true", help="though the gate has rejected it")
    commands.add_parser("stop", help="end it; the champion stays")
    options = parser.parse_args(arguments)
    if options.command == "start":
        return run_command(lambda: _start(options.version, options.mode, options.share, options.anyway))
    return run_command(_judge) if options.command == "judge" else run_command(_stop)


if __name__ == "__main__":
    sys.exit(main())
