"""Registers the flows with Prefect and runs them when due: `python -m pipelines.orchestration.deployments`.

`make worker` starts it beside a server. What follows from which event is here and in
`alerts.py`; when each flow starts is in the settings.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.flows import EntrypointType
from prefect.runner import Runner
from pydantic import ValidationError

from flightline.core.errors import StartError
from flightline.core.problem_spec import Problem
from flightline.core.project import Project, open_project
from flightline.core.settings import ScheduleSettings
from pipelines.canary import canary
from pipelines.common.command_line import run_command
from pipelines.common.events import Announced, resource_id
from pipelines.data_check import data_check
from pipelines.labels import labels
from pipelines.materialise import materialise
from pipelines.monitoring import monitoring
from pipelines.orchestration.alerts import keep_alerts
from pipelines.retention import retention
from pipelines.training import training

# By the name of its schedule in the settings.
FLOWS: Mapping[str, Flow] = {
    "materialise": materialise,
    "labels": labels,
    "monitoring": monitoring,
    "canary": canary,
    "data_check": data_check,
    "retention": retention,
    "training": training,
}
STARTS_TRAINING = {
    Announced.RETRAIN: "Monitoring decided to retrain",
    Announced.NEW_DATA: "data.dvc names a version that no model has learned from",
}
# One training at a time, and one that comes in between is dropped: it would learn from what the running one learns
# from. Nothing is lost, for who asked looks again: monitoring each day, the data check each hour.
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


def make_deployments(project: Project, flows: Mapping[str, Flow] = FLOWS) -> list[RunnerDeployment]:
    """Describe the deployments: flow, schedule, what starts it and how many may run at a time.

    Parameters
    ----------
    project
        Says when each starts, and whose model they are about; each deployment is called ``<flow>/<model>`` and
        tagged with the model.
    flows
        By the name of its schedule.

    Raises
    ------
    StartError
        If a schedule is no cron expression or its time zone is unknown.
    """
    return [_make(project.settings.schedules, project.problem, name, flow) for name, flow in flows.items()]


def _make(schedules: ScheduleSettings, problem: Problem, name: str, flow: Flow) -> RunnerDeployment:
    triggers: Any = _triggers(problem) if name == "training" else []  # Prefect's type is a list of a union
    made: Any = flow.to_deployment(
        name=problem.model_name,
        schedules=_schedule(schedules, name),
        concurrency_limit=ONE_AT_A_TIME,
        triggers=triggers,
        tags=[problem.model_name],
        paused=False,  # a worker that stops pauses them, so that none pile up meanwhile
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return made


def _schedule(schedules: ScheduleSettings, name: str) -> list[CronSchedule]:
    cron = getattr(schedules, name)
    if not cron:
        return []
    try:
        return [CronSchedule(cron=cron, timezone=schedules.timezone)]
    except ValidationError as err:
        raise StartError(
            f"FLIGHTLINE_SCHEDULES__{name.upper()}={cron!r} with FLIGHTLINE_SCHEDULES__TIMEZONE="
            f"{schedules.timezone!r} is no schedule: {err.errors()[0]['msg']}; expected five fields of cron, such as "
            "'30 5 * * *', or nothing, and a time zone such as Europe/Berlin"
        ) from err


def _triggers(problem: Problem) -> list[DeploymentEventTrigger]:
    return [
        DeploymentEventTrigger(
            name=f"{problem.model_name}: {event} starts training",
            description=f"{why}, so the training starts; the gate decides about its model.",
            expect={str(event)},
            match={"prefect.resource.id": resource_id(problem)},
        )
        for event, why in STARTS_TRAINING.items()
    ]


def describe(deployments: Sequence[RunnerDeployment]) -> str:
    """Say what starts when, for a person."""
    lines = []
    for one in deployments:
        # Typed as a union of all kinds of schedule; `_schedule` makes only these.
        crons = [f"{item.schedule.cron} {item.schedule.timezone}" for item in one.schedules or []]  # type: ignore[union-attr]
        when = ", ".join(crons) or "not by itself"
        after = "".join(f"; after {' or '.join(sorted(trigger.expect))}" for trigger in one.triggers)  # type: ignore[union-attr]
        lines.append(f"  {one.flow_name:12} {when}{after}")
    return "\n".join(lines)


def serve(project: Project, flows: Mapping[str, Flow] = FLOWS) -> None:
    """Register deployments, automations and alerts, and run flows when they are due, until stopped."""
    deployments = make_deployments(project, flows)
    alerts = keep_alerts(project)
    runner = Runner()  # as `prefect.serve` does, but what is printed is registered by then
    for one in deployments:
        runner.add_deployment(one)
    print(f"worker: the flows of {project.problem.model_name}, in five fields of cron\n{describe(deployments)}")
    print(f"alerts: {alerts}")
    print("start one now: make trigger FLOW=training (or another of them)", flush=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(runner.start())


def main() -> int:
    """Serve the flows of this project."""
    return run_command(lambda: serve(open_project()))


if __name__ == "__main__":
    sys.exit(main())
