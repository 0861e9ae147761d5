"""What MLflow keeps of the moves of `champion`; `registry.move_champion` makes them."""

from mlflow.entities import Run

from flightline.adapters.mlflow.registry import connect
from flightline.core.errors import ChampionMoveError, RegistryError
from flightline.core.settings import Settings

MOST_MOVES, FEW_MOVES = 1_000, 100


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
