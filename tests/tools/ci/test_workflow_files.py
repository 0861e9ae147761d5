"""Rules over all workflow files, whatever is added: what a job must do first, what it may hold, whom it may wake."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SET_UP = "./.github/actions/set-up"
MAKEFILES = [file for pattern in ("Makefile", "*/*.mk") for file in ROOT.glob(pattern)]


def read(file: Path) -> dict[Any, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


JOBS = {f"{file.stem}.{name}": job for file in FILES for name, job in read(file)["jobs"].items()}


def steps(job: dict[str, Any]) -> list[str]:
    """Give what a job's steps run or use, in their order; an action without its version."""
    return [step.get("run") or step["uses"].split("@")[0] for step in job.get("steps", [])]


def recipes() -> dict[str, str]:
    """Give each make target's prerequisites and recipe."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in MAKEFILES)
    return dict(re.findall(r"^([a-z-]+):(?!=)(.*(?:\n\t.*|\n *(?:else|fi)\b.*)*)", text, re.MULTILINE))


def wants_programs(command: str) -> bool:
    """Say whether a make call runs tests, or a check that wants a program of the system."""
    recipe = recipes().get(command.removeprefix("make ").split()[0], "")
    return bool(re.search(r"-m pytest|tests\.proof|promtool", recipe))


def test_what_runs_tests_is_known_by_its_recipe():
    assert all(
        map(wants_programs, ["make test", "make prove", "make test-stack", "make image-smoke", "make check-alerts"])
    )
    assert not any(map(wants_programs, ["make deploy ENV=staging", "make workflow-ready NEEDED=A", "make lint"]))


@pytest.mark.parametrize("job", JOBS)
def test_a_job_that_runs_tests_installs_what_they_want(job):
    commands = steps(JOBS[job])
    wanting = [
        number for number, command in enumerate(commands) if command.startswith("make ") and wants_programs(command)
    ]
    if wanting:
        assert "make system-packages" in commands[: wanting[0]], "redis-server and others are not on GitHub's runners"


@pytest.mark.parametrize("job", JOBS)
def test_a_job_that_works_in_the_environment_sets_up_before(job):
    commands = steps(JOBS[job])
    bare = {"system-packages", "workflow-ready", "workflow-verdict", "workflow-scope", "workflow-head"}
    bare |= {"workflow-comment", "workflow-summary"}
    for number, command in enumerate(commands):
        if command.startswith("make ") and command.split()[1] not in bare:
            assert SET_UP in commands[:number], command


@pytest.mark.parametrize("job", JOBS)
def test_a_job_that_holds_a_role_takes_nothing_from_a_cache(job):
    """What any branch could have put there must not run beside a token for AWS."""
    if "id-token" in (JOBS[job].get("permissions") or {}):
        used = [step for step in JOBS[job]["steps"] if step.get("uses") == SET_UP]
        assert used or not any(command.startswith("make ") for command in steps(JOBS[job]))
        assert all(step["with"]["cache"] == "false" for step in used)


PUSHED = {"IMAGE": "${{ needs.publish.outputs.service }}", "FLOWS_IMAGE": "${{ needs.publish.outputs.flows }}"}
BY_HAND = {"IMAGE": "${{ inputs.image }}", "FLOWS_IMAGE": "${{ inputs.flows_image }}"}
BUILDS = re.compile(r"make image(-push)?(?!-?\w)|docker (build|buildx|tag|push)|build-push-action")


def broken_promotions(jobs: dict[str, dict[str, Any]]) -> list[str]:
    """Say where `deploy` builds twice, or brings anything but the digests that were pushed and tested."""
    builds = [name for name, job in jobs.items() if BUILDS.search("\n".join(steps(job)))]
    found = [f"{name} builds" for name in builds if name != "publish"]
    outputs = {output: jobs["publish"]["outputs"][output] for output in ("service", "flows")}
    if outputs != {name: f"${{{{ steps.push.outputs.{name} }}}}" for name in outputs}:
        found.append("publish does not put out what make image-push pushed")
    for name, job in jobs.items():
        for step in job.get("steps", []):
            if re.match(r"make (deploy|image-smoke)\b", step.get("run", "")):
                brought = {key: value for key, value in step.get("env", {}).items() if key in PUSHED}
                found += [] if brought == PUSHED and "IMAGE=" not in step["run"] else [f"{name} takes {brought}"]
                before = {"publish", "images"} if name != "images" else {"publish"}
                found += [f"{name} does not wait for {one}" for one in before - ancestors(jobs, name)]
    return found


def ancestors(jobs: dict[str, dict[str, Any]], name: str) -> set[str]:
    """Give the jobs that have to pass before one begins."""
    needed = set(jobs[name].get("needs", []))
    return needed.union(*(ancestors(jobs, each) for each in needed))


def deploy_jobs() -> dict[str, dict[str, Any]]:
    return read(ROOT / ".github/workflows/deploy.yml")["jobs"]


def test_what_is_tested_is_what_staging_and_then_production_get():
    jobs = deploy_jobs()
    assert broken_promotions(jobs) == []
    assert {"images", "staging"} <= ancestors(jobs, "production")
    (known,) = [step["env"] for step in JOBS["redeploy.redeploy"]["steps"] if step.get("run") == "make deploy"]
    assert known == BY_HAND  # make itself refuses what is no digest
    assert not BUILDS.search("\n".join(steps(JOBS["redeploy.redeploy"])))


@pytest.mark.parametrize(
    ("job", "planted", "told"),
    [
        ("production", {"run": "make image-push"}, "production builds"),
        ("staging", {"run": "docker build ."}, "staging builds"),
        (
            "production",
            {"run": "make deploy", "env": {**PUSHED, "IMAGE": "r/service:${{ github.sha }}"}},
            "production takes",
        ),
        ("staging", {"run": "make deploy IMAGE=r/service:main", "env": PUSHED}, "staging takes"),
        ("images", {"run": "make image-smoke"}, "images takes {}"),
        ("publish", {"run": "make deploy", "env": PUSHED}, "publish does not wait for images"),
    ],
)
def test_an_image_that_is_not_the_tested_one_is_seen(job, planted, told):
    jobs = deploy_jobs()
    jobs[job]["steps"].append(planted)
    assert any(one.startswith(told) for one in broken_promotions(jobs))


def test_images_that_nobody_tested_are_seen():
    jobs = deploy_jobs()
    jobs["staging"]["needs"].remove("images")
    assert broken_promotions(jobs) == ["staging does not wait for images", "production does not wait for images"]
    jobs = deploy_jobs()
    jobs["publish"]["outputs"]["service"] = "${{ env.REPOSITORY }}/service:${{ github.sha }}"
    assert broken_promotions(jobs) == ["publish does not put out what make image-push pushed"]


@pytest.mark.parametrize("job", ["deploy.staging", "deploy.production", "redeploy.redeploy"])
def test_a_role_that_deploys_outlasts_its_job(job):
    """An apply that outlives its credentials stops in the middle, and leaves its lock."""
    account = (ROOT / "infra/account/main.tf").read_text(encoding="utf-8")
    hours = int(re.search(r"session_seconds = (\d+) \* 3600", account)[1])
    (taken,) = [step["with"] for step in JOBS[job]["steps"] if "role-to-assume" in step.get("with", {})]
    assert taken["role-duration-seconds"] == hours * 3600 > JOBS[job]["timeout-minutes"] * 60


def test_what_is_cached_is_known_by_the_python_and_by_all_locks():
    cached = [
        step["with"] for step in read(ROOT / ".github/actions/set-up/action.yml")["runs"]["steps"] if "with" in step
    ]
    cached = [given for given in cached if "key" in given]
    assert {given["path"] for given in cached} == {".venv", ".tools"}
    for given in cached:
        assert "restore-keys" not in given  # what is almost right would pass for right
        assert {"python.outputs.python-version", "'locks/*.txt'", "'*/locks/*.txt'"} <= set(
            re.findall(r"python\.outputs\.python-version|'[^']+'", given["key"])
        )


@pytest.mark.parametrize("job", JOBS)
def test_a_workflow_that_is_called_asks_for_no_more_than_the_caller_gives(job):
    """GitHub refuses to start a run otherwise."""
    called = JOBS[job].get("uses", "")
    if called.startswith("./"):
        given = JOBS[job].get("permissions") or {}
        asked = [inner.get("permissions") or {} for inner in read(ROOT / called)["jobs"].values()]
        assert all(given.get(right) == level for each in asked for right, level in each.items())


def test_suites_take_a_worker_for_each_core():
    counts = {name: found for name, recipe in recipes().items() for found in re.findall(r"pytest.* -n (\S+)", recipe)}
    assert {"test", "test-system"} <= counts.keys()
    assert set(counts.values()) == {"$(WORKERS)"}


def test_the_tests_run_on_every_python_that_the_project_takes():
    taken = re.search(
        r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    pythons = [f"3.{minor}" for minor in range(int(taken[1]), int(taken[2]))]
    assert JOBS["ci.test"]["strategy"]["matrix"]["python"] == pythons


def settings(name: str) -> dict[str, Any]:
    return json.loads((ROOT / ".github" / "settings" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_ruleset_demands_checks_that_exist_and_come_for_every_pull_request():
    rules = {rule["type"]: rule.get("parameters", {}) for rule in settings("ruleset-main")["rules"]}
    demanded = {check["context"] for check in rules["required_status_checks"]["required_status_checks"]}
    assert demanded == {"ci"}
    assert JOBS["ci.ci"]["if"] == "always()"
    on = read(ROOT / ".github/workflows/ci.yml")[True]  # YAML 1.1 takes the key `on` for true
    assert {"pull_request": None, "merge_group": None}.items() <= on.items()
    # The proof of a pull request holds for main only if the branch held all of it.
    assert rules["required_status_checks"]["strict_required_status_checks_policy"] is True
    assert rules["pull_request"]["require_code_owner_review"] is True
    assert {"deletion", "non_fast_forward"} <= rules.keys()


@pytest.mark.parametrize("name", ["staging", "production"])
def test_every_environment_that_a_job_names_has_its_settings(name):
    used = {job["environment"] for job in JOBS.values() if "environment" in job}
    made_by_github = {"github-pages"}
    assert {"staging", "production"} == {each for each in used if "${{" not in each} - made_by_github
    policy = settings(f"environment-{name}")["deployment_branch_policy"]
    assert policy == {"protected_branches": False, "custom_branch_policies": True}
