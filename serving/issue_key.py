"""Issues, revokes and lists API keys: ``python -m serving.issue_key``."""

import argparse
import sys
from datetime import UTC, date, datetime

from flightline.adapters.files.pipes import outlive_reader
from flightline.core.environment import read_settings
from flightline.core.errors import SettingsError, StartError
from flightline.core.settings import SCOPES, Settings
from serving.middleware.api_keys import StoredKey, issue_key, last_used, read_keys, revoke_key


def main() -> int:
    """Do what the command line says; a key is printed once, on stdout."""
    parser = argparse.ArgumentParser(description="Issue, revoke and list API keys of the service.")
    parser.add_argument("--name", default="", help="issue a key for this team or program")
    parser.add_argument("--expires", default="", help="the first day (UTC) on which it is refused, as 2027-01-31")
    parser.add_argument("--scope", default="", help=f"what it is for, with commas: {','.join(SCOPES)}; empty: all")
    parser.add_argument("--revoke", default="", help="revoke the key of this name")
    try:
        lines = _run(read_settings(), parser.parse_args())
    except (SettingsError, StartError) as err:
        sys.stderr.write(f"{type(err).__name__}: {err}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _run(settings: Settings, options: argparse.Namespace) -> list[str]:
    file, name, revoke = settings.api_keys_file, options.name, options.revoke
    if name and revoke:
        raise StartError(f"got both NAME={name} and REVOKE={revoke}, expected one of them")
    if (options.expires or options.scope) and not name:
        raise StartError("got EXPIRES or SCOPE without NAME, expected them with a key that is issued")
    if name:
        key = issue_key(file, name, _midnight(options.expires), options.scope.split(",") if options.scope else SCOPES)
        sys.stderr.write("keep it now, it cannot be shown again; send it as `Authorization: Bearer <key>`\n")
        return [key]
    if revoke:
        revoke_key(file, revoke)
        return [f"revoked: {revoke}; running services refuse it within seconds"]
    stored = [_line(key, last_used(file, key.name)) for key in read_keys(file)]
    return stored or ["there is no key; issue one: make api-key NAME=team"]


def _midnight(day: str) -> datetime | None:
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    except ValueError as err:
        raise StartError(f"got EXPIRES={day[:40]}, expected a day such as 2027-01-31") from err


def _line(key: StoredKey, used: datetime | None) -> str:
    since = f"since {key.created:%Y-%m-%d %H:%M} UTC" if key.created else "since an unknown day"
    until = f"until {key.expires:%Y-%m-%d} UTC" if key.expires else "no expiry"
    last = f"last used {used:%Y-%m-%d %H:%M} UTC" if used else "never used"
    return f"{key.name}  {since}  {until}  for {','.join(key.scopes)}  {last}"


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
