"""API keys in their file: issued once, stored as digests, followed while the service runs."""

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flightline.core.errors import StartError
from flightline.core.settings import ApiKey
from serving.middleware import api_keys
from serving.middleware.api_keys import KeyRing, digest_of, issue_key, last_used, read_keys, revoke_key
from tests.support.servers.service_process import REPOSITORY, environment_of
from tests.support.waiting import HandClock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "api_keys.json"


@pytest.fixture
def ring(file: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    monkeypatch.setattr(api_keys, "CHECK_EVERY_SECONDS", 0.0)
    return KeyRing(file, {"fixed": digest_of("fl_fixed")})


def found(ring: KeyRing, key: str) -> str | None:
    """Give the name a ring finds for a key."""
    known = ring.find(key)
    return None if known is None else known.name


def test_the_file_holds_a_digest_and_only_its_owner_may_read_it(file: Path) -> None:
    key = issue_key(file, "team")
    assert key.startswith("fl_")
    assert len(key) >= 3 + 43
    assert key not in file.read_text()
    assert json.loads(file.read_text())["keys"][0]["sha256"] == digest_of(key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["api_keys.json"]


def test_several_keys_are_valid_at_once_until_each_is_revoked(file: Path, ring: KeyRing) -> None:
    one, two = issue_key(file, "one"), issue_key(file, "two")
    assert [found(ring, key) for key in (one, two, "fl_fixed")] == ["one", "two", "fixed"]
    revoke_key(file, "one")
    assert [found(ring, key) for key in (one, two, "fl_fixed")] == [None, "two", "fixed"]


@pytest.mark.parametrize("change", [lambda key: key[:-1], lambda key: key + "x", str.upper, lambda key: ""])
def test_almost_a_key_is_none(file: Path, ring: KeyRing, change) -> None:
    assert found(ring, change(issue_key(file, "team"))) is None


def test_a_digest_is_no_key(file: Path, ring: KeyRing) -> None:
    assert found(ring, digest_of(issue_key(file, "team"))) is None


def test_the_file_is_looked_at_again_after_a_second_at_the_earliest(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "time", clock := HandClock())
    ring = KeyRing(file, {})
    assert found(ring, "x") is None
    key = issue_key(file, "team")
    clock.forward(api_keys.CHECK_EVERY_SECONDS / 2)
    assert found(ring, key) is None
    clock.forward(api_keys.CHECK_EVERY_SECONDS / 2)
    assert found(ring, key) == "team"


@pytest.mark.parametrize("content", ["", "{", '{"keys": [{"name": "x"}]}', '{"keys": [], "more": 1}', "[]"])
def test_a_damaged_file_makes_no_key_valid(
    file: Path, ring: KeyRing, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = issue_key(file, "team")
    assert found(ring, key) == "team"
    file.write_text(content)
    assert found(ring, key) is None
    assert found(ring, "fl_fixed") == "fixed"
    assert "not a readable file of API keys" in caplog.text
    with pytest.raises(StartError, match="issue new ones"):
        read_keys(file)


def test_a_key_is_refused_from_its_expiry_on(file: Path, ring: KeyRing) -> None:
    now = datetime.now(UTC)
    gone = issue_key(file, "gone", expires=now - timedelta(hours=1), now=now - timedelta(days=1))
    valid = issue_key(file, "valid", expires=now + timedelta(days=1))
    assert [found(ring, key) for key in (gone, valid)] == [None, "valid"]
    with pytest.raises(StartError, match="expected a moment to come"):
        issue_key(file, "late", expires=now - timedelta(hours=1))


def test_a_key_file_of_before_goes_on_with_all_scopes(file: Path, ring: KeyRing) -> None:
    old = {"name": "old", "sha256": digest_of("fl_old"), "created": "2026-01-01T00:00:00Z"}
    file.parent.mkdir()
    file.write_text(json.dumps({"keys": [old]}))
    for key in (ring.find("fl_old"), ring.find("fl_fixed")):
        assert key is not None
        assert (key.expires, key.scopes) == (None, ("predict", "score", "metrics"))


def test_a_key_of_the_settings_may_have_an_expiry_and_scopes(file: Path) -> None:
    narrow = ApiKey(sha256=digest_of("fl_narrow"), scopes=("metrics",))
    gone = ApiKey(sha256=digest_of("fl_gone"), expires=datetime(2026, 1, 1, tzinfo=UTC))
    ring = KeyRing(file, {"narrow": narrow, "gone": gone})
    assert [found(ring, key) for key in ("fl_narrow", "fl_gone")] == ["narrow", None]


def test_a_scope_that_is_none_is_refused(file: Path) -> None:
    with pytest.raises(StartError, match="got the scopes 'admin', expected some of predict,score,metrics"):
        issue_key(file, "team", scopes=["admin"])


def test_the_last_use_is_kept_once_a_minute(file: Path, ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "time", clock := HandClock())
    issue_key(file, "team")
    used = file.with_suffix(".used") / "team"
    assert last_used(file, "team") is None
    ring.note_use("team")
    os.utime(used, (0, 0))
    ring.note_use("team")
    assert last_used(file, "team") == datetime.fromtimestamp(0, UTC), "within the minute the disk is left alone"
    clock.forward(api_keys.USE_EVERY_SECONDS)
    ring.note_use("team")
    assert last_used(file, "team") > datetime.fromtimestamp(0, UTC)
    revoke_key(file, "team")
    assert last_used(file, "team") is None


def test_a_last_use_that_cannot_be_kept_refuses_nobody(
    file: Path, ring: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    issue_key(file, "team")
    file.with_suffix(".used").write_text("in the way")
    ring.note_use("team")
    assert "the last use of an API key cannot be kept" in caplog.text


def test_a_file_taken_away_makes_no_key_valid(file: Path, ring: KeyRing) -> None:
    key = issue_key(file, "team")
    assert found(ring, key) == "team"
    file.unlink()
    assert found(ring, key) is None


@pytest.mark.parametrize("name", ["", "Team", "a b", "../x", "a\n", "x" * 41, "-a"])
def test_a_name_that_is_none_is_refused(file: Path, name: str) -> None:
    with pytest.raises(StartError, match="got the name"):
        issue_key(file, name)
    assert not file.exists()


def test_a_name_has_one_key(file: Path) -> None:
    issue_key(file, "team")
    with pytest.raises(StartError, match="has a key already"):
        issue_key(file, "team")


def test_what_is_not_there_cannot_be_revoked(file: Path) -> None:
    issue_key(file, "team")
    with pytest.raises(StartError, match="expected the name of a stored key: team"):
        revoke_key(file, "other")


def _command(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "serving.issue_key", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment_of(root), capture_output=True, text=True)


def test_the_command_issues_lists_and_revokes(tmp_path: Path) -> None:
    issued = _command(
        tmp_path, "--name", "team", "--expires", "2999-01-31", "--scope", "metrics,predict", "--revoke", ""
    )
    key = issued.stdout.strip()
    stored = tmp_path / ".state" / "api_keys.json"
    assert digest_of(key) in stored.read_text()
    listed = _command(tmp_path).stdout
    assert listed.startswith("team  since ")
    assert listed.endswith("until 2999-01-31 UTC  for predict,metrics  never used\n")
    assert key not in listed
    assert _command(tmp_path, "--revoke", "team").returncode == 0
    assert "there is no key" in _command(tmp_path).stdout
    wrong = _command(tmp_path, "--name", "No Name")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.strip().splitlines()[-1].startswith("StartError: got the name")
    assert "expected a day such as 2027-01-31" in _command(tmp_path, "--name", "x", "--expires", "soon").stderr


def test_no_permission_is_widened_by_a_loose_umask(file: Path) -> None:
    before = os.umask(0)
    try:
        issue_key(file, "team")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
