"""Each guard taken away: what it holds back then happens, so tests in which nothing happens can be believed."""

import os
import re
import shutil

import psutil
import pytest

from template.tests.workflows.local_github.act import event, run_to_its_end
from template.tests.workflows.test_deploy import ACCOUNT, BILLS, PUSHED

STRANGER = {"pull_request__head__repo": {"full_name": "stranger/name"}}
READY = "needs.ready.outputs.is_ready == 'true'"


@pytest.fixture
def without(short_repository, tmp_path):
    """Copy the project and take a piece out of one of its workflows."""

    def copy(name, piece, put=""):
        root = tmp_path / "without"
        shutil.copytree(short_repository, root, symlinks=True)
        file = root / ".github" / "workflows" / f"{name}.yml"
        text = file.read_text()
        assert piece in text
        file.write_text(text.replace(piece, put))
        return root

    return copy


def test_a_clone_without_an_account_would_publish(act, without):
    root = without("deploy", f"    if: {READY}\n")
    assert "publish" in act("deploy", "push", event("push"), in_repository=root).jobs()


def test_production_would_not_wait_for_staging(act, without):
    root = without("deploy", "needs: [publish, staging]", "needs: [publish, images]")
    fails = ["make deploy ENV=staging"]
    run = act(
        "deploy", "push", event("push"), in_repository=root, variables=ACCOUNT, files=BILLS, outputs=PUSHED, fails=fails
    )
    assert run.of("make deploy ENV=production")


def test_a_fork_would_reach_the_role_that_plans(act, without):
    root = without("infra", f"{READY} && github.event_name == 'pull_request'", "github.event_name == 'pull_request'")
    run = act("infra", "pull_request", event("pull_request", **STRANGER), in_repository=root, variables=ACCOUNT)
    assert run.of("aws-actions/configure-aws-credentials")


def test_without_always_a_failed_check_skips_the_last_job(act, without, repository):
    root = without("ci", "", "")
    text = (repository / ".github" / "workflows" / "ci.yml").read_text()
    assert "    if: always()\n" in text
    (root / ".github" / "workflows" / "ci.yml").write_text(text.replace("    if: always()\n", ""))
    run = act("ci", "pull_request", event("pull_request"), in_repository=root, fails=["lint:make lint"])
    assert not run.made("ci")


def test_what_takes_too_long_ends_with_its_steps(tmp_path):
    """A deployment that worked on would be in the way of the next test's."""
    command = ["sh", "-c", "setsid sleep 600 & echo began $!; wait"]
    with pytest.raises(TimeoutError, match=r"no end after 2 s:\nbegan \d+") as told:
        run_to_its_end(command, tmp_path, os.environ, 2)
    step = int(re.search(r"began (\d+)", str(told.value))[1])
    assert not psutil.pid_exists(step) or psutil.Process(step).status() == psutil.STATUS_ZOMBIE
