"""`make check-workflows` passes as it is, and each of its tools is seen to bite; what act cannot see is read here."""

import os
import re
import shutil
import subprocess

import pytest

from template.tests.workflows.local_github.act import PROJECT, workflow

NAMES = sorted(file.stem for file in (PROJECT / ".github" / "workflows").glob("*.yml"))
# By workflow and job, what it may do besides reading the repository, and why it must.
RIGHTS = {
    ("deploy", "publish"): {"id-token", "attestations"},
    ("deploy", "images"): {"id-token"},
    ("deploy", "staging"): {"id-token"},
    ("deploy", "production"): {"id-token"},
    ("redeploy", "redeploy"): {"id-token"},
    ("infra", "plan"): {"id-token"},
    ("infra", "comment"): {"pull-requests"},
    ("infra", "drift"): {"id-token"},
    ("train-report-comment", "comment"): {"pull-requests"},
    ("docs", "publish"): {"pages", "id-token"},
}


def check(root):
    """Run the target in a copy, with the tools that are installed already."""
    installed = ".tools/bin/uv", ".tools/workflows/.installed"
    command = ["make", *(part for name in installed for part in ("-o", name)), "check-workflows"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "GITHUB_"))}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(repository, tmp_path_factory):
    root = tmp_path_factory.mktemp("checked") / "name"
    shutil.copytree(repository, root, symlinks=True)
    (root / ".tools").symlink_to(PROJECT / ".tools")
    return root


def test_the_tree_passes(copy):
    done = check(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("workflows/ci.yml", "needs: [scope, lint,", "needs: [scope, lnit,", "lnit"),
        ("workflows/deploy.yml", "steps.push.outputs", "steps.psh.outputs", "psh"),
        ("workflows/ci.yml", "timeout-minutes: 20", "timeout: 20", "timeout"),
        ("workflows/ci.yml", "@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@v6", "unpinned-uses"),
        ("workflows/audit.yml", "        with:\n          persist-credentials: false\n", "", "artipacked"),
        ("actions/set-up/action.yml", "      shell: bash\n", "", "shell"),
        ("actions/set-up/action.yml", "@27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5", "@v5", "unpinned-uses"),
        (
            "workflows/ci.yml",
            "run: make lint",
            "run: make lint ${{ github.event.pull_request.title }}",
            "potentially untrusted",
        ),
        ("workflows/ci.yml", "permissions:\n  contents: read\n", "", "excessive-permissions"),
        ("workflows/train-report.yml", "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
        ("workflows/train-report.yml", "contents: read", "contents: write", "excessive-permissions"),
        ("dependabot.yml", "interval: weekly", "interval: hourly", "hourly"),
        ("ISSUE_TEMPLATE/fault.yml", "type: textarea", "type: text", "text"),
        ("ISSUE_TEMPLATE/config.yml", "true", "maybe", "maybe"),
    ],
)
def test_it_bites(copy, file, old, new, said):
    path = copy / ".github" / file
    text = path.read_text()
    assert old in text
    try:
        path.write_text(text.replace(old, new, 1))
        done = check(copy)
    finally:
        path.write_text(text)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_reads_only_and_a_job_says_what_else_it_may(name):
    read = workflow(name)
    assert read["permissions"] == {"contents": "read"}
    assert read["concurrency"]["group"]
    for job, content in read["jobs"].items():
        written = {right for right, value in content.get("permissions", {}).items() if value == "write"}
        assert written == RIGHTS.get((name, job), set()), job


@pytest.mark.parametrize("name", NAMES)
def test_every_job_ends_by_itself(name):
    for job, content in workflow(name)["jobs"].items():
        assert "uses" in content or 0 < content["timeout-minutes"] <= 120, job


def test_an_action_has_one_version_and_its_comment():
    github = PROJECT / ".github"
    text = "".join(file.read_text() for file in [*github.glob("workflows/*.yml"), *github.glob("actions/*/*.yml")])
    lines = re.findall(r"uses: (\S+)@([0-9a-f]{40}) # (v[\d.]+)$", text, re.MULTILINE)
    assert len(lines) == len(re.findall(r"uses: [^.\s]", text))
    assert len({action for action, _, _ in lines}) == len(set(lines))
