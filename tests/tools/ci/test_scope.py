"""What a run has to check: documents alone, a tree that passed before, or all of it; and what is not deployed."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tools.ci import head
from tools.ci.scope import LABEL, main

PREFIX = "/repos/owner/name/"
RUNS = "actions/workflows/ci.yml/runs"
RUN = {"id": 3, "html_url": "https://example.org/runs/3"}
QUEUED = "refs/heads/gh-readonly-queue/main/pr-7-0123456789abcdef"


class Handler(BaseHTTPRequestHandler):
    """Answers what a test has put into `known`, by path and the event of the query; else that there is nothing."""

    def do_GET(self):
        path, query = urlsplit(self.path).path.removeprefix(PREFIX), parse_qs(urlsplit(self.path).query)
        self.server.asked.append((path, query))
        answer = self.server.known.get(f"{path}?{query['event'][0]}" if "event" in query else path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments):
        """Say nothing."""


class Repository:
    """A git repository of one commit on another, and what GitHub knows of it."""

    def __init__(self, root, server):
        self.root, self.known, self.asked = root, server.known, server.asked
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit({"README.md": "1", "src/a.py": "1"})
        self.parent = self.git("rev-parse", "HEAD")

    def git(self, *arguments):
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, files):
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a change")
        self.sha, self.tree = self.git("rev-parse", "HEAD"), self.git("rev-parse", "HEAD^{tree}")

    def request(self, *labels, merged_at="2026-11-29T10:00:00Z"):
        return {
            "number": 7,
            "head": {"sha": "f" * 40},
            "labels": [{"name": each} for each in labels],
            "merged_at": merged_at,
        }


@pytest.fixture
def repository(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.known, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.setenv("GITHUB_TOKEN", "token")
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    try:
        yield Repository(tmp_path / "clone", server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def scope(repository, tmp_path, monkeypatch):
    """Run the command for an event and give what it put out, with what is on the run's page."""

    def run(name, event):
        (tmp_path / "event.json").write_text(json.dumps(event))
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
        monkeypatch.setenv("GITHUB_EVENT_NAME", name)
        assert main(["--workflow", "ci"]) == 0
        outputs = dict(line.split("=") for line in (tmp_path / "GITHUB_OUTPUT").read_text().splitlines())
        return outputs["checks"], outputs["advisories"], (tmp_path / "GITHUB_STEP_SUMMARY").read_text()

    return run


@pytest.mark.parametrize(
    ("files", "checks"),
    [
        ({"README.md": "2", "docs/deploy.md": "2", ".github/ISSUE_TEMPLATE/fault.yml": "2"}, "docs"),
        ({"README.md": "2", "src/a.py": "2"}, "all"),
        ({"src/notes.md": "2"}, "all"),
        ({".github/workflows/ci.yml": "2"}, "all"),
    ],
)
@pytest.mark.parametrize("name", ["pull_request", "merge_group"])
def test_documents_alone_get_the_checks_of_documents(repository, scope, name, files, checks):
    repository.commit(files)
    repository.known["pulls/7"] = repository.request()
    event = {"pull_request": {"number": 7}} if name == "pull_request" else {}
    event |= {"merge_group": {"base_sha": repository.parent, "head_ref": QUEUED}} if name == "merge_group" else {}
    assert scope(name, event)[:2] == (checks, "fail")


def test_a_file_that_is_moved_into_the_documents_was_one_of_the_code(repository, scope):
    (repository.root / "docs").mkdir()
    repository.git("mv", "src/a.py", "docs/a.py")
    repository.commit({})
    repository.known["pulls/7"] = repository.request()
    assert scope("pull_request", {"pull_request": {"number": 7}})[0] == "all"


@pytest.fixture
def proved(repository):
    """A commit of main that a squash made of a pull request, whose own tree is the same and passed."""
    repository.commit({"src/a.py": "2"})
    repository.known |= {
        f"commits/{repository.sha}/pulls": [repository.request()],
        f"git/commits/{'f' * 40}": {"tree": {"sha": repository.tree}},
        f"compare/{repository.parent}...{'f' * 40}": {"behind_by": 0},
        f"{RUNS}?merge_group": {"workflow_runs": []},
        f"{RUNS}?pull_request": {"workflow_runs": [RUN]},
        "actions/runs/3/jobs": {"jobs": [{"conclusion": "success"}, {"conclusion": "success"}]},
    }
    return repository


