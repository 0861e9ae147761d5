"""What MLflow keeps of the moves of `champion`; `registry.move_champion` makes them."""

from flightline.adapters.mlflow.registry import connect
from flightline.core.errors import RegistryError
from flightline.core.settings import Settings

MOST_MOVES = 1_000


def last_move(settings: Settings, name: str) -> dict[str, str] | None:
    """Give who moved `champion` last, from which version to which, and why."""
    moves = _moves(settings, name)
    return moves[-1] if moves else None


def version_before(settings: Settings, name: str) -> str:
    """Give the version that `champion` stood at before the one it stands at now; a rollback undoes a move.

    Raises
    ------
    RegistryError
        If there is none.
    """
    stood_at: list[str] = []
    for move in _moves(settings, name):
        if move["by"] == "rollback":
            while stood_at and stood_at[-1] != move["to_version"]:
                stood_at.pop()
        else:
            stood_at.append(move["to_version"])
    if len(stood_at) < 2:
        raise RegistryError(f"champion of {name} has stood at no other version before, so there is none to go back to")
    return stood_at[-2]


def _moves(settings: Settings, name: str) -> list[dict[str, str]]:
    """Give the moves of `champion`, the oldest first."""
    client = connect(settings)
    experiment = client.get_experiment_by_name(f"{name}-champion-moves")
    if experiment is None:
        return []
    runs = client.search_runs(
        [experiment.experiment_id],
        "attributes.status = 'FINISHED'",
        order_by=["attributes.start_time ASC"],
        max_results=MOST_MOVES,
    )
    return [dict(run.data.params) for run in runs]
