"""Feature tables and a training set of the toy problem, on an engine of choice; for a process of its own, too."""

from pathlib import Path

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.engines import open_engine
from flightline.adapters.feast import feature_store as feast_store
from flightline.core.settings import Settings
from pipelines.steps.features import features_as_of
from tests.toy_problem import make_root


def compute(root: Path, **chosen: object) -> None:
    """Lay a root, and compute its feature tables and the training set of all examples into it.

    Parameters
    ----------
    chosen
        Settings; without any, DuckDB computes.
    """
    project = make_root(root)
    settings = Settings(root=root, **chosen)
    tables = tables_of(root)
    with open_engine(settings) as connection:
        raw = engine.load_raw(connection, settings.data_dir, project.raw_tables.contracts)
        groups = engine.build_groups(connection, raw, project.features)
        rows = project.features.examples(groups, project.problem).order_by("event_timestamp", "example_id")
        examples = engine.to_frame(rows)
        engine.write_feature_tables(groups, project.features.tables, tables, keys=project.key_names)
        feast_store.activate(settings, tables)
        feast_store.apply(settings)
        joined = features_as_of(settings, project.problem, project.requests, examples)  # by the same Spark
    joined.to_parquet(root / "training_set.parquet")


def tables_of(root: Path) -> Path:
    """Say where the feature tables are, once all of them are whole."""
    return Settings(root=root).features_dir / "toy"
