"""Passwords and keys of the stack, made once: `.state/stack.env` and the files beside it. No Docker.

There is no default for any of them. What is there is kept, since PostgreSQL and Grafana keep the
password that they were first started with; what a newer version asks for besides is added.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from flightline.adapters.files.atomic_write import atomic_write
from serving.middleware.api_keys import PREFIX, digest_of
from tools.stack.alerts import alertmanager_config

FILE, FOLDER = "stack.env", "stack"
BYTES = 24
# By the file that holds the key, the variable that holds its digest, which is all that the service is told.
KEYS = {"api_key": "STACK_API_KEY_SHA256", "metrics_key": "STACK_METRICS_KEY_SHA256"}
# Whom Alertmanager tells; a person writes it into stack.env. The digest makes compose start it anew after a change.
ALERTS_URL, ALERTS_SHA256 = "STACK_ALERTS_URL", "STACK_ALERTS_SHA256"
PASSWORDS = (
    "STACK_POSTGRES_PASSWORD",
    "STACK_MLFLOW_PASSWORD",
    "STACK_PREFECT_DATABASE_PASSWORD",
    "STACK_PREDICTIONS_PASSWORD",
    "STACK_FEAST_PASSWORD",
    "STACK_FEAST_READER_PASSWORD",
    "STACK_REDIS_PASSWORD",
    "STACK_ARTIFACTS_KEY",
    "STACK_ARTIFACTS_SECRET",
    "STACK_PREFECT_PASSWORD",
    "STACK_GRAFANA_PASSWORD",
)


def read_environment(file: Path) -> dict[str, str]:
    """Read the variables of a file of NAME=value lines; none if there is no file."""
    if not file.is_file():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_][A-Z0-9_]*=", line))


def ensure_secrets(state_dir: Path) -> list[str]:
    """Make what is missing of the stack's passwords and keys; say what was made.

    Parameters
    ----------
    state_dir
        Gets stack.env, readable by its owner alone, and the folder stack/, which its owner alone enters. Files
        in there that containers mount are readable, for the users in them have other ids.

    Raises
    ------
    ValueError
        If STACK_ALERTS_URL is no address.
    """
    folder = state_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = _ensure_files(folder)
    file = state_dir / FILE
    held = read_environment(file)
    wanted: dict[str, Callable[[], str]] = dict.fromkeys(PASSWORDS, lambda: secrets.token_hex(BYTES))
    missing = {name: make() for name, make in wanted.items() if not held.get(name)}
    # A key's file is what counts: whoever changes it changes the digest.
    digests = {name: digest_of((folder / key).read_text(encoding="ascii").strip()) for key, name in KEYS.items()}
    digests[ALERTS_SHA256] = _write_alerts(folder, held.get(ALERTS_URL, ""))
    missing |= {name: digest for name, digest in digests.items() if held.get(name) != digest}
    if missing:
        _write(file, {**held, **missing}, 0o600)
    return made + sorted(missing)


def _write_alerts(folder: Path, url: str) -> str:
    """Write Alertmanager's configuration, which holds the URL, and give its digest."""
    text = alertmanager_config(url)
    (folder / "alertmanager").mkdir(exist_ok=True)
    (folder / "alertmanager").chmod(0o755)
    _write_text(folder / "alertmanager" / "alertmanager.yml", text, 0o644)
    return digest_of(text)


def _ensure_files(folder: Path) -> list[str]:
    made = []
    for name in KEYS:
        if not (folder / name).is_file():
            mode = 0o644 if name == "metrics_key" else 0o600  # Prometheus reads its own
            _write_text(folder / name, PREFIX + secrets.token_urlsafe(32), mode)
            made.append(name)
    if not (folder / "signing" / "key.pem").is_file():
        _make_signing_key(folder)
        made.append("signing key")
    return made


def _make_signing_key(folder: Path) -> None:
    """Make the key that signs models at their registration; its public half lies apart for those who only verify."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for name in ("signing", "public"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o755)
        _write_text(folder / name / "public.pem", public, 0o644)
    _write_text(folder / "signing" / "key.pem", private, 0o644)


def _write(file: Path, variables: Mapping[str, str], mode: int) -> None:
    head = "# Passwords of the stack, made by `make stack-up`. Keep it with the volumes, which know no others.\n"
    _write_text(file, head + "".join(f"{name}={value}\n" for name, value in variables.items()), mode)


def _write_text(file: Path, text: str, mode: int) -> None:
    """Write a file that is never there with wider rights than it is to have, nor half."""
    with atomic_write(file) as unfinished:
        unfinished.touch(mode=0o600)
        unfinished.write_text(text, encoding="ascii")
        unfinished.chmod(mode)
