"""The canary in MLflow: its setting as one tag of the registered model, its decisions as runs."""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from flightline.adapters.mlflow.registry import connect, get_version, log_values, open_run
from flightline.core.errors import RegistryError
from flightline.core.settings import Settings
from flightline.promotion.canary import CanarySetting

TAG = "canary"


def read_canary(settings: Settings, name: str) -> CanarySetting | None:
    """Give the setting of the canary that runs, or None.

    Raises
    ------
    RegistryError
        If the tag holds something else.
    """
    text = connect(settings).get_registered_model(name).tags.get(TAG, "")
    if not text:
        return None
    try:
        return CanarySetting.model_validate_json(text)
    except ValidationError as err:
        raise RegistryError(
            f"the tag {TAG!r} of {name} is no setting of a canary; start it again with `make canary-start`, or end it "
            "with `make canary-stop`"
        ) from err


def write_canary(settings: Settings, name: str, setting: CanarySetting | None) -> None:
    """Set what runs beside the champion; None ends it. Services follow by their sync.

    Raises
    ------
    RegistryError
        If there is no such version.
    """
    if setting is not None:
        get_version(settings, name, setting.version)
    connect(settings).set_registered_model_tag(name, TAG, setting.model_dump_json() if setting else "")


def record_decision(settings: Settings, name: str, title: str, record: Mapping[str, object]) -> None:
    """Keep what was decided and what it rests on, as a run of the experiment ``<name>-canary``.

    Parameters
    ----------
    title
        Of the run.
    record
        Plain values; strings and numbers at its top are shown as parameters.
    """
    parameters = {key: value for key, value in record.items() if isinstance(value, str | int | float)}
    with open_run(settings, f"{name}-canary", title) as run_id:
        log_values(settings, run_id, parameters, {})
        connect(settings).log_text(run_id, json.dumps(record, indent=2, default=str), "decision.json")
