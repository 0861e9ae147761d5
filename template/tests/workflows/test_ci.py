"""`ci` and `template`: all that .ci/run runs, each job stopping at its first failure, one job that speaks for all."""

import re

import pytest

from template.tests.workflows.local_github.act import PROJECT, REAL, event, workflow

# In each, the job of the workflow's own name waits for all others.
NAMES = ("ci", "template")
# By what starts it, and the payload that comes with that.
STARTS = [("ci", "pull_request", "pull_request"), ("ci", "workflow_call", "push")]
STARTS += [("template", "pull_request", "pull_request"), ("template", "push", "push")]
BILLS = {"sbom": {".state/sbom/service.cdx.json": "{}"}}


def steps_of(name: str, job: str) -> list[str]:
    """Make calls of a job, as the file has them."""
    return [step["run"] for step in workflow(name)["jobs"][job]["steps"] if "run" in step]


def jobs_of(name: str) -> list[str]:
    return sorted(set(workflow(name)["jobs"]) - {name})


def checks_of(name: str) -> list[str]:
    return [job for job in jobs_of(name) if job != "scope"]


def longest(name: str) -> int:
    return max(len(steps_of(name, job)) for job in jobs_of(name))


def test_they_run_all_that_ci_run_runs_and_every_suite():
    targets = set(re.findall(r"^ *make ([a-z-]+)", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE))
    assert {"lint", "test", "test-system"} <= targets
    files = ("Makefile", "infra/infra.mk", ".github/workflows.mk", "template/template.mk")
    suites = {
        suite
        for file in files
        for suite in re.findall(
            r"^(test[a-z-]*|check-[a-z-]*|prove|image-smoke):", (PROJECT / file).read_text(), re.MULTILINE
        )
    }
    assert {"test-stack", "test-infra", "test-deploy", "prove", "image-smoke"} <= suites
    steps = [step for name in (*NAMES, "docs") for job in jobs_of(name) for step in steps_of(name, job)]
    assert (targets | suites) - {step.split()[1] for step in steps} == {
        "test-fast",
        "test-year",
    }  # the second by hand: 46 minutes


@pytest.mark.parametrize("name", NAMES)
def test_the_last_job_waits_for_all_others(name):
    assert sorted(workflow(name)["jobs"][name]["needs"]) == jobs_of(name)


def test_no_workflow_takes_a_name_that_a_project_could_have():
    text = "".join(file.read_text() for file in (PROJECT / ".github" / "workflows").glob("*.yml"))
    assert re.findall(r"run: make (?:start|example)\b.*", text) == []


def test_what_is_left_behind_is_called_by_no_other_workflow():
    own = set(re.findall(r"^\.PHONY: (\S+)$", (PROJECT / "template" / "template.mk").read_text(), re.MULTILINE))
    others = [file for file in (PROJECT / ".github" / "workflows").glob("*.yml") if file.stem != "template"]
    called = {target for file in others for target in re.findall(r"run: make ([a-z-]+)", file.read_text())}
    assert own & called == set()


@pytest.mark.parametrize(("name", "start", "payload"), STARTS)
def test_every_job_runs_its_steps_in_order(act, name, start, payload):
    run = act(name, start, event(payload), files=BILLS)
    assert run.code == 0, run.log
    for job in jobs_of(name):
        (values,) = workflow(name)["jobs"][job].get("strategy", {"matrix": {"": [1]}})["matrix"].values()
        repeated = len(values)
        assert sorted(run.made(job)) == sorted(steps_of(name, job) * repeated)
        if repeated == 1:
            assert run.made(job) == steps_of(name, job)
    assert run.made()[0] == f"make workflow-scope WORKFLOW={name}"
    assert run.made()[-1] == "make workflow-verdict"
    assert f"| {jobs_of(name)[-1]} | success |" in run.summary


def test_the_tests_run_on_every_python(act):
    run = act("ci", "pull_request", event("pull_request"), job="test")
    pythons = [call.inputs["python-version"] for call in run.of("actions/setup-python")]
    assert sorted(pythons) == workflow("ci")["jobs"]["test"]["strategy"]["matrix"]["python"]


