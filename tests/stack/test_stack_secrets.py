"""Passwords and keys of the stack: random, private, made once."""

import stat
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from serving.middleware.api_keys import digest_of
from tools.stack.secrets import PASSWORDS, ensure_secrets, read_environment


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_they_are_random_and_their_owners_alone(tmp_path: Path) -> None:
    for name in ("one", "other"):
        ensure_secrets(tmp_path / name)
    one, other = (read_environment(tmp_path / name / "stack.env") for name in ("one", "other"))
    values = [one[name] for name in PASSWORDS]
    assert len(set(values)) == len(PASSWORDS)
    assert not set(values) & set(other.values())
    assert min(map(len, values)) >= 32
    assert mode(tmp_path / "one" / "stack.env") == 0o600
    # What containers mount is readable there, and out of reach here.
    assert mode(tmp_path / "one" / "stack") == 0o700
    assert mode(tmp_path / "one" / "stack" / "api_key") == 0o600


def test_what_is_there_stays(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert ensure_secrets(tmp_path) == []
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_new_variables_are_added_and_a_persons_line_is_kept(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    file = tmp_path / "stack.env"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("STACK_REDIS_PASSWORD")]
    file.write_text("\n".join([*kept, "STACK_SERVICE_PORT=8001", ""]))
    assert ensure_secrets(tmp_path) == ["STACK_REDIS_PASSWORD"]
    assert read_environment(file)["STACK_SERVICE_PORT"] == "8001"
    assert set(kept[1:]) <= set(file.read_text().splitlines())


def test_a_key_that_was_changed_has_another_digest(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    (tmp_path / "stack" / "api_key").write_text("fl_another")
    assert ensure_secrets(tmp_path) == ["STACK_API_KEY_SHA256"]
    assert read_environment(tmp_path / "stack.env")["STACK_API_KEY_SHA256"] == digest_of("fl_another")


def test_the_public_key_is_that_of_the_private_one(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    private = load_pem_private_key((tmp_path / "stack" / "signing" / "key.pem").read_bytes(), None)
    public = load_pem_public_key((tmp_path / "stack" / "public" / "public.pem").read_bytes())
    assert private.curve.name == "secp256r1"
    assert private.public_key() == public
