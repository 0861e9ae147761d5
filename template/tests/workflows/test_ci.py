"""`ci`: every check of .ci/run, each job stopping at its first failure, and one job that speaks for all."""

import re

import pytest

from template.tests.workflows.act import PROJECT, REAL, event, workflow

LAST = "ci"
BILLS = {"sbom": {".state/sbom/service.cdx.json": "{}"}}


def steps_of(job: str) -> list[str]:
    """Make calls of a job, as the file has them."""
    return [step["run"] for step in workflow("ci")["jobs"][job]["steps"] if "run" in step]


JOBS = sorted(set(workflow("ci")["jobs"]) - {LAST})
MOST_STEPS = max(len(steps_of(job)) for job in JOBS)


def test_it_runs_all_that_ci_run_runs():
    targets = set(re.findall(r"^ *make ([a-z-]+)", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE))
    assert targets
    assert targets - {step.split()[1] for job in JOBS for step in steps_of(job)} == set()


def test_the_last_job_waits_for_all_others():
    assert sorted(workflow("ci")["jobs"][LAST]["needs"]) == JOBS


@pytest.mark.parametrize(("name", "payload"), [("pull_request", "pull_request"), ("workflow_call", "push")])
def test_every_job_runs_its_steps_in_order(act, name, payload):
    run = act("ci", name, event(payload), files=BILLS)
    assert run.code == 0, run.log
    matrix = workflow("ci")["jobs"]["test"]["strategy"]["matrix"]["python"]
    for job in JOBS:
        repeated = len(matrix) if job == "test" else 1
        assert sorted(run.made(job)) == sorted(steps_of(job) * repeated)
        if repeated == 1:
            assert run.made(job) == steps_of(job)
    pythons = [call.inputs["python-version"] for call in run.of("actions/setup-python") if call.job == "test"]
    assert sorted(pythons) == matrix
    assert run.made()[-1] == "make workflow-verdict"
    assert "| lint | success |" in run.summary


@pytest.mark.parametrize("number", range(MOST_STEPS))
def test_a_step_that_fails_stops_its_job_and_the_last_job_tells(act, number):
    broken = {job: steps_of(job)[number] for job in JOBS if len(steps_of(job)) > number}
    run = act(
        "ci",
        "pull_request",
        event("pull_request"),
        files=BILLS,
        fails=[f"{job}:{step}" for job, step in broken.items()],
    )
    assert run.code != 0
    for job in broken:
        assert set(run.made(job)) == set(steps_of(job)[: number + 1]), job
    assert run.made(LAST) == ["make workflow-verdict"]
    passed = len(JOBS) - len(broken)
    assert f"verdict: {passed} of {len(JOBS)} jobs passed" in run.log
    assert all(f"| {job} | failure |" in run.summary for job in broken)
    assert re.search(r"\[ci/ci +\] .*Job failed", run.log)


def test_the_bills_of_materials_are_kept(act, tmp_path):
    assert act("ci", "pull_request", event("pull_request"), job="images", files=BILLS).code == 0
    assert (tmp_path / "run0" / "artifacts" / "sbom" / "service.cdx.json").is_file()


def test_the_real_make_can_take_the_recorders_place(act):
    run = act("ci", "pull_request", event("pull_request"), job="lint", real=[*REAL, "check-workflows"])
    assert run.code == 0, run.log
    assert "No findings to report" in run.log
    assert run.made("lint") == steps_of("lint")


def test_advisories_that_cannot_be_reached_stop_main_and_not_a_pull_request(act):
    for name, payload, expected in [("pull_request", "pull_request", "warn"), ("workflow_call", "push", "fail")]:
        run = act("ci", name, event(payload), job="security")
        assert [call.environment["UNREACHED"] for call in run.of("make audit")] == [expected]