@pytest.mark.parametrize(("name", "number"), [(name, number) for name in NAMES for number in range(longest(name))])
def test_a_step_that_fails_stops_its_job_and_the_last_job_tells(act, name, number):
    jobs = jobs_of(name)
    broken = {job: steps_of(name, job)[number] for job in checks_of(name) if len(steps_of(name, job)) > number}
    fails = [f"{job}:{step}" for job, step in broken.items()]
    run = act(name, "pull_request", event("pull_request"), files=BILLS, fails=fails)
    assert run.code != 0
    for job in broken:
        assert set(run.made(job)) == set(steps_of(name, job)[: number + 1]), job
    assert run.made(name) == ["make workflow-verdict"]
    assert f"verdict: {len(jobs) - len(broken)} of {len(jobs)} jobs passed" in run.log
    assert all(f"| {job} | failure |" in run.summary for job in broken)
    assert re.search(rf"\[{name}/{name} +\] .*Job failed", run.log)


def test_the_bills_of_materials_are_kept(act, tmp_path):
    assert act("ci", "pull_request", event("pull_request"), job="images", files=BILLS).code == 0
    assert (tmp_path / "run0" / "artifacts" / "sbom" / "service.cdx.json").is_file()


def test_the_real_make_can_take_the_recorders_place(act):
    run = act("ci", "pull_request", event("pull_request"), job="lint", real=[*REAL, "check-workflows"])
    assert run.code == 0, run.log
    assert "No findings to report" in run.log
    assert run.made("lint") == steps_of("ci", "lint")


def test_unreachable_advisories_stop_main_and_no_pull_request(act):
    for name, payload, expected in [("pull_request", "pull_request", "warn"), ("workflow_call", "push", "fail")]:
        run = act("ci", name, event(payload), job="security")
        assert [call.environment["UNREACHED"] for call in run.of("make audit")] == [expected]


def scoped(act, name, checks, **options):
    outputs = {"workflow-scope": {"checks": checks, "advisories": "fail"}}
    return act(name, "pull_request", event("pull_request"), files=BILLS, outputs=outputs, **options)


@pytest.mark.parametrize(
    ("name", "checks", "run_jobs"),
    [
        ("ci", "docs", {"lint", "security"}),
        ("ci", "none", set()),
        ("template", "docs", set()),
        ("template", "none", set()),
    ],
)
def test_what_need_not_be_checked_is_left_out_and_the_last_job_comes_and_passes(act, name, checks, run_jobs):
    run = scoped(act, name, checks)
    assert run.code == 0, run.log
    assert run.jobs() == run_jobs | {"scope", name}
    skipped = len(checks_of(name)) - len(run_jobs)
    assert (
        f"verdict: {len(run_jobs) + 1} of {len(jobs_of(name))} jobs passed, {skipped} had nothing to check" in run.log
    )


def test_documents_that_are_wrong_stop_the_last_job(act):
    run = scoped(act, "ci", "docs", fails=["lint:make test-docs"])
    assert run.code != 0
    jobs = len(jobs_of("ci"))
    assert f"verdict: 2 of {jobs} jobs passed, {jobs - 3} had nothing to check" in run.log


@pytest.mark.parametrize("name", NAMES)
def test_a_scope_that_fails_is_no_reason_to_pass(act, name):
    run = scoped(act, name, "none", fails=[f"make workflow-scope WORKFLOW={name}"])
    assert run.code != 0
    assert f"verdict: 0 of {len(jobs_of(name))} jobs passed" in run.log


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_queue_and_every_pull_request_start_them(name):
    on = workflow(name)["on"]
    # A path filter here would leave a required check waiting for ever.
    assert {"pull_request": None, "merge_group": None}.items() <= on.items()


def test_a_label_lets_an_advisory_through_and_nothing_else_does(act):
    for advisories in ("fail", "warn"):
        outputs = {"workflow-scope": {"checks": "all", "advisories": advisories}}
        run = act("ci", "pull_request", event("pull_request"), job="security", outputs=outputs)
        assert [call.environment["ADVISORIES"] for call in run.of("make audit")] == [advisories]
    # GitHub keeps the outputs of jobs that passed: asked in another job, the label would not be seen by a failed one.
    (audit,) = (step for step in workflow("ci")["jobs"]["security"]["steps"] if step.get("run") == "make audit")
    assert audit["env"]["ADVISORIES"] == "${{ steps.label.outputs.advisories }}"
