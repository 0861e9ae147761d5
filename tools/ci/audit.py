"""Asks the advisory service about every locked package: `make audit`.

It never says that nothing is known when it did not hear that: a service that was not reached, or a
package that was passed over, is "NOT AUDITED".
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flightline.adapters.files.pipes import outlive_reader
from tools.ci.workflow import append

ROOT = Path(__file__).parents[2]
ACCEPTED = ROOT / "locks" / "accepted-advisories.toml"
OSV = "https://api.osv.dev/v1/query"
VULNERABLE, NOT_AUDITED = 1, 3
LIMIT_SECONDS = 1200


class NotAudited(Exception):  # noqa: N818 it is an answer of its own, and the one that must not be taken for another
    """The advisory service was not heard about all packages; the message says why."""


class ExpiredError(ValueError):
    """An advisory was accepted for a time, which is over."""


@dataclass(frozen=True)
class Audit:
    """What the advisory service said of one lock.

    Parameters
    ----------
    packages
        How many it was asked about.
    advisories
        By "package version", the identifiers.
    """

    packages: int
    advisories: Mapping[str, list[str]]


def pins(lock: Path) -> set[str]:
    """Read what a lock pins, as "name==version"."""
    return set(
        re.findall(r"^([a-z0-9][\w.-]*(?:\[[^]]*\])?==[^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    )


def locks_to_audit(folders: Iterable[Path]) -> list[Path]:
    """Choose the locks that pin something that no larger one pins."""
    chosen: list[Path] = []
    locks = [lock for folder in folders for lock in folder.glob("*.txt")]
    for lock in sorted(locks, key=lambda file: -len(pins(file))):
        if pins(lock) - {pin for other in chosen for pin in pins(other)}:
            chosen.append(lock)
    return chosen


def accepted(file: Path, today: datetime.date) -> list[str]:
    """Read which advisories a team has looked at and lives with for a time.

    Raises
    ------
    ValueError
        If an entry has no reason.
    ExpiredError
        If its time is over.
    """
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("accepted", []) if file.is_file() else []
    for entry in entries:
        if not {"id", "until", "reason"} <= entry.keys() or not entry["reason"]:
            raise ValueError(f"{file.name}: {entry} needs id, until (a date) and reason")
        if entry["until"] < today:
            raise ExpiredError(
                f"{file.name}: {entry['id']} was accepted until {entry['until']}: update the package, or decide anew"
            )
    return [entry["id"] for entry in entries]


def audit(pip_audit: Path, lock: Path, url: str, ignored: list[str]) -> Audit:
    """Ask about the packages of one lock that this platform installs.

    Raises
    ------
    NotAudited
        If the service was not reached, answered nonsense, or a package was passed over.
    """
    command = [str(pip_audit), "--requirement", str(lock), "--require-hashes", "--disable-pip", "--format", "json"]
    command += ["--vulnerability-service", "osv", "--osv-url", url, "--progress-spinner", "off"]
    command += [part for each in ignored for part in ("--ignore-vuln", each)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired as err:
        raise NotAudited(f"no answer within {LIMIT_SECONDS} s") from err
    try:
        # Judged by what it wrote: its exit code is 1 both for an advisory and for a network that is down.
        asked: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError) as err:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise NotAudited(f"pip-audit ended with {done.returncode}: {last[-300:]}") from err
    if skipped := [f"{each['name']} ({each['skip_reason']})" for each in asked if "skip_reason" in each]:
        raise NotAudited(f"{len(skipped)} of {len(asked)} packages were passed over: {', '.join(skipped[:5])}")
    if not asked:
        raise NotAudited("pip-audit asked about no package at all")
    found = {f"{each['name']} {each['version']}": [vuln["id"] for vuln in each["vulns"]] for each in asked}
    return Audit(len(asked), {name: ids for name, ids in found.items() if ids})


def audit_all(pip_audit: Path, locks: Iterable[Path], url: str, ignored: list[str]) -> dict[Path, Audit | NotAudited]:
    """Ask about lock after lock, until the service is not heard."""
    results: dict[Path, Audit | NotAudited] = {}
    for lock in locks:
        try:
            results[lock] = audit(pip_audit, lock, url, ignored)
        except NotAudited as err:
            results[lock] = err
            break  # the next would wait for the same service
    return results


def report(results: Mapping[Path, Audit | NotAudited]) -> int:
    """Print what was heard of each lock, and give the exit code."""
    for lock, result in results.items():
        if isinstance(result, NotAudited):
            print(f"  {lock.name:16} NOT AUDITED: {result}")
            continue
        others = len({pin.split("==")[0] for pin in pins(lock)}) - result.packages
        rest = f"; {others} for other platforms were not asked about" if others > 0 else ""
        print(f"  {lock.name:16} {result.packages} packages, {len(result.advisories)} with advisories{rest}")
        for name, ids in result.advisories.items():
            print(f"    {name}: {', '.join(ids)}")
    if any(isinstance(each, Audit) and each.advisories for each in results.values()):
        print("audit: VULNERABLE: raise the bound in pyproject.toml or locks/*.in and run make lock;")
        print(f"  or accept it for a time in locks/{ACCEPTED.name}, with the reason")
        return VULNERABLE
    if any(isinstance(each, NotAudited) for each in results.values()):
        print("audit: NOT AUDITED: the advisory service was not heard about all packages, so nothing is known of them")
        return NOT_AUDITED
    print("audit: no advisory is known for what the locks pin")
    return 0


def let_through(results: Mapping[Path, Audit | NotAudited]) -> None:
    """Write down, on the run's page too, which advisories a person let through."""
    audits = [result for result in results.values() if isinstance(result, Audit)]
    found = sorted({f"{name}: {', '.join(ids)}" for each in audits for name, ids in each.advisories.items()})
    sentence = f"Advisories let through: {'; '.join(found)}"
    print(f"::warning title=Advisories let through::{sentence}" if _is_github() else f"audit: {sentence}")
    append("GITHUB_STEP_SUMMARY", f"**{sentence}**")


def _is_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def main(arguments: list[str] | None = None) -> int:
    """Audit every lock; 0 if all is clean, 1 with an advisory, 3 if not all was audited (0 with `--unreached warn`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pip-audit", type=Path, required=True)
    parser.add_argument("--locks", type=Path, nargs="+", default=[ROOT / "locks", *ROOT.glob("*/locks")])
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    parser.add_argument("--osv-url", default=OSV, help="where OSV, or a mirror of it, answers")
    parser.add_argument("--unreached", choices=["fail", "warn"], default="fail")
    parser.add_argument(
        "--advisories", choices=["fail", "warn"], default="fail", help="warn: a person lets them through"
    )
    given = parser.parse_args(arguments)
    try:
        ignored = accepted(given.accepted, datetime.datetime.now(datetime.UTC).date())
    except ExpiredError as err:
        print(f"audit: {err}", file=sys.stderr)
        if given.advisories == "fail":
            return VULNERABLE
        ignored = []
    except ValueError as err:
        print(f"audit: {err}", file=sys.stderr)
        return VULNERABLE
    results = audit_all(given.pip_audit, locks_to_audit(given.locks), given.osv_url, ignored)
    code = report(results)
    if code == VULNERABLE and given.advisories == "warn":
        let_through(results)
        return 0
    if code == NOT_AUDITED and given.unreached == "warn":
        if _is_github():
            print("::warning title=NOT AUDITED::the advisory service was not heard about all packages")
        return 0
    return code


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
