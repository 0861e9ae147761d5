"""What ECS would run, run here: a stand-in for tests only, since the emulator starts no task.

It watches the emulator's ECS. Of the services it runs `stable`, `canary`, `model-sync`, `mlflow` and
`prefect`, and every one-off task; the `worker` it leaves out, which counts as settled. A container
is what its task definition says: image, command, environment, secrets, user, read-only root, shared
folders. Added are only the emulator's address with its keys, and the certificate authority of the
stand-in for Redis; names of databases lead to the tests' own servers. A service that does not come
up is taken back, as ECS's circuit breaker does.
"""

import json
import re
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from template.tests.deploy.containers import Place, RunningTask, start_task
from tools.images.docker import DockerError

RUN = ("stable", "canary", "model-sync", "mlflow", "prefect")
TRIES = 3  # as many as ECS's circuit breaker waits for at least
# MLflow and Prefect take a quarter of a minute to start, and many of them on a machine that does other work.
HEALTHY_SECONDS = 900
# How long a task that is replaced gets no new requests before it is told to end; the target groups say 45.
DRAIN_SECONDS = 2


@dataclass
class Rollout:
    """What runs of a service, and what is tried."""

    task: str = ""
    running: RunningTask | None = None
    is_busy: bool = False


@dataclass
class StandIn:
    """Runs what the emulator was told to run.

    Parameters
    ----------
    place
        Docker, its network, and where names lead.
    file
        Where the emulator reads what runs.
    cluster
        Whose services and tasks.
    """

    place: Place
    file: Path
    cluster: str
    told: dict[str, dict[str, Any]] = field(default_factory=lambda: {"services": {}, "tasks": {}})
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    prepare: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.ecs, self.logs = boto3.client("ecs"), boto3.client("logs")
        self._is_over, self._lock, self._is_prepared = threading.Event(), threading.Lock(), False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> "StandIn":
        """Begin to watch."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, with every container."""
        self._is_over.set()
        self._thread.join(timeout=30)
        for rollout in self.rollouts.values():
            if rollout.running:
                rollout.running.stop()

    def addresses(self, track: str) -> list[str]:
        """Where a load balancer finds the tasks of a track."""
        rollout = next((one for name, one in self.rollouts.items() if name.endswith(f"-{track}")), None)
        return [rollout.running.address] if rollout and rollout.running else []

    def _watch(self) -> None:
        while not self._is_over.wait(0.7):
            try:
                if self.cluster in "".join(self.ecs.list_clusters()["clusterArns"]):
                    self._look_at_services()
                    self._look_at_tasks()
            except Exception:  # noqa: BLE001  # it goes on watching; the tests read `failures`
                self.failures.append(traceback.format_exc())

    def _look_at_services(self) -> None:
        names = [arn.rsplit("/", 1)[-1] for arn in self.ecs.list_services(cluster=self.cluster)["serviceArns"]]
        found = self.ecs.describe_services(cluster=self.cluster, services=names)["services"] if names else []
        wanted = {
            one["serviceName"]: one
            for one in found
            if one["status"] == "ACTIVE" and one["serviceName"].removeprefix(f"{self.cluster}-") in RUN
        }
        if wanted and not self._is_prepared:
            self.prepare()
            self._is_prepared = True
        for name in set(self.rollouts) - set(wanted):
            gone = self.rollouts.pop(name)
            if gone.running:
                gone.running.stop()
        for name, service in wanted.items():
            rollout = self.rollouts.setdefault(name, Rollout())
            if not rollout.is_busy and rollout.task != service["taskDefinition"]:
                rollout.is_busy = True
                threading.Thread(target=self._roll_out, args=(name, service, rollout), daemon=True).start()

    def _roll_out(self, name: str, service: dict[str, Any], rollout: Rollout) -> None:
        try:
            task = service["taskDefinition"]
            self._tell("services", name, {"task": task, "state": "IN_PROGRESS", "reason": "starting"})
            started, why = self._try(name, task, is_patient=not service.get("loadBalancers"))
            if started is None:
                self._take_back(name, task, rollout, why)
                return
            former, rollout.running, rollout.task = rollout.running, started, task
            self._tell("services", name, {"task": task, "state": "COMPLETED", "reason": "ECS deployment completed."})
            if former:
                time.sleep(DRAIN_SECONDS)
                former.stop()
        except Exception:  # noqa: BLE001  # as above
            self.failures.append(traceback.format_exc())
        finally:
            rollout.is_busy = False

    def _try(self, name: str, task: str, is_patient: bool) -> tuple[RunningTask | None, str]:
        """Start a task until it is healthy; one behind a load balancer a few times only."""
        definition = self.ecs.describe_task_definition(taskDefinition=task)["taskDefinition"]
        why, tries = "", 0
        while not self._is_over.is_set() and (is_patient or tries < TRIES):
            tries += 1
            alias = f"{name.removeprefix(f'{self.cluster}-')}.{self.cluster}.internal"
            try:
                started = start_task(self.place, definition, aliases=[alias])
            except DockerError as err:
                why = str(err)  # one that ended before the container beside it was there
            else:
                why = started.wait_until_healthy(HEALTHY_SECONDS)
                if not why:
                    return started, ""
                started.stop()
            print(f"stand-in: {name}: {why}", flush=True)
            time.sleep(2 if is_patient else 0)
            if (
                self.ecs.describe_services(cluster=self.cluster, services=[name])["services"][0]["taskDefinition"]
                != task
            ):
                return None, "another deployment came"
        return None, f"tasks failed to start {tries} times: {why}"

    def _take_back(self, name: str, task: str, rollout: Rollout, why: str) -> None:
        """Do what the circuit breaker does with a deployment that fails."""
        if rollout.task:
            reason = f"ECS deployment circuit breaker: rolling back; {why}"
            self._tell("services", name, {"task": rollout.task, "state": "COMPLETED", "reason": reason})
            self.ecs.update_service(cluster=self.cluster, service=name, taskDefinition=rollout.task)
        else:
            self._tell("services", name, {"task": task, "state": "FAILED", "reason": f"circuit breaker: {why}"})
            rollout.task = task

    def _look_at_tasks(self) -> None:
        arns = self.ecs.list_tasks(cluster=self.cluster)["taskArns"]
        new = [arn for arn in arns if arn not in self.told["tasks"]]
        for task in self.ecs.describe_tasks(cluster=self.cluster, tasks=new)["tasks"] if new else []:
            self._tell("tasks", task["taskArn"], {"status": "PENDING", "containers": {}})
            threading.Thread(target=self._run_once, args=(task,), daemon=True).start()

    def _run_once(self, task: dict[str, Any]) -> None:
        arn = task["taskArn"]
        try:
            definition = self.ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
            overrides = {one["name"]: one for one in task["overrides"].get("containerOverrides", [])}
            started = start_task(self.place, definition, overrides=overrides)
            self._tell("tasks", arn, {"status": "RUNNING", "containers": {}})
            code, lines = started.wait_for_end()
            self._log(definition, arn, lines)
            started.stop()
            name = definition["containerDefinitions"][0]["name"]
            self._tell("tasks", arn, {"status": "STOPPED", "containers": {name: code}})
        except Exception as err:  # noqa: BLE001  # ECS says of a task it cannot start why it stopped
            self.failures.append(traceback.format_exc())
            name = definition["containerDefinitions"][0]["name"]
            self._tell("tasks", arn, {"status": "STOPPED", "containers": {name: 255}, "reason": str(err)})

    def _log(self, definition: dict[str, Any], task: str, lines: list[str]) -> None:
        container = definition["containerDefinitions"][0]
        options = container["logConfiguration"]["options"]
        stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task.rsplit('/', 1)[-1]}"
        self.logs.create_log_stream(logGroupName=options["awslogs-group"], logStreamName=stream)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": re.sub(r"[^\x20-\x7e]", " ", line) or " "} for line in lines[-200:]]
        if events:
            self.logs.put_log_events(logGroupName=options["awslogs-group"], logStreamName=stream, logEvents=events)

    def _tell(self, kind: str, name: str, what: dict[str, Any]) -> None:
        with self._lock:
            self.told[kind][name] = what
            part = self.file.with_suffix(f".{uuid.uuid4().hex}")
            part.write_text(json.dumps(self.told))
            part.replace(self.file)
