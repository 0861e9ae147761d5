"""IAM's decision, for identity policies: may a role do this to that? Small, and tested by hand-made cases.

No kept library takes resources, tags and conditions together without AWS: moto passes conditions over, and
policy_sentry, which knows what each action takes (`reference`), decides nothing.
"""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Statement = Mapping[str, Any]
_REFERENCE = """
import json, sys
from policy_sentry.querying.actions import get_action_data
found = {}
for action in json.load(sys.stdin):
    service, name = action.split(":")
    rows = (get_action_data(service, name) or {}).get(service)
    found[action] = None if not rows else {row["resource_arn_format"]: row["condition_keys"] for row in rows}
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Request:
    """What IAM is asked: an action on one resource, and what is known of the request and the resource.

    Parameters
    ----------
    action
        As in a policy, such as ec2:DeleteVpc.
    resource
        ARN, or * for what takes no resource.
    context
        Values by condition key.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.action} on {self.resource} {dict(self.context)}"


def is_allowed(statements: Iterable[Statement], request: Request) -> bool:
    """Decide as IAM does: no if any statement denies it, else yes if one allows it."""
    effects = {one["Effect"] for one in statements if _applies(one, request)}
    return effects == {"Allow"}


def as_list(value: Any) -> list[Any]:
    """Give a value of a policy, which may stand alone or in a list, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def matches(pattern: str, value: str) -> bool:
    """Say whether a value is of a pattern with * and ?."""
    whole = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(whole, value, re.DOTALL) is not None


def _applies(statement: Statement, request: Request) -> bool:
    action = request.action.lower()
    if "NotAction" in statement:
        is_named = not any(matches(one.lower(), action) for one in as_list(statement["NotAction"]))
    else:
        is_named = any(matches(one.lower(), action) for one in as_list(statement["Action"]))
    if "NotResource" in statement:
        is_meant = not any(matches(one, request.resource) for one in as_list(statement["NotResource"]))
    else:
        is_meant = any(matches(one, request.resource) for one in as_list(statement["Resource"]))
    conditions = statement.get("Condition", {})
    return (
        is_named
        and is_meant
        and all(
            _holds(operator, request.context.get(key), [str(one) for one in as_list(values)])
            for operator, keys in conditions.items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, found: str | Sequence[str] | None, values: Sequence[str]) -> bool:
    quantifier, _, plain = operator.rpartition(":")
    if plain == "Null":
        return (found is None) == (values == ["true"])
    if found is None:
        return quantifier == "ForAllValues" or plain.endswith("IfExists")
    compare = {
        "StringEquals": str.__eq__,
        "StringLike": lambda one, pattern: matches(pattern, one),
        "ArnEquals": lambda one, pattern: matches(pattern, one),
        "ArnLike": lambda one, pattern: matches(pattern, one),
        "Bool": lambda one, other: one.lower() == other.lower(),
    }[plain.removesuffix("IfExists")]
    held = [any(compare(one, value) for value in values) for one in as_list(found)]
    return all(held) if quantifier == "ForAllValues" else any(held)


@cache
def reference(python: Path, actions: frozenset[str]) -> dict[str, dict[str, list[str]] | None]:
    """Give, by action, its ARN formats ("*": none) with the condition keys of each, by AWS's authorisation reference.

    Parameters
    ----------
    python
        Of an environment that holds policy_sentry.

    Returns
    -------
    dict
        None for an action that AWS does not know.
    """
    done = subprocess.run(
        [python, "-c", _REFERENCE], input=json.dumps(sorted(actions)), capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, list[str]] | None] = json.loads(done.stdout)
    return found
