"""Before the gate: the service's own code answers real examples with the new model, and must agree with training."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.served_model import load_served_version
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.errors import ServableError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.inference.predict import predict_with
from pipelines.common.artifacts import Registered
from pipelines.common.progress import stage
from pipelines.steps.features import features_as_of
from pipelines.steps.signing import deliver_version

EXAMPLES, NEWEST = 10, 1000
TOLERANCE = 1e-9  # a sum in another order: the service merges trees
CODE = Path(__file__).parents[2]


@task(cache_policy=NO_CACHE)
def check_servable(project: Project, examples_file: Path, registered: Registered) -> None:
    """Let the service answer ten of the newest examples, and compare features and predictions with training's.

    Raises
    ------
    ServableError
        Naming example, feature and cause; nothing is promoted.
    """
    with stage("servable") as progress, feast_store.hold_sources(project.settings):
        clock = feast_store.loaded_until(project.settings)
        if clock is None:
            raise ServableError("the online store holds no features; run `make materialise`, then train again")
        examples = choose_examples(pd.read_parquet(examples_file))
        with TemporaryDirectory(prefix="servable-") as temporary:
            folder = Path(temporary)
            found = registry.get_version(project.settings, project.problem.model_name, registered.version)
            deliver_version(project, found, folder, "shadow")
            answers = ask_service(project, registered.version, folder, clock, project.requests_of(examples))
            keys = read_trusted_keys(project.settings)
            model = load_served_version(folder, registered.version, keys, project.problem, "shadow")
        # Joined as training joins, but as of the clock, which is what the online store holds.
        asked = examples.assign(event_timestamp=pd.Timestamp(clock))
        features = features_as_of(project.settings, project.problem, project.requests, asked)
        predictions = predict_with(model.pipeline, project.problem, features)
        compare(examples["example_id"].tolist(), features, predictions, answers)
        progress.say(
            f"{len(examples)} examples are answered by the service as in training, as of {clock:%Y-%m-%d %H:%M} UTC"
        )


def choose_examples(examples: pd.DataFrame) -> pd.DataFrame:
    """Take up to ten, spread evenly over the newest thousand."""
    newest = examples.sort_values(["event_timestamp", "example_id"]).tail(NEWEST)
    return newest.iloc[np.unique(np.linspace(0, len(newest) - 1, EXAMPLES).astype(int))].reset_index(drop=True)


def ask_service(
    project: Project, version: str, folder: Path, clock: datetime, requests: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Let `serving.dry_run` answer requests in a process of its own; raises `ServableError` with what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "serving.dry_run", str(folder)],
        cwd=CODE,
        env=_environment(project.settings),
        input=json.dumps({"clock": clock.isoformat(), "requests": list(requests)}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServableError(
            f"version {version} was trained and cannot be served, so it is not promoted: {done.stderr.strip()}"
        )
    return list(json.loads(done.stdout))


def _environment(settings: Settings) -> dict[str, str]:
    prefix = str(Settings.model_config["env_prefix"])
    own = {
        "ROOT": settings.root,
        "PROBLEM_PACKAGE": settings.problem_package,
        "SIGNING__PUBLIC_KEY": settings.signing.public_key,
    }
    return os.environ | {f"{prefix}{name}": str(value) for name, value in own.items()}


def compare(
    names: Sequence[object], features: pd.DataFrame, predictions: np.ndarray, answers: Sequence[Mapping[str, Any]]
) -> None:
    """Demand that the service used and answered what training uses and predicts.

    Parameters
    ----------
    names
        Of the examples.
    features, predictions
        As training has them, a row an example.
    answers
        As `serving.dry_run` gives them.

    Raises
    ------
    ServableError
        Naming the first example and feature that differ.
    """
    for name, (_, row), prediction, answer in zip(names, features.iterrows(), predictions, answers, strict=True):
        for feature, served in answer["inputs"].items():
            trained = row[feature]
            if not is_same(trained, served):
                raise ServableError(
                    f"example {name}: {feature} is {_shown(trained)} in training and {_shown(served)} in the service; "
                    "both must come from one definition: look at its view in feature_repo/definitions.py, or at "
                    "request_features.py; or, where its table lost this key's rows, wait until what the online store "
                    "holds of it is older than the ttl. Nothing is promoted until they agree"
                )
        if not np.allclose(
            answer["prediction"], prediction, rtol=0, atol=TOLERANCE * max(1.0, np.abs(prediction).max())
        ):
            raise ServableError(
                f"example {name}: from the same features training predicts {prediction.tolist()!r} and the service "
                f"answers {answer['prediction']!r}; nothing is promoted until they agree"
            )


def is_same(trained: object, served: object) -> bool:
    """Say whether two values are one; missing is the same as missing."""
    if pd.isna(trained) or served is None:
        return bool(pd.isna(trained)) and served is None
    return trained == served


def _shown(value: object) -> str:
    return "missing" if value is None or pd.isna(value) else repr(value)
