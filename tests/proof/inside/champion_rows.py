"""What the champion of a copy was made of, and the champion."""

import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.model_file import load_model
from flightline.core.project import Project


def champion_of(project: Project) -> registry.ModelVersion:
    """Find the champion."""
    champion = registry.version_of(project.settings, project.problem.model_name, registry.CHAMPION)
    if champion is None:
        raise SystemExit("the copy has no champion")
    return champion


def read(project: Project) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the examples and the features that the champion was made of."""
    folder = project.settings.state_dir / "training_sets" / champion_of(project).tags["training_set"][:16]
    return pd.read_parquet(folder / "examples.parquet"), pd.read_parquet(folder / "features.parquet")


def load(project: Project) -> Pipeline:
    """Load the champion."""
    champion = champion_of(project)
    return load_model(registry.download_model(project.settings, champion), champion.tags["model_sha256"])
