"""`deploy`: from merge to production, by digest; what fails stops all that follows; without an account it says so."""

import pytest

from template.tests.workflows.local_github.act import event, workflow

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
# By job, in the order in which jobs may begin; set-up steps aside.
STORY = {
    "ci": ["make all-checks"],
    "publish": [HEAD, ROLE, LOGIN, "make image-push", ATTEST, ATTEST],
    "images": ["make system-packages", ROLE, LOGIN, "make image-smoke", "make sbom", "actions/upload-artifact"],
    "staging": [HEAD, ROLE, "make deploy ENV=staging"],
    "production": [HEAD, ROLE, "make deploy ENV=production"],
}
BILLS = {"sbom": {".state/sbom/service.cdx.json": "{}"}}
# What runs side by side; act, unlike GitHub, starts nothing after a stage in which a job failed.
STAGES = [{"ci", "publish"}, {"images"}, {"staging"}, {"production"}]


@pytest.fixture
def merge(act, short_repository):
    """Run `deploy` for a push to main."""

    def run(variables=ACCOUNT, **options):
        options.setdefault("in_repository", short_repository)
        options.setdefault("files", BILLS)
        return act("deploy", "push", event("push"), variables=variables, outputs=PUSHED, **options)

    return run


def story(run) -> dict[str, list[str]]:
    left_out = ("actions/setup-python", "hashicorp/setup-terraform", "make workflow-restored")
    told = {}
    for call in run.calls:
        if call.job != "ready" and call.name not in left_out:
            told.setdefault(call.job, []).append(call.name)
    return told


def test_from_merge_to_production(merge):
    run = merge()
    assert run.code == 0, run.log
    assert story(run) == STORY


def test_what_was_pushed_is_what_is_attested_tested_and_deployed(merge):
    run = merge()
    (pushed,) = run.of("make image-push")
    assert pushed.environment["REPOSITORY"] == REPOSITORY
    assert [call.inputs for call in run.of(ATTEST)] == [
        {"subject-name": image.split("@")[0], "subject-digest": image.split("@")[1]} for image in (SERVICE, FLOWS)
    ]
    for made in ("make image-smoke", "make deploy ENV=staging", "make deploy ENV=production"):
        (taken,) = run.of(made)
        assert (taken.environment["IMAGE"], taken.environment["FLOWS_IMAGE"]) == (SERVICE, FLOWS)
    (checks,) = run.of("make all-checks")
    assert checks.environment["IMAGES_ELSEWHERE"] == "true"


def test_each_job_takes_its_own_role(merge):
    roles = {call.job: call.inputs["role-to-assume"].split("role/")[1] for call in merge().of(ROLE)}
    expected = {"publish": "image", "images": "image", "staging": "staging", "production": "production"}
    assert roles == {job: f"flightline-github-{role}" for job, role in expected.items()}


def test_images_are_tested_without_the_role_that_pulled_them(merge):
    seen = {call.job: "AWS_ROLE" in call.environment for call in merge().calls if call.name.startswith("make ")}
    assert {job for job, has_role in seen.items() if has_role} == {"publish", "staging", "production"}


def test_production_may_have_an_account_of_its_own(merge):
    run = merge(variables={**ACCOUNT, "PRODUCTION_ACCOUNT": "210987654321"})
    taken = {
        call.job: (call.inputs["role-to-assume"].split(":")[4], call.inputs["allowed-account-ids"])
        for call in run.of(ROLE)
    }
    assert taken.pop("production") == ("210987654321", "210987654321")
    assert set(taken.values()) == {("123456789012", "123456789012")}


@pytest.mark.parametrize(
    ("job", "number"), [(job, number) for job, steps in STORY.items() for number in range(len(set(steps)))]
)
def test_what_fails_stops_all_that_follows(merge, job, number):
    broken = list(dict.fromkeys(STORY[job]))[number]
    run = merge(fails=[f"{job}:{broken}"])
    assert run.code != 0
    stage = next(number for number, jobs in enumerate(STAGES) if job in jobs)
    begun = {name: STORY[name] for jobs in STAGES[: stage + 1] for name in jobs}
    assert story(run) == begun | {job: STORY[job][: STORY[job].index(broken) + 1]}


def test_the_checks_are_those_of_ci(merge, repository):
    run = merge(in_repository=repository, fails=["lint:make lint"])
    assert run.code != 0
    assert run.of("make prove")
    assert not {"staging", "production"} & run.jobs()


@pytest.mark.parametrize(("variables", "tested"), [(ACCOUNT, SERVICE), ({}, None)])
def test_images_are_built_once_and_tested_once(merge, repository, variables, tested):
    """By digest where they were pushed; without an account by the checks, which build them."""
    run = merge(variables=variables, in_repository=repository)
    assert run.code == 0, run.log
    (smoke,) = run.of("make image-smoke")
    assert smoke.environment.get("IMAGE") == tested


@pytest.mark.parametrize("missing", [["AWS_ACCOUNT", "AWS_REGION"], ["AWS_REGION"]])
def test_without_an_account_it_ends_green_after_the_checks(merge, missing):
    run = merge(variables={name: value for name, value in ACCOUNT.items() if name not in missing})
    assert run.code == 0, run.log
    assert story(run) == {"ci": STORY["ci"]}
    (checks,) = run.of("make all-checks")
    assert checks.environment["IMAGES_ELSEWHERE"] == "false"
    why = f"repository variables are not set: {', '.join(missing)}; docs/workflows.md"
    assert f"**Skipped**: {why}" in run.summary
    assert why in run.log


def test_a_team_without_attestations_says_so_by_a_variable(merge):
    run = merge(variables={**ACCOUNT, "ATTEST_IMAGES": "false"})
    assert run.code == 0
    assert not run.of(ATTEST)
    assert story(run) == STORY | {"publish": [name for name in STORY["publish"] if name != ATTEST]}


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
        "ready": [],
        "ci": ["ready"],
        "publish": ["ready"],
        "images": ["publish"],
        "staging": ["ci", "publish", "images"],
        "production": ["publish", "staging"],
    }