def test_a_tree_that_has_passed_is_not_checked_again(proved, scope):
    checks, _, page = scope("push", {})
    assert checks == "none"
    assert f"the tree {proved.tree[:10]} passed all checks in https://example.org/runs/3" in page


def test_a_merge_queues_run_is_of_the_very_commit(proved, scope):
    proved.known[f"commits/{proved.sha}/pulls"] = []
    assert scope("push", {})[0] == "all"
    proved.known[f"{RUNS}?merge_group"] = {"workflow_runs": [RUN]}
    assert scope("push", {})[0] == "none"
    (query,) = (query for path, query in proved.asked[-3:] if path == RUNS)
    assert (query["head_sha"], query["status"]) == ([proved.sha], ["success"])


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        (f"{RUNS}?pull_request", {"workflow_runs": []}),
        ("actions/runs/3/jobs", {"jobs": [{"conclusion": "success"}, {"conclusion": "skipped"}]}),
        ("actions/runs/3/jobs", {"jobs": []}),
        (f"{RUNS}?merge_group", None),
    ],
)
def test_a_run_that_left_something_out_or_is_not_known_proves_nothing(proved, scope, what, answer):
    proved.known[what] = answer
    assert scope("push", {})[0] == "all"


@pytest.mark.parametrize("gone", ["another tree", "behind main", "not merged"])
def test_a_pull_request_that_tested_another_tree_proves_nothing(proved, scope, gone):
    if gone == "another tree":
        proved.known[f"git/commits/{'f' * 40}"] = {"tree": {"sha": "0" * 40}}
    elif gone == "behind main":
        proved.known[f"compare/{proved.parent}...{'f' * 40}"] = {"behind_by": 1}
    else:
        proved.known[f"commits/{proved.sha}/pulls"] = [proved.request(merged_at=None)]
    assert scope("push", {})[0] == "all"


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pull_request", {"pull_request": {"number": 7}}),
        ("merge_group", {"merge_group": {"base_sha": "HEAD^1", "head_ref": QUEUED}}),
        ("push", {}),
    ],
)
@pytest.mark.parametrize(("labels", "advisories"), [([LABEL], "warn"), (["bug"], "fail")])
def test_a_label_lets_advisories_through_and_it_is_written_down(repository, scope, name, event, labels, advisories):
    repository.commit({"src/a.py": "2"})
    repository.known["pulls/7"] = repository.request(*labels)
    repository.known[f"commits/{repository.sha}/pulls"] = [repository.request(*labels)]
    repository.known[f"{RUNS}?merge_group"] = {"workflow_runs": []}
    repository.known[f"git/commits/{'f' * 40}"] = {"tree": {"sha": "0" * 40}}
    checks, found, page = scope(name, event)
    assert (checks, found) == ("all", advisories)
    assert (f"pull request #7 has the label `{LABEL}`" in page) == (advisories == "warn")


def test_where_github_is_not_heard_all_is_checked(repository, scope, monkeypatch):
    repository.commit({"src/a.py": "2"})
    monkeypatch.delenv("GITHUB_TOKEN")
    checks, advisories, page = scope("push", {})
    assert (checks, advisories) == ("all", "fail")
    assert "GITHUB_TOKEN missing" in page


@pytest.mark.parametrize("is_head", [True, False])
def test_only_the_head_of_the_branch_is_deployed(repository, monkeypatch, capsys, is_head):
    repository.known["git/ref/heads/main"] = {"object": {"sha": "a" * 40 if is_head else "b" * 40}}
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    monkeypatch.setenv("GITHUB_SHA", "a" * 40)
    assert head.main() == int(not is_head)
    said = "this run is of aaaaaaaaaa, and main is at bbbbbbbbbb, whose own run deploys"
    assert (said in capsys.readouterr().out) != is_head


def test_where_github_does_not_say_which_is_the_head_nothing_is_deployed(repository, monkeypatch):
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    monkeypatch.setenv("GITHUB_SHA", "a" * 40)
    assert head.main() == 1
