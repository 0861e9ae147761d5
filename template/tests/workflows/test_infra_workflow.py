"""`infra`: the plan as a comment, drift by the day, and a reason where it skips."""

import pytest

from template.tests.workflows.local_github.act import event

ACCOUNT = {"AWS_ACCOUNT": "123456789012", "AWS_REGION": "us-east-1"}
PLAN = {"workflow-plan": {".state/terraform/staging-plan.md": "### Plan of `staging`: 1 to change\n"}}
HEAD = "3" * 40
BASE = "1" * 40


@pytest.fixture
def plan(act, api):
    """Run `infra` for a pull request."""
    api.open_pull_request(7, "owner:better-features", HEAD)

    def run(variables=ACCOUNT, payload=None, **options):
        payload = payload or event("pull_request")
        environment = {"GITHUB_API_URL": api.url}
        return act(
            "infra", "pull_request", payload, variables=variables, files=PLAN, environment=environment, **options
        )

    return run


def test_the_plan_of_a_pull_request_becomes_its_comment(plan, api):
    run = plan()
    assert run.code == 0, run.log
    assert run.made() == [
        "make workflow-ready NEEDED=AWS_ACCOUNT,AWS_REGION",
        "make workflow-plan ENV=staging",
        "make workflow-comment TITLE=plan-of-staging",
    ]
    (comment,) = api.comments[7]
    assert "### Plan of `staging`: 1 to change" in comment["body"]


def test_the_job_that_may_write_runs_merged_code_and_has_no_role(plan):
    run = plan()
    (checkout,) = run.of("actions/checkout")
    assert (checkout.job, checkout.inputs["ref"]) == ("comment", BASE)
    (role,) = run.of("aws-actions/configure-aws-credentials")
    assert (role.job, role.inputs["role-to-assume"].split("/")[1]) == ("plan", "flightline-github-plan-staging")
    (comment,) = run.of("make workflow-comment TITLE=plan-of-staging")
    assert "AWS_ROLE" not in comment.environment


@pytest.mark.parametrize("broken", ["aws-actions/configure-aws-credentials", "make workflow-plan ENV=staging"])
def test_without_a_plan_there_is_no_comment(plan, api, broken):
    run = plan(fails=[broken])
    assert run.code != 0
    assert "comment" not in run.jobs()
    assert api.comments[7] == []


@pytest.mark.parametrize(
    ("changes", "variables", "why"),
    [
        (
            {"pull_request__head__repo": {"full_name": "stranger/name"}},
            ACCOUNT,
            "the pull request comes from stranger/name",
        ),
        ({"pull_request__head__repo": None}, ACCOUNT, "the pull request comes from a fork"),
        ({"pull_request__user__login": "dependabot[bot]"}, ACCOUNT, "pull requests of dependabot"),
        ({}, {}, "repository variables are not set: AWS_ACCOUNT, AWS_REGION"),
    ],
)
def test_it_skips_green_and_says_why(plan, changes, variables, why):
    run = plan(payload=event("pull_request", **changes), variables=variables)
    assert run.code == 0, run.log
    assert run.jobs() == {"ready"}
    assert why in run.summary


@pytest.mark.parametrize("name", ["schedule", "workflow_dispatch"])
def test_drift_is_looked_for_in_both_environments(act, name):
    run = act("infra", name, event("schedule"), variables=ACCOUNT)
    assert run.code == 0, run.log
    looked = {
        call.environment["ENV"]: call.environment["AWS_ROLE"].split("/")[1] for call in run.of("make workflow-plan")
    }
    assert looked == {place: f"flightline-github-plan-{place}" for place in ("staging", "production")}
    assert {call.environment["DRIFT"] for call in run.of("make workflow-plan")} == {"fail"}


def test_production_may_have_an_account_of_its_own(act):
    run = act("infra", "schedule", event("schedule"), variables={**ACCOUNT, "PRODUCTION_ACCOUNT": "210987654321"})
    roles = [call.inputs["role-to-assume"].split(":", 4)[4] for call in run.of("aws-actions/configure-aws-credentials")]
    assert sorted(roles) == [
        "123456789012:role/flightline-github-plan-staging",
        "210987654321:role/flightline-github-plan-production",
    ]


def test_drift_in_one_environment_does_not_hide_the_other(act):
    run = act("infra", "schedule", event("schedule"), variables=ACCOUNT, fails=["make workflow-plan"])
    assert run.code != 0
    assert len(run.of("make workflow-plan")) == 2


def test_a_fresh_clone_looks_for_no_drift_and_says_why(act):
    run = act("infra", "schedule", event("schedule"))
    assert (run.code, run.jobs()) == (0, {"ready"})
    assert "repository variables are not set" in run.summary
