"""Going back, filling an empty environment, and taking one away."""

from dataclasses import replace

from tools.deploy import tasks
from tools.deploy.checks import Service
from tools.deploy.environment import NOTHING, Environment
from tools.deploy.release import MODEL_BACK, bring, check, settle
from tools.deploy.steps import DeployError, Steps
from tools.terraform.terraform import LOCK_TIMEOUT, TerraformError

TRAINING_SECONDS = 3600
# One task, since the disk ends with it: the data goes to the remote of the environment, and what is trained to MLflow.
FILL = "python -m pipelines.commands.data && python -m pipelines.commands.data --push && python -m pipelines.training"


def roll_images_back(environment: Environment, why: str) -> None:
    """Bring back the images that were live before.

    Raises
    ------
    DeployError
        If nothing was, or a step fails.
    """
    steps, record = Steps(f"rollback {environment.name}"), environment.read_record()
    before = record.before
    if before is None:
        raise DeployError(
            f"{environment.name} has no release to go back to (live: {record.live or 'nothing'}); deploy another image"
        )
    steps.announce(
        [
            f"bring {before} of {before.at} back in place of {record.live}, and say which flows that ends",
            "settle and check it as a deployment does",
        ]
    )
    bring(environment, steps, before, patience=0)
    is_filled = settle(environment, steps, record.is_filled)
    gone = replace(record.without_live(), is_filled=is_filled)
    environment.write_record(gone)
    steps.say(f"{before} is live again: {why or 'no reason given'}")


def roll_model_back(environment: Environment, why: str) -> None:
    """Move the alias `champion` of the environment to the version before, and check what is served then."""
    steps, record = Steps(f"rollback {environment.name}"), environment.read_record()
    if not why:
        raise DeployError("a model's rollback is recorded with its reason: give WHY=...")
    steps.announce(["move `champion` to the version before, in the registry", "check what the service serves then"])
    with steps.step("model back", "make a model good again with a training") as say:
        say(tasks.run_flow(environment, [*MODEL_BACK, why]))
    check(environment, steps, record.is_filled)


def first_fill(environment: Environment) -> None:
    """Fill an environment that was deployed and never had a model: data, training, online features.

    Raises
    ------
    DeployError
        If nothing is deployed, or a step fails.
    """
    steps, record = Steps(f"first fill of {environment.name}"), environment.read_record()
    service = Service(environment.deployment["url"], environment.api_key())
    steps.announce(
        [
            "look whether the service predicts already; then there is nothing to do",
            "push the data to the environment's remote, train, and load the online features, in one task",
            "wait until the service has the model, and check it as a deployment does",
        ]
    )
    with steps.step("look", f"make deploy ENV={environment.name} IMAGE=... first") as say:
        service.wait_until_alive()
        why = service.why_not_ready()
        say(why or "ready")
    if why is None and record.is_filled:
        steps.say("nothing to do: the service is ready")
        return
    if why is not None:
        with steps.step("train", "read the log above; the first fill may run again at any time") as say:
            say(tasks.run_flow(environment, ["sh", "-c", FILL], TRAINING_SECONDS))
    check(environment, steps, is_filled=True)
    environment.write_record(replace(record, is_filled=True))
    steps.say(f"ready: {environment.deployment['url']}")


def destroy(environment: Environment, confirm: str) -> None:
    """Remove an environment with everything in it.

    Raises
    ------
    DeployError
        Without the environment's name as confirmation; Terraform itself refuses a protected production.
    """
    steps = Steps(f"destroy {environment.name}")
    live = environment.read_record().live or NOTHING
    held = [line for line in _state(environment).splitlines() if line and ".data." not in line]
    if not held:
        steps.say("nothing to do: Terraform knows of nothing there")
        return
    steps.announce([f"remove {len(held)} resources, with all data, models, predictions and secrets in them"])
    if confirm != environment.name:
        raise DeployError(f"got CONFIRM={confirm!r}, expected CONFIRM={environment.name}; nothing was removed")
    if environment.name == "production" and _is_protected(environment):
        raise DeployError(
            "production is protected: databases, buckets and the load balancer refuse to go. Apply it with "
            "ALLOW_DESTROY=true first (make deploy ENV=production IMAGE=... ALLOW_DESTROY=true), then destroy it"
        )
    with steps.step("destroy", "run it again: it goes on where it ended") as say:
        environment.allow_destroy = environment.name == "production"
        arguments = environment.variables(live)
        environment.root.run_with_progress("destroy", "-auto-approve", "-parallelism=30", LOCK_TIMEOUT, *arguments)
        say(f"{len(held)} resources gone")


def _is_protected(environment: Environment) -> bool:
    name = environment.deployment["balancer"].split("/")[1]
    client = environment.client("elbv2")
    found = client.describe_load_balancers(Names=[name])["LoadBalancers"]
    attributes = client.describe_load_balancer_attributes(LoadBalancerArn=found[0]["LoadBalancerArn"])["Attributes"]
    return any(one == {"Key": "deletion_protection.enabled", "Value": "true"} for one in attributes)


def _state(environment: Environment) -> str:
    try:
        return environment.root.run("state", "list")
    except TerraformError as err:
        if "No state file was found" in str(err):
            return ""
        raise
