"""What runs on ECS: one-off tasks with their end, and services that have settled."""

import time
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from tools.deploy.environment import Environment
from tools.deploy.steps import DeployError, wait_until

TASK_SECONDS = 900
STABLE_SECONDS = 900
_TAIL = 25


def run_setup(environment: Environment) -> str:
    """Run the task that makes databases and migrates the prediction log; give its last line."""
    given = environment.deployment
    return run_task(environment, given["setup_task"], given["setup_group"], "setup", None, TASK_SECONDS)


def run_flow(environment: Environment, command: Sequence[str], seconds: float = TASK_SECONDS) -> str:
    """Run a command in a task of the flows' image; give its last line."""
    given = environment.deployment
    return run_task(environment, given["flows_task"], given["flows_group"], "worker", list(command), seconds)


def run_task(
    environment: Environment, definition: str, group: str, container: str, command: list[str] | None, seconds: float
) -> str:
    """Run a task once, wait for its end, and give the last line that it printed.

    Raises
    ------
    DeployError
        If it is not started, does not end in time, or ends with an error; with the end of its log.
    """
    ecs, cluster = environment.client("ecs"), environment.deployment["cluster"]
    network = {"subnets": environment.deployment["subnets"], "securityGroups": [group], "assignPublicIp": "DISABLED"}
    overrides = [{"name": container, "command": command}] if command else []
    started = ecs.run_task(
        cluster=cluster,
        taskDefinition=definition,
        launchType="FARGATE",
        startedBy="deploy",
        networkConfiguration={"awsvpcConfiguration": network},
        overrides={"containerOverrides": overrides},
    )
    if not started["tasks"]:
        raise DeployError(f"ECS started no task of {definition.rsplit('/', 1)[-1]}: {started['failures']}")
    task = started["tasks"][0]["taskArn"]
    ended = _wait_for_end(ecs, cluster, task, seconds)
    lines = _log(environment, definition, container, task)
    (ran,) = (one for one in ended["containers"] if one["name"] == container)
    if ran.get("exitCode") != 0:
        why = ran.get("reason") or ended.get("stoppedReason") or "no reason given"
        tail = "\n".join(f"    {line}" for line in lines[-_TAIL:]) or "    (no log)"
        raise DeployError(f"task {container} ended with {ran.get('exitCode', 'no exit code')}: {why}\n{tail}")
    return lines[-1] if lines else "ended well"


def _wait_for_end(ecs: Any, cluster: str, task: str, seconds: float) -> dict[str, Any]:
    def look() -> str | None:
        found = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"][0]
        ended.update(found)
        return None if found["lastStatus"] == "STOPPED" else f"the task is {found['lastStatus']}"

    ended: dict[str, Any] = {}
    try:
        wait_until(look, seconds, f"end of task {task.rsplit('/', 1)[-1]}")
    except DeployError:
        ecs.stop_task(cluster=cluster, task=task, reason="it took too long")
        raise
    return ended


def _log(environment: Environment, definition: str, container: str, task: str) -> list[str]:
    """Read the end of a task's log; it may come some seconds after the task's end."""
    found = environment.client("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
    (defined,) = (one for one in found["containerDefinitions"] if one["name"] == container)
    options = defined["logConfiguration"]["options"]
    stream = f"{options['awslogs-stream-prefix']}/{container}/{task.rsplit('/', 1)[-1]}"
    logs = environment.client("logs")
    for _ in range(3):
        try:
            events = logs.get_log_events(logGroupName=options["awslogs-group"], logStreamName=stream, limit=_TAIL)
            if events["events"]:
                return [event["message"].rstrip() for event in events["events"]]
        except ClientError as err:
            if err.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
        time.sleep(1)
    return []


def wait_until_stable(environment: Environment) -> str:
    """Wait until every service runs what was applied, and nothing else.

    Raises
    ------
    DeployError
        If a deployment failed, was taken back by ECS, or does not settle in time.
    """
    given = environment.deployment
    names = given["services"]
    wanted = {names[track]: task for track, task in given["service_tasks"].items() if track in names}
    ecs = environment.client("ecs")

    def look() -> str | None:
        found = ecs.describe_services(cluster=given["cluster"], services=sorted(names.values()))["services"]
        if len(found) != len(names):
            return f"{len(found)} of {len(names)} services are there"
        return next((why for service in found if (why := _unsettled(service, wanted))), None)

    wait_until(look, STABLE_SECONDS, "services settled")
    return f"{len(names)} services run what was applied"


def _unsettled(service: dict[str, Any], wanted: dict[str, str]) -> str | None:
    name = service["serviceName"]
    (primary,) = (one for one in service["deployments"] if one["status"] == "PRIMARY")
    reason = primary.get("rolloutStateReason", "")
    if primary.get("rolloutState") == "FAILED":
        raise DeployError(f"the deployment of {name} failed: {reason}{_events(service)}")
    if name in wanted and primary["taskDefinition"] != wanted[name]:
        short = primary["taskDefinition"].rsplit("/", 1)[-1]
        raise DeployError(f"ECS took the deployment of {name} back to {short}: {reason}{_events(service)}")
    if primary.get("rolloutState") != "COMPLETED" or len(service["deployments"]) > 1:
        return f"{name} has {service['runningCount']} of {service['desiredCount']} tasks of its new deployment"
    return None


def _events(service: dict[str, Any]) -> str:
    return "".join(f"\n    {event['message']}" for event in service.get("events", [])[:3])
