"""An image beside the stable one, with a share of the requests: promoted, or taken away without a person."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.deploy import tasks
from tools.deploy.checks import Service
from tools.deploy.environment import Environment, Record, Release
from tools.deploy.plan import in_words, refuse_loss
from tools.deploy.steps import DeployError, Steps, wait_until

LOOK_SECONDS = 15
# Answers of the canary below which nothing is known of it.
LEAST_ANSWERS = 5
MOST_ERRORS = 0.01
# How much slower than the stable one it may be: bounds of infra/modules/alarms.
MOST_SECONDS = 0.5
PARITY = ("python", "-m", "pipelines.commands.deployed", "parity", "--since")


def try_beside(
    environment: Environment, steps: Steps, record: Record, release: Release, percent: int, seconds: float
) -> None:
    """Run the service's image as a canary and judge it by errors, latency and parity.

    The caller promotes it by deploying it as the stable one, which takes the canary away.

    Raises
    ------
    DeployError
        If it is not good. By then it is gone, and the stable one has all requests again.
    """
    stable = record.live
    if stable is None:
        raise DeployError("a canary needs a live release beside it; deploy one with CANARY=0")
    began = datetime.now(UTC)
    # CloudWatch counts by the minute, and this one may hold answers of a canary before.
    counted = began.replace(second=0, microsecond=0) + timedelta(minutes=1)
    try:
        with steps.step("canary: plan and apply", "nothing was promoted; correct it and deploy again") as say:
            given = environment.variables(stable, canary=release.service, percent=percent)
            changes = environment.plan(given)
            refuse_loss(changes)
            environment.apply()
            say(in_words(changes))
        with steps.step("canary: services", "the new image does not start: see the log group `canary`") as say:
            say(tasks.wait_until_stable(environment))
        service = Service(environment.deployment["url"], environment.api_key())
        with steps.step(f"canary: watch for {seconds:.0f} s", "the new image is worse than the live one") as say:
            say(_watch(environment, service, counted, seconds))
        with steps.step("canary: parity", "its features or its predictions are not those of the tables") as say:
            say(tasks.run_flow(environment, [*PARITY, began.isoformat()]))
    except DeployError as err:
        steps.say(f"the canary failed and is taken away\n  {err}")
        with steps.step("canary: take away", "a person has to look: terraform apply with canary_image=null"):
            environment.plan(environment.variables(stable))
            environment.apply()
            tasks.wait_until_stable(environment)
        raise


def _watch(environment: Environment, service: Service, counted: datetime, seconds: float) -> str:
    """Look at alarms and metrics until the time is over, asking for predictions of our own meanwhile."""
    end = time.monotonic() + seconds
    result = "nothing seen"
    while True:
        service.smoke()
        _demand_quiet_alarms(environment)
        result = judge(_metrics(environment, counted, "canary"))
        if time.monotonic() >= end:
            break
        time.sleep(min(LOOK_SECONDS, max(0.0, end - time.monotonic())))

    def enough() -> str | None:
        nonlocal result
        service.smoke()
        seen = _metrics(environment, counted, "canary")
        result = judge(seen)
        return None if seen["answers"] >= LEAST_ANSWERS else f"the canary gave {seen['answers']:.0f} answers"

    wait_until(enough, 300, f"{LEAST_ANSWERS} answers of the canary in CloudWatch")
    return result


def _demand_quiet_alarms(environment: Environment) -> None:
    names = [name for short, name in environment.deployment["alarms"].items() if short.startswith(("canary", "stable"))]
    found = environment.client("cloudwatch").describe_alarms(AlarmNames=sorted(names))["MetricAlarms"]
    loud = [f"{one['AlarmName']}: {one['StateReason']}" for one in found if one["StateValue"] == "ALARM"]
    if loud:
        raise DeployError("alarm: " + "; ".join(loud))


def judge(seen: Mapping[str, float]) -> str:
    """Demand few errors and short times of what was answered so far.

    Raises
    ------
    DeployError
        If it is worse than the bounds.
    """
    answers, errors, slow = seen["answers"], seen["errors"], seen["slow"]
    result = f"{answers:.0f} answers, {errors:.0f} errors, {slow * 1000:.0f} ms at the 95th percentile"
    if answers and errors / answers > MOST_ERRORS:
        raise DeployError(f"the canary's errors: {result}")
    if slow > MOST_SECONDS:
        raise DeployError(f"the canary is slow: {result}, expected {MOST_SECONDS * 1000:.0f} ms at most")
    return result


def _metrics(environment: Environment, counted: datetime, track: str) -> dict[str, float]:
    """Read what the load balancer counted for a track from a full minute on, at most one after now."""
    given = environment.deployment
    dimensions = {"LoadBalancer": given["balancer"], "TargetGroup": given["target_groups"][track]}
    asked = {
        "answers": ("RequestCount", "Sum"),
        "errors": ("HTTPCode_Target_5XX_Count", "Sum"),
        "slow": ("TargetResponseTime", "p95"),
    }
    queries: list[Any] = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/ApplicationELB",
                    "MetricName": metric,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                },
                "Period": 60,
                "Stat": statistic,
            },
        }
        for name, (metric, statistic) in asked.items()
    ]
    found = environment.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries,
        StartTime=counted,
        EndTime=datetime.now(UTC) + timedelta(minutes=2),
    )["MetricDataResults"]
    values = {one["Id"]: one["Values"] for one in found}
    worst = max(values["slow"], default=0.0)
    return {"answers": sum(values["answers"]), "errors": sum(values["errors"]), "slow": worst}
