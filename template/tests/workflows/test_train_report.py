"""`train-report` and its comment: a fork's code runs without a right, and what it wrote is only text to the comment."""

import pytest

from template.tests.workflows.local_github.act import event, workflow

REPORT = "| metric | champion | challenger |\n|---|---|---|\n| log_loss | 0.4253 | 0.4249 |\n"
HEAD = "3" * 40
TITLE = "train-report"


@pytest.fixture
def train(act, tmp_path):
    """Run `train-report` for a pull request whose code writes this report."""

    def run(report=REPORT, **options):
        files = {"train-report": {".state/train_report/report.md": report, ".state/train_report/slices.svg": "<svg/>"}}
        options.setdefault("files", files)
        return act("train-report", "pull_request", event("pull_request"), artifacts=tmp_path / "artifacts", **options)

    return run


@pytest.fixture
def comment(act, api, tmp_path):
    """Run `train-report-comment` for the run before, which came from a fork."""
    api.open_pull_request(7, "stranger:better-features", HEAD)
    api.open_pull_request(8, "stranger:other", "4" * 40)

    def run(**changes):
        return act(
            "train-report-comment", "workflow_run", event("workflow_run", **changes),
            artifacts=tmp_path / "artifacts", environment={"GITHUB_API_URL": api.url},
        )  # fmt: skip

    return run


def test_it_trains_shows_and_keeps_the_report_with_its_pictures(train, tmp_path):
    run = train()
    assert run.code == 0, run.log
    assert run.made() == ["make train-report", "make workflow-summary FILE=.state/train_report/report.md"]
    assert REPORT in run.summary
    assert {file.name for file in (tmp_path / "artifacts" / TITLE).iterdir()} == {"report.md", "slices.svg"}


def test_a_training_that_fails_keeps_nothing(train, tmp_path):
    run = train(fails=["make train-report"])
    assert run.code != 0
    assert not run.of("actions/upload-artifact")
    assert not (tmp_path / "artifacts").exists()


def test_a_training_without_a_report_is_seen(train):
    assert train(files={}).code != 0


def test_what_the_pull_requests_code_can_see_holds_no_token(train):
    run = train()
    assert [call.environment for call in run.of("make train-report")] == [{}]
    assert workflow("train-report")["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in workflow("train-report")["on"]


def test_the_report_becomes_one_comment_that_is_renewed(train, comment, api):
    train()
    first, second = comment(), comment()
    assert (first.code, second.code) == (0, 0), first.log + second.log
    assert "written on pull request 7" in first.log
    assert "renewed on pull request 7" in second.log
    (written,) = api.comments[7]
    assert REPORT in written["body"]
    assert api.comments[8] == api.refused == []


def test_it_runs_the_code_of_main_only(train, comment):
    train()
    (checkout,) = comment().of("actions/checkout")
    assert checkout.inputs["ref"] == "main"
    (fetched,) = comment().of("actions/download-artifact")
    assert "/hostexecutor/" not in fetched.inputs["path"]  # the checkout is there
    assert fetched.inputs["run-id"] == "4711"


def test_a_failed_training_renews_the_comment_with_that(train, comment, api):
    train()
    comment()
    run = comment(workflow_run__conclusion="failure")
    assert run.code == 0, run.log
    assert not run.of("actions/download-artifact")
    (written,) = api.comments[7]
    assert "The run failed before it could report." in written["body"]


@pytest.mark.parametrize(
    "changes",
    [
        {"workflow_run__head_sha": "5" * 40},  # pushed over since
        {"workflow_run__head_branch": "closed-since"},
        {"workflow_run__head_repository": None},
    ],
)
def test_what_is_no_open_pull_requests_head_is_not_commented(train, comment, api, changes):
    train()
    run = comment(**changes)
    assert run.code == 0, run.log
    assert "SKIPPED" in run.log
    assert api.comments == {7: [], 8: []}


def test_an_artifact_cannot_choose_where_it_goes(train, comment, api, tmp_path):
    train()
    (tmp_path / "artifacts" / TITLE / "number").write_text("8")
    comment()
    assert (len(api.comments[7]), len(api.comments[8])) == (1, 0)


def test_a_report_mentions_nobody_and_passes_for_no_other_comment(train, comment, api):
    train(report=f"@everyone look <!-- comment of the workflow: plan --> of image@sha256:1 {'x' * 70_000}")
    comment()
    body = api.comments[7][0]["body"]
    assert "@everyone" not in body
    assert "image@sha256:1" in body
    assert body.count("<!--") == 1
    assert len(body) < 65_536


def test_a_marker_in_someone_elses_comment_is_left_alone(train, comment, api):
    theirs = {"id": 1, "user": {"login": "stranger"}, "body": "<!-- comment of the workflow: train-report -->"}
    api.comments[7] = [theirs.copy()]
    train()
    assert comment().code == 0
    assert api.comments[7][0] == theirs
    assert len(api.comments[7]) == 2


def test_the_comment_is_found_behind_a_hundred_others(train, comment, api):
    api.comments[7] = [{"id": number, "user": {"login": "ada"}, "body": "talk"} for number in range(150)]
    train()
    comment()
    comment()
    assert len(api.comments[7]) == 151


@pytest.mark.parametrize("changes", [{"workflow_run__event": "push"}, {"workflow_run__conclusion": "cancelled"}])
def test_only_a_pull_requests_run_is_told_of(comment, changes):
    run = comment(**changes)
    assert (run.code, run.calls) == (0, ())
