"""The story of a deployment: images, plan, apply, setup, features, checks, record; and back again if a check fails."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tools.deploy import images, passwords, rollout, tasks
from tools.deploy.checks import ModelError, Service
from tools.deploy.environment import Environment, Record, Release
from tools.deploy.plan import ends_flows, in_words, refuse_loss
from tools.deploy.steps import DeployError, StepError, Steps

APPLY = ("python", "-m", "pipelines.commands.deployed", "apply")
WAIT_SECONDS = 1800
WAIT = ("python", "-m", "pipelines.orchestration.running", "--seconds")
PARITY = ("python", "-m", "pipelines.commands.deployed", "parity", "--since")
MODEL_BACK = ("python", "-m", "pipelines.commands.champion", "rollback", "--why")
NOT_FILLED = "live but not ready: it has not been filled yet, which counts as deployed"


@dataclass(frozen=True)
class DeployRequest:
    """What a deployment is asked for.

    Parameters
    ----------
    release
        The images.
    percent
        Share of requests that a canary gets first; 0: none.
    new_secrets
        Whether every password is made anew.
    """

    release: Release
    percent: int = 0
    watch_seconds: float = 600
    new_secrets: bool = False


def deploy(environment: Environment, request: DeployRequest) -> None:
    """Bring images to an environment; a second time it finds nothing to do.

    Raises
    ------
    DeployError
        Naming the step and what to do. By then what was live before is live again, if anything was.
    """
    steps, record = Steps(f"deploy {environment.name}"), environment.read_record()
    if request.new_secrets and record.live is not None and not request.release.is_same(record.live):
        raise DeployError(
            "NEW_SECRETS=true goes with the images that are live: deploy the new ones first, then without IMAGE"
        )
    is_canary = request.percent > 0 and record.live is not None and not request.release.is_same(record.live)
    _announce(steps, record, request, is_canary)
    with steps.step("images", "push them (make image-push) and give the digests that it prints"):
        for text in (request.release.service, request.release.flows):
            images.demand(images.parse(text), environment.session)
    with steps.step("secrets", "deploy again: what has a value keeps it") as say:
        say(passwords.write(environment, environment.variables(request.release), anew=request.new_secrets))
    if is_canary:
        rollout.try_beside(environment, steps, record, request.release, request.percent, request.watch_seconds)
    if request.new_secrets and record.live is not None:
        _ask_for_flows(environment, steps, WAIT_SECONDS)
    patience = WAIT_SECONDS if record.live is not None else None
    has_changed = bring(environment, steps, request.release, patience)
    is_new = has_changed or request.new_secrets or not request.release.is_same(record.live)
    if not is_new and _is_well(environment, record):
        steps.say("nothing to do: these images are live and the service is well")
        return
    try:
        is_filled = settle(environment, steps, record.is_filled, with_restart=request.new_secrets)
    except DeployError as err:
        take_back(environment, steps, record, request.release, err)
        raise
    environment.write_record(replace(record.with_live(request.release), is_filled=is_filled))
    steps.say(f"{request.release} is live on {environment.deployment['url']}")


def _announce(steps: Steps, record: Record, request: DeployRequest, is_canary: bool) -> None:
    lines = [f"look for {request.release} in their registries"]
    lines += ["make every password anew"] if request.new_secrets else ["make up the passwords that are missing"]
    if is_canary:
        lines.append(f"give {request.percent} % of requests to a canary of it for {request.watch_seconds:.0f} s")
    lines.append(f"plan with Terraform; live now: {record.live or 'nothing'}")
    if record.live is not None:
        lines.append(f"if the worker is replaced, wait up to {WAIT_SECONDS // 60} minutes for running flows")
    lines += [
        "apply that plan",
        "give PostgreSQL and Redis their passwords if they are new",
        "run the task setup, wait until all services have settled, register the features",
        "ask for predictions, and rebuild them from the feature tables",
        "note what is live" + ("" if record.live is None else f"; if a step fails, bring {record.live} back"),
    ]
    steps.announce(lines)


def _is_well(environment: Environment, record: Record) -> bool:
    """Say whether the service answers as it should; if not, the steps that follow say why."""
    service = Service(environment.deployment["url"], environment.api_key())
    try:
        if service.why_not_ready() is not None:
            return not record.is_filled
        service.demand_champion()
        service.smoke()
    except (DeployError, OSError):
        return False
    return True


def _ask_for_flows(environment: Environment, steps: Steps, seconds: int) -> None:
    with steps.step("running flows", "a person has to look at the worker's log group") as say:
        say(wait_for_flows(environment, seconds))


def wait_for_flows(environment: Environment, seconds: int) -> str:
    """Wait for what runs on the worker, which is replaced; give what is ended after all.

    What cannot say it, as an image of before there was this question, holds no deployment up.
    """
    try:
        return tasks.run_flow(environment, [*WAIT, str(seconds)], seconds=seconds + tasks.TASK_SECONDS)
    except DeployError as err:
        return f"what runs is ended, for the live image does not say what it is: {str(err).splitlines()[0]}"


def bring(environment: Environment, steps: Steps, release: Release, patience: int | None) -> bool:
    """Plan and apply; give whether anything changed.

    Parameters
    ----------
    patience
        Seconds to wait for running flows where the plan replaces the worker; 0: say what is ended; None: do not ask.
    """
    with steps.step("plan", "nothing was changed; correct infra/ or its tfvars, then deploy again") as say:
        changes = environment.plan(environment.variables(release))
        refuse_loss(changes)
        say(in_words(changes))
    if not changes:
        return False
    if patience is not None and ends_flows(changes):
        _ask_for_flows(environment, steps, patience)
    remedy = "deploy again: an apply that was broken off goes on where it ended; if it fails again, read its words"
    with steps.step("apply", remedy) as say:
        environment.apply()
        say(in_words(changes))
    return True


def settle(environment: Environment, steps: Steps, is_filled: bool, with_restart: bool = False) -> bool:
    """Bring what runs to the state that was applied, and check it; give whether predictions can be had."""
    with steps.step("passwords", "deploy again: a store that has its own is left alone") as say:
        passwords.write(environment, ())  # for a place that this apply made
        say(passwords.hand_over(environment))
    with steps.step("setup", "read the log above; setup may run again at any time") as say:
        say(tasks.run_setup(environment))
    if with_restart:
        with steps.step("restart", "start the services anew: their tasks hold the former passwords") as say:
            say(passwords.restart(environment))
    with steps.step("services", "read the events above, and the log groups of the environment") as say:
        say(tasks.wait_until_stable(environment))
    with steps.step("features", "correct feature_repo/ and deploy again") as say:
        say(tasks.run_flow(environment, APPLY))
    return check(environment, steps, is_filled)


def check(environment: Environment, steps: Steps, is_filled: bool, with_parity: bool = True) -> bool:
    """Ask the service from outside and compare with features rebuilt inside; give whether it predicts.

    A service that never had a model may be live and not ready. Who goes back to what was well is in
    a hurry, and leaves the comparison out.
    """
    service = Service(environment.deployment["url"], environment.api_key())
    with steps.step("alive", "see the target groups' health and the service's log group") as say:
        service.wait_until_alive()
        if not is_filled and (why := service.why_not_ready()):
            say(f"{NOT_FILLED} ({why}); run: make first-fill ENV={environment.name}")
            return False
    since = datetime.now(UTC)
    with steps.step("smoke test", "see the service's log group") as say:
        service.wait_until_ready()
        version = service.demand_champion()
        count, slow = service.smoke()
        say(f"{count} predictions of model version {version}, the slowest but one took {slow * 1000:.0f} ms")
    if not with_parity:
        return True
    with steps.step("parity", "the values above differ between service and feature tables: features or model") as say:
        say(tasks.run_flow(environment, [*PARITY, since.isoformat()]))
    return True


def take_back(environment: Environment, steps: Steps, record: Record, tried: Release, err: DeployError) -> None:
    """Undo what failed: the champion if the service refuses it, and the images if they are new; then check again.

    Raises
    ------
    DeployError
        If that fails too, which a person has to look at.
    """
    steps.say(f"failed, going back\n  {err}")
    if isinstance(err.__cause__, ModelError):
        back = [*MODEL_BACK, f"the deployment of {environment.name} found it refused"]
        with steps.step("model back", "make rollback ENV=... WHAT=model WHY=..., or train a good one") as say:
            say(tasks.run_flow(environment, back))
    if record.live is not None and not tried.is_same(record.live):
        bring(environment, steps, record.live, patience=None)  # the service is not well: no time to ask
    elif not isinstance(err.__cause__, ModelError):
        raise StepError(f"{err}\n  there is nothing to go back to: correct it and deploy again") from err
    with steps.step("services", "a person has to look: what was live before does not run either") as say:
        say(tasks.wait_until_stable(environment))
    with steps.step("features", "register those of the images that are live: make deploy again") as say:
        say(tasks.run_flow(environment, APPLY))
    check(environment, steps, record.is_filled, with_parity=False)
    steps.say(f"{record.live or tried} is live again")
