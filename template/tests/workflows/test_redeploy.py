"""`redeploy`, by hand: back to what was live, to known digests, or once more; and `deploy` stops what is old."""

import pytest

from template.tests.workflows.local_github.act import REAL, workflow
from template.tests.workflows.test_deploy import ACCOUNT, BILLS, FLOWS, HEAD, ROLE, SERVICE

WHY = "too many late ones; `touch made` $(touch made)"


@pytest.fixture
def redeploy(act, short_repository):
    """Run it as a person would from main, with what the form holds."""

    def run(variables=ACCOUNT, **inputs):
        inputs = {"image": "", "flows_image": "", "why": WHY, **inputs}
        payload = {"ref": "refs/heads/main", "inputs": inputs}
        return act("redeploy", "workflow_dispatch", payload, variables=variables, in_repository=short_repository)

    return run


@pytest.mark.parametrize("place", ["staging", "production"])
def test_known_digests_are_deployed_by_the_environments_own_role(redeploy, place):
    run = redeploy(environment=place, action="deploy", image=SERVICE, flows_image=FLOWS)
    assert run.code == 0, run.log
    assert run.made() == [HEAD, "make deploy"]
    (deployed,) = run.of("make deploy")
    found = [deployed.environment[name] for name in ("ENV", "IMAGE", "FLOWS_IMAGE")]
    assert found == [place, SERVICE, FLOWS]
    assert [call.inputs["role-to-assume"].split("role/")[1] for call in run.of(ROLE)] == [f"flightline-github-{place}"]


@pytest.mark.parametrize(("place", "account"), [("staging", "123456789012"), ("production", "210987654321")])
def test_production_may_have_an_account_of_its_own(redeploy, place, account):
    run = redeploy({**ACCOUNT, "PRODUCTION_ACCOUNT": "210987654321"}, environment=place, action="rollback")
    (role,) = run.of(ROLE)
    assert (role.inputs["role-to-assume"].split(":")[4], role.inputs["allowed-account-ids"]) == (account, account)


@pytest.mark.parametrize(("action", "what"), [("rollback", "images"), ("rollback-model", "model")])
def test_a_rollback_says_what_and_why(redeploy, action, what):
    run = redeploy(environment="production", action=action)
    assert run.made() == [HEAD, "make rollback"]
    (back,) = run.of("make rollback")
    assert [back.environment[name] for name in ("ENV", "WHAT", "WHY")] == ["production", what, WHY]


def test_the_form_offers_what_the_command_takes():
    inputs = workflow("redeploy")["on"]["workflow_dispatch"]["inputs"]
    assert inputs["environment"]["options"] == ["staging", "production"]
    assert inputs["action"]["options"] == ["deploy", "rollback", "rollback-model"]
    assert inputs["why"]["required"]


def test_the_environment_holds_its_reviewers_and_one_deployment_at_a_time():
    job = workflow("redeploy")["jobs"]["redeploy"]
    assert job["environment"] == "${{ inputs.environment }}"
    assert job["concurrency"]["group"] == "deploy-${{ inputs.environment }}"
    deploys = workflow("deploy")["jobs"]
    assert {deploys[name]["concurrency"]["group"] for name in ("staging", "production")} == {
        "deploy-staging", "deploy-production",
    }  # fmt: skip


@pytest.mark.parametrize("is_newest", [True, False])
def test_an_older_run_stops_with_a_sentence_and_takes_no_role(act, api, short_repository, is_newest):
    payload = {"ref": "refs/heads/main", "after": "2" * 40}
    run = act(
        "deploy", "push", payload, variables=ACCOUNT, in_repository=short_repository, real=[*REAL, "workflow-head"],
        files=BILLS, environment={"GITHUB_API_URL": api.url, **({"GITHUB_SHA": api.head} if is_newest else {})},
    )  # fmt: skip
    assert (run.code == 0) == is_newest, run.log
    assert bool(run.of(ROLE)) == is_newest
    assert ("whose own run deploys" in run.log) != is_newest
