"""`make audit` with a stand-in for the advisory service: clean, vulnerable, and every way of not having heard it.

OSV itself was never reached where this was made: the stand-in answers in OSV's format, on loopback.
"""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from template.tests.workflows.local_github.act import PROJECT
from tools.ci.audit import locks_to_audit, pins

HASH = "sha256:" + "a" * 64
PINS = ("first==1.0", "second==2.0 ; sys_platform == 'win32'", "third==3.0")
LOCK = "".join(f"{pin} \\\n    --hash={HASH}\n" for pin in PINS)
ADVISORY = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "Runs what it is sent",
    "details": "",
    "aliases": ["CVE-2026-1"],
    "affected": [
        {
            "package": {"name": "first", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
            "versions": ["1.0"],
        }
    ],
}
CLEAN, NONSENSE, BROKEN = "{}", "<html>Please log in</html>", None


@contextmanager
def osv(answers):
    """Answer what the test wants about each package; for others that nothing is known."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            asked.append(name)
            answer = answers.get(name, CLEAN)
            self.send_response(200 if answer else 500)
            self.end_headers()
            self.wfile.write((answer or "").encode())

        def log_message(self, *arguments): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def audit(tmp_path):
    """Run the audit over a lock of three packages, one of them for another platform."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "all.txt").write_text(LOCK)

    def run(url, *options, github=False):
        program = PROJECT / ".tools" / "scans" / "bin" / "pip-audit"
        command = [sys.executable, "-m", "tools.ci.audit", "--pip-audit", str(program), "--osv-url", url]
        places = ["--locks", str(tmp_path / "locks"), "--accepted", str(tmp_path / "accepted.toml")]
        environment = {**os.environ, "GITHUB_ACTIONS": str(github).lower()}
        return subprocess.run(
            [*command, *places, *options], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_clean(audit):
    with osv({}) as (url, asked):
        done = audit(url)
    assert done.returncode == 0, done.stdout
    assert "2 packages, 0 with advisories; 1 for other platforms were not asked about" in done.stdout
    assert "audit: no advisory is known" in done.stdout
    assert sorted(asked) == ["first", "third"]


def test_vulnerable(audit):
    with osv({"first": json.dumps({"vulns": [ADVISORY]})}) as (url, _):
        done = audit(url, "--unreached", "warn")
    assert done.returncode == 1
    assert "first 1.0: PYSEC-2026-1" in done.stdout
    assert "audit: VULNERABLE" in done.stdout


def test_what_a_person_lets_through_is_written_down(audit, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    (tmp_path / "accepted.toml").write_text(
        '[[accepted]]\nid = "PYSEC-2026-1"\nuntil = 2020-01-01\nreason = "for now"\n'
    )
    with osv({"first": json.dumps({"vulns": [ADVISORY]})}) as (url, _):
        done = audit(url, "--advisories", "warn", github=True)
    assert done.returncode == 0, done.stdout
    assert "::warning title=Advisories let through::" in done.stdout
    assert (tmp_path / "page.md").read_text() == "**Advisories let through: first 1.0: PYSEC-2026-1**\n"


def test_who_lets_advisories_through_does_not_let_silence_through(audit):
    assert audit("http://127.0.0.1:9/v1/query", "--advisories", "warn").returncode == 3


@pytest.mark.parametrize("answer", [NONSENSE, BROKEN], ids=["a page that asks to log in", "an error"])
def test_one_package_that_was_not_heard_about_is_enough(audit, answer):
    with osv({"third": answer}) as (url, _):
        done = audit(url)
    assert done.returncode == 3
    assert "NOT AUDITED" in done.stdout
    assert "no advisory is known" not in done.stdout


def test_nobody_answers(audit):
    done = audit("http://127.0.0.1:9/v1/query")
    assert done.returncode == 3
    assert "audit: NOT AUDITED" in done.stdout
    assert "no advisory is known" not in done.stdout


def test_where_that_is_to_be_a_warning_it_still_says_so(audit):
    done = audit("http://127.0.0.1:9/v1/query", "--unreached", "warn", github=True)
    assert done.returncode == 0
    assert "audit: NOT AUDITED" in done.stdout
    assert "::warning title=NOT AUDITED::" in done.stdout


@pytest.mark.parametrize(
    ("until", "reason", "code"),
    [("2999-01-01", "only its server", 0), ("2020-01-01", "only its server", 1), ("2999-01-01", "", 1)],
)
def test_an_advisory_is_accepted_for_a_time_and_with_a_reason(audit, tmp_path, until, reason, code):
    (tmp_path / "accepted.toml").write_text(
        f'[[accepted]]\nid = "PYSEC-2026-1"\nuntil = {until}\nreason = "{reason}"\n'
    )
    with osv({"first": json.dumps({"vulns": [ADVISORY]})}) as (url, _):
        assert audit(url).returncode == code


def test_every_pin_of_the_project_is_in_an_audited_lock():
    folders = [PROJECT / "locks", PROJECT / "template" / "locks"]
    audited = {pin for lock in locks_to_audit(folders) for pin in pins(lock)}
    assert audited == {pin for folder in folders for lock in folder.glob("*.txt") for pin in pins(lock)}
    assert PROJECT / "locks" / "all.txt" in locks_to_audit(folders)


def test_the_real_service_is_heard_or_the_answer_is_not_audited():
    # What runs the tests has them installed: no environment is made anew from in here.
    installed = (".venv/.installed", ".tools/bin/uv", ".tools/scans/.installed")
    command = ["make", *(part for mark in installed for part in ("-o", mark)), "audit"]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": "", "MAKEFLAGS": ""},
    )  # fmt: skip
    said = [
        words for words in ("NOT AUDITED", "VULNERABLE", "no advisory is known") if f"audit: {words}" in done.stdout
    ]
    assert len(said) == 1
    assert (done.returncode == 0) == (said == ["no advisory is known"])
