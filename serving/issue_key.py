"""Issues, revokes and lists API keys: ``python -m serving.issue_key``."""

import argparse
import sys

from flightline.adapters.pipes import outlive_reader
from flightline.core.errors import StartError
from flightline.core.settings import Settings
from serving.middleware.api_keys import issue_key, read_keys, revoke_key


def main() -> int:
    """Do what the command line says; a key is printed once, on stdout."""
    parser = argparse.ArgumentParser(description="Issue, revoke and list API keys of the service.")
    parser.add_argument("--name", default="", help="issue a key for this team or program")
    parser.add_argument("--revoke", default="", help="revoke the key of this name")
    asked = parser.parse_args()
    try:
        lines = _run(Settings(), asked.name, asked.revoke)
    except StartError as err:
        sys.stderr.write(f"{type(err).__name__}: {err}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _run(settings: Settings, name: str, revoke: str) -> list[str]:
    file = settings.api_keys_file
    if name and revoke:
        raise StartError(f"got both NAME={name} and REVOKE={revoke}, expected one of them")
    if name:
        sys.stderr.write("keep it now, it cannot be shown again; send it as `Authorization: Bearer <key>`\n")
        return [issue_key(file, name)]
    if revoke:
        revoke_key(file, revoke)
        return [f"revoked: {revoke}; running services refuse it within seconds"]
    stored = [f"{key.name}  since {key.created:%Y-%m-%d %H:%M} UTC" for key in read_keys(file)]
    return stored or ["there is no key; issue one: make api-key NAME=team"]


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
