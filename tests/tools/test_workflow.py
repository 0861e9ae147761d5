"""What workflows ask of tools/ci/workflow.py: reasons to skip, a verdict over jobs, and the files that GitHub reads."""

import json

import pytest

from tools.ci.workflow import failed_jobs, main, reasons_to_skip

OWN = {"full_name": "owner/name"}


def request(login="ada", head=OWN, base=OWN):
    return {"pull_request": {"user": {"login": login}, "head": {"repo": head}, "base": {"repo": base}}}


@pytest.mark.parametrize(
    ("variables", "event", "why"),
    [
        ({"REGION": "x"}, {}, []),
        ({"REGION": "x"}, request(), []),
        ({}, {}, ["variables are not set: REGION"]),
        ({"REGION": ""}, {}, ["variables are not set: REGION"]),
        ({"REGION": "x"}, request(head={"full_name": "stranger/name"}), ["comes from stranger/name"]),
        ({"REGION": "x"}, request(head=None), ["comes from a fork"]),
        ({"REGION": "x"}, request(login="dependabot[bot]"), ["dependabot"]),
        ({}, request(head=None), ["comes from a fork", "not set: REGION"]),
    ],
)
def test_reasons_to_skip(variables, event, why):
    found = reasons_to_skip(["REGION"], variables, event)
    assert len(found) == len(why)
    assert all(part in reason for part, reason in zip(why, found, strict=True))


def test_skipped_and_cancelled_jobs_did_not_pass():
    results = {"a": "success", "b": "skipped", "c": "cancelled", "d": "failure", "e": None}
    failed = failed_jobs({name: {"result": result} for name, result in results.items()})
    assert failed == {"b": "skipped", "c": "cancelled", "d": "failure", "e": "None"}


@pytest.fixture
def github(tmp_path, monkeypatch):
    """The files by which a step speaks, empty."""
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "GITHUB_EVENT_PATH").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(("variables", "is_ready"), [('{"REGION": "x"}', "true"), ("{}", "false"), ("", "false")])
def test_ready_is_an_output_and_a_skip_is_told(github, monkeypatch, capsys, variables, is_ready):
    monkeypatch.setenv("VARIABLES", variables)
    assert main(["ready", "--needed", "REGION"]) == 0
    assert (github / "GITHUB_OUTPUT").read_text() == f"is_ready={is_ready}\n"
    assert ("SKIPPED" in capsys.readouterr().out) == (is_ready == "false")
    assert (github / "GITHUB_STEP_SUMMARY").exists() == (is_ready == "false")


@pytest.mark.parametrize(("results", "code"), [(["success"], 0), (["success", "skipped"], 1), ([], 1)])
def test_the_verdict_demands_results_and_that_all_passed(github, monkeypatch, results, code):
    monkeypatch.setenv("NEEDS", json.dumps({str(number): {"result": result} for number, result in enumerate(results)}))
    assert main(["verdict"]) == code


def test_a_summary_needs_its_file(github):
    assert main(["summary", "--file", str(github / "missing.md")]) == 1
    (github / "report.md").write_text("| a |")
    assert main(["summary", "--file", str(github / "report.md")]) == 0
    assert (github / "GITHUB_STEP_SUMMARY").read_text() == "| a |\n"
