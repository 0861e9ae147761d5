"""What the flows tell Prefect has happened; `deployments.py` and `alerts.py` say what follows from it.

Each is an event about the model, and sent only by the run of a deployment (`make worker`, or ECS): from what a
person runs by hand nothing follows.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from textwrap import shorten

from prefect.events import emit_event
from prefect.runtime import deployment

from flightline.core.problem_spec import Problem
from flightline.monitoring.decision import Action
from flightline.promotion.gate import Decision, Verdict

LONGEST = 2_000  # characters; what is said in full lies in the records


class Announced(StrEnum):
    """The events that something follows from."""

    RETRAIN = "model.decision.retrain"
    NEW_DATA = "model.data.new-version"
    HOLD = "model.verdict.hold"
    REJECT = "model.verdict.reject"


def resource_id(problem: Problem) -> str:
    """Name what the events are about."""
    return f"model.{problem.model_name}"


def announce_decision(problem: Problem, action: Action, text: str, reasons: Sequence[str]) -> None:
    """Tell what monitoring came to: `model.decision.ok`, `.watch` or `.retrain`."""
    _announce(problem, f"model.decision.{action}", text, {"reasons": "; ".join(reasons)})


def announce_new_data(problem: Problem, learned: str | None, named: str) -> None:
    """Tell that data.dvc names a version that no model has learned from."""
    text = f"data.dvc names {named}; the newest model learned from {learned or 'none: there is no model yet'}"
    _announce(problem, Announced.NEW_DATA, text, {"learned": learned or "", "named": named})


def announce_verdict(problem: Problem, verdict: Verdict, version: str, champion: str | None) -> None:
    """Tell what the gate said: `model.verdict.promote`, `.hold` or `.reject`; nothing if no new model was judged."""
    if version == champion and verdict.decision is not Decision.PROMOTE:
        return
    text = f"version {version}: {verdict.decision}, champion was {f'version {champion}' if champion else 'none'}"
    event = f"model.verdict.{verdict.decision.lower()}"
    _announce(problem, event, text, {"version": version, "reasons": "; ".join(verdict.reasons)})


def _announce(problem: Problem, event: str, text: str, payload: Mapping[str, str]) -> None:
    if deployment.id is None:
        return
    resource = {"prefect.resource.id": resource_id(problem), "prefect.resource.name": problem.model_name}
    shortened = {
        name: shorten(value, LONGEST, placeholder=" ...") for name, value in {"summary": text, **payload}.items()
    }
    emit_event(event, resource, payload=shortened)
