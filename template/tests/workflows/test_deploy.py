"""`deploy`: from merge to production, by digest; what fails stops all that follows; without an account it says so."""

import pytest

from template.tests.workflows.act import event, workflow

ACCOUNT = {"AWS_ACCOUNT": "123456789012", "AWS_REGION": "us-east-1"}
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/flightline"
SERVICE, FLOWS = f"{REPOSITORY}/service@sha256:{'a' * 64}", f"{REPOSITORY}/flows@sha256:{'b' * 64}"
PUSHED = {
    "image-push": {
        "service": SERVICE, "service_digest": SERVICE.split("@")[1],
        "flows": FLOWS, "flows_digest": FLOWS.split("@")[1],
    }
}  # fmt: skip
LOGIN, ROLE = "aws-actions/amazon-ecr-login", "aws-actions/configure-aws-credentials"
HEAD = "make workflow-head"
ATTEST = "actions/attest-build-provenance"
# In this order; set-up steps aside.
STORY = [
    ("ci", "make all-checks"),
    ("publish", HEAD), ("publish", ROLE), ("publish", LOGIN), ("publish", "make image-push"),
    ("publish", ATTEST), ("publish", ATTEST),
    ("staging", HEAD), ("staging", ROLE), ("staging", "make deploy ENV=staging"),
    ("production", HEAD), ("production", ROLE), ("production", "make deploy ENV=production"),
]  # fmt: skip


@pytest.fixture
def merge(act, short_repository):
    """Run `deploy` for a push to main."""

    def run(variables=ACCOUNT, **options):
        options.setdefault("in_repository", short_repository)
        return act("deploy", "push", event("push"), variables=variables, outputs=PUSHED, **options)

    return run


def story(run) -> list[tuple[str, str]]:
    left_out = ("actions/setup-python", "hashicorp/setup-terraform", "make workflow-scope WORKFLOW=ci")
    return [(call.job, call.name) for call in run.calls if call.job != "ready" and call.name not in left_out]


def test_from_merge_to_production(merge):
    run = merge()
    assert run.code == 0, run.log
    assert story(run) == STORY


def test_what_was_pushed_is_what_is_attested_and_deployed(merge):
    run = merge()
    (pushed,) = run.of("make image-push")
    assert pushed.environment["REPOSITORY"] == REPOSITORY
    assert [call.inputs for call in run.of(ATTEST)] == [
        {"subject-name": image.split("@")[0], "subject-digest": image.split("@")[1]} for image in (SERVICE, FLOWS)
    ]
    for place in ("staging", "production"):
        (deployed,) = run.of(f"make deploy ENV={place}")
        assert (deployed.environment["IMAGE"], deployed.environment["FLOWS_IMAGE"]) == (SERVICE, FLOWS)


def test_each_job_takes_its_own_role(merge):
    roles = {call.job: call.inputs["role-to-assume"].split("role/")[1] for call in merge().of(ROLE)}
    assert roles == {job: f"flightline-github-{role}" for job, role in
                     {"publish": "image", "staging": "staging", "production": "production"}.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "last"),
    [
        ("ci:make all-checks", 0), (f"publish:{HEAD}", 1), (f"publish:{ROLE}", 2), (LOGIN, 3), ("make image-push", 4),
        (ATTEST, 5), (f"staging:{HEAD}", 7), (f"staging:{ROLE}", 8), ("make deploy ENV=staging", 9),
        (f"production:{HEAD}", 10), (f"production:{ROLE}", 11), ("make deploy ENV=production", 12),
    ],
)  # fmt: skip
def test_what_fails_stops_all_that_follows(merge, broken, last):
    run = merge(fails=[broken])
    assert run.code != 0
    assert story(run) == STORY[: last + 1]


def test_the_checks_are_those_of_ci(merge, repository):
    run = merge(in_repository=repository, fails=["lint:make lint"])
    assert run.code != 0
    assert run.of("make prove")
    assert not {"publish", "staging", "production"} & run.jobs()


@pytest.mark.parametrize("missing", [["AWS_ACCOUNT", "AWS_REGION"], ["AWS_REGION"]])
def test_without_an_account_it_ends_green_after_the_checks(merge, missing):
    run = merge(variables={name: value for name, value in ACCOUNT.items() if name not in missing})
    assert run.code == 0, run.log
    assert story(run) == STORY[:1]
    why = f"repository variables are not set: {', '.join(missing)}; docs/workflows.md"
    assert f"**Skipped**: {why}" in run.summary
    assert why in run.log


def test_a_team_without_attestations_says_so_by_a_variable(merge):
    run = merge(variables={**ACCOUNT, "ATTEST_IMAGES": "false"})
    assert run.code == 0
    assert not run.of(ATTEST)
    assert story(run)[-1] == STORY[-1]


def test_a_pull_request_deploys_nothing(act, short_repository):
    assert act("deploy", "pull_request", event("pull_request"), in_repository=short_repository).calls == ()


def test_only_a_push_to_main_starts_it():
    # act does not look at branches; GitHub does.
    assert workflow("deploy")["on"] == {"push": {"branches": ["main"]}}


def test_a_person_stands_before_production():
    jobs = workflow("deploy")["jobs"]
    assert {name: job.get("environment") for name, job in jobs.items() if "environment" in job} == {
        "staging": "staging",
        "production": "production",
    }


def test_each_job_waits_for_the_one_before():
    # act starts nothing after a job that failed, whether it was waited for or not; GitHub does.
    needs = {name: job.get("needs", []) for name, job in workflow("deploy")["jobs"].items()}
    assert needs == {
        "ci": [],
        "ready": [],
        "publish": ["ci", "ready"],
        "staging": ["publish"],
        "production": ["publish", "staging"],
    }
