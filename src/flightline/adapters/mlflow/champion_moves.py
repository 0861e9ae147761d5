"""Moves of the alias `champion`, and what MLflow keeps of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from mlflow.entities import Run

from flightline.adapters.mlflow.registry import CHAMPION, connect, get_version, has_model_file, open_run, version_of
from flightline.adapters.model_store.model_file import MODEL_FILE
from flightline.core.errors import ChampionMoveError, RegistryError
from flightline.core.settings import Settings

MOVERS = ("gate", "canary", "rollback")
MOST_MOVES, FEW_MOVES = 1_000, 100


def check_move(by: str, why: str, evidence: Mapping[str, object]) -> None:
    """Demand what a move of `champion` is recorded with.

    Raises
    ------
    RegistryError
        If the mover, the reason or the evidence is missing.
    """
    person = by.removeprefix("person:").strip() if by.startswith("person:") else ""
    if by not in MOVERS and not person:
        raise RegistryError(f"champion can be moved by {', '.join(MOVERS)} or person:<name>, got {by!r}")
    if not why.strip() or not evidence:
        raise RegistryError("champion was not moved: say why, and give the evidence")


def move_champion(
    settings: Settings,
    name: str,
    to_version: str,
    *,
    by: str,
    why: str,
    evidence: Mapping[str, object],
    instead_of: str | None = None,
) -> None:
    """Move the alias `champion`: the only place in the project that does.

    The move is a run of the experiment ``<name>-champion-moves``, with the evidence as an
    artifact, so that moves are never overwritten and can be read in MLflow's pages.

    Parameters
    ----------
    by
        gate, canary, rollback, or a named person as ``person:<name>``.
    evidence
        What it rests on; not empty.
    instead_of
        The version that was compared with, where champion must still stand; empty: there must be none; None: any.

    Raises
    ------
    RegistryError
        If the mover, the reason or the evidence is missing, there is no such version or it has no model file, or
        champion stands elsewhere than it was compared with.
    """
    check_move(by, why, evidence)
    if not has_model_file(settings, get_version(settings, name, to_version)):
        raise RegistryError(
            f"champion was not moved: the registry holds no {MODEL_FILE} of version {to_version} any more; put its "
            "artifacts back, or train it again with `make train`"
        )
    client = connect(settings)
    before = version_of(settings, name, CHAMPION)
    stands_at = str(before.version) if before else ""
    if instead_of not in (None, stands_at):
        raise RegistryError(
            f"champion was not moved: version {to_version} was compared with version {instead_of or 'none'}, and "
            f"champion stands at version {stands_at or 'none'} by now; judge it again: `make train` or `make canary`"
        )
    moved = {"from_version": stands_at or "none", "to_version": to_version, "by": by, "why": why}
    record = {**moved, "at": datetime.now(UTC).isoformat(), "evidence": dict(evidence)}
    with open_run(settings, f"{name}-champion-moves", f"to version {to_version}") as run_id:
        for key, value in moved.items():
            client.log_param(run_id, key, value)
        client.log_text(run_id, json.dumps(record, indent=2, default=str), "move.json")
        client.set_registered_model_alias(name, CHAMPION, to_version)


def last_move(settings: Settings, name: str) -> dict[str, str] | None:
    """Give who moved `champion` last, from which version to which, and why."""
    moves = _moves(settings, name, 1)
    return moves[-1] if moves else None


def champions(settings: Settings, name: str) -> list[str]:
    """Give the versions that `champion` has stood at, the last one last, without those that were rolled back."""
    stood_at: list[str] = []
    for move in _moves(settings, name, MOST_MOVES):
        to = move["to_version"]
        if move["by"] == "rollback":
            while stood_at and stood_at[-1] != to:
                stood_at.pop()
        if not stood_at or stood_at[-1] != to:  # a champion that is promoted again was not before itself
            stood_at.append(to)
    now = version_of(settings, name, CHAMPION)
    if now is not None and stood_at[-1:] != [str(now.version)]:  # its move was broken off once it stood there
        stood_at.append(str(now.version))
    return stood_at


def version_before(settings: Settings, name: str) -> str:
    """Give the version that `champion` stood at before the one it stands at now; a rollback undoes a move.

    Raises
    ------
    RegistryError
        If there is none.
    """
    stood_at = champions(settings, name)
    if len(stood_at) < 2:
        raise RegistryError(f"champion of {name} has stood at no other version before, so there is none to go back to")
    return stood_at[-2]


def check_recorded(settings: Settings, name: str, version: str) -> None:
    """Demand that a recorded move has put `champion` where it points.

    Raises
    ------
    ChampionMoveError
        If the last one went to another version, or there is none.
    """
    recorded = None
    for run in _runs(settings, name, "attributes.status != 'FAILED'", FEW_MOVES):
        recorded = run.data.params.get("to_version")
        # A move that goes on, or was broken off, has set the alias or not.
        if recorded == version or run.info.status == "FINISHED":
            break
    if recorded != version:
        raise ChampionMoveError(
            f"champion of {name} points at version {version}, but the last recorded move put it at "
            f"{f'version {recorded}' if recorded else 'none'}: somebody moved the alias past `make promote`, the gate "
            f'and the canary; look for who it was, then `make promote VERSION={recorded or version} BY=you WHY="..."`'
        )


def _moves(settings: Settings, name: str, most: int) -> list[dict[str, str]]:
    """Give the last moves of `champion`, the oldest first."""
    return [dict(run.data.params) for run in reversed(_runs(settings, name, "attributes.status = 'FINISHED'", most))]


def _runs(settings: Settings, name: str, which: str, most: int) -> list[Run]:
    """Give the runs of moves, the newest first."""
    client = connect(settings)
    experiment = client.get_experiment_by_name(f"{name}-champion-moves")
    if experiment is None:
        return []
    newest_first = ["attributes.start_time DESC"]
    return list(client.search_runs([experiment.experiment_id], which, order_by=newest_first, max_results=most))
