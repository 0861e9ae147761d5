"""What workflows ask of tools/ci/workflow.py: reasons to skip, a verdict over jobs, and the files that GitHub reads."""

import json
import os

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


@pytest.mark.parametrize(
    ("checks", "result", "failed"),
    [
        ("docs", "success", {}),
        ("none", "success", {}),
        ("all", "success", {"b": "skipped"}),
        ("", "success", {"b": "skipped"}),
        ("none", "failure", {"scope": "failure", "b": "skipped"}),
    ],
)
def test_what_the_scope_left_out_may_be_skipped(checks, result, failed):
    scope = {"result": result, "outputs": {"checks": checks}}
    assert failed_jobs({"scope": scope, "a": {"result": "success"}, "b": {"result": "skipped"}}) == failed


def test_what_the_caller_does_itself_may_be_skipped_and_may_not_fail():
    needs = {"scope": {"result": "success", "outputs": {"checks": "all"}}, "a": {"result": "skipped"}}
    assert failed_jobs(needs, ["a"]) == {}
    assert failed_jobs(needs | {"a": {"result": "failure"}}, ["a"]) == {"a": "failure"}
    assert failed_jobs(needs, [""]) == {"a": "skipped"}


def test_what_a_cache_brought_is_newer_than_the_checkout(tmp_path, monkeypatch, capsys):
    marks = [tmp_path / ".venv" / ".installed", tmp_path / ".tools" / "sbom" / ".installed"]
    for mark in [*marks, tmp_path / "locks" / "all.txt"]:
        mark.parent.mkdir(parents=True)
        mark.write_text("")
    for mark in marks:
        os.utime(mark, (0, 0))
    monkeypatch.chdir(tmp_path)
    assert main(["restored"]) == 0
    assert all(mark.stat().st_mtime >= (tmp_path / "locks" / "all.txt").stat().st_mtime for mark in marks)
    assert capsys.readouterr().out == "restored: .venv, .tools/sbom\n"


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
