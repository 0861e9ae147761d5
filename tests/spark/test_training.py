"""A whole training of the toy problem on each engine: the same training set, evaluation and verdict.

Not the digest of the model's file: that of two trainings on DuckDB differs too.
"""

import pandas as pd
import pytest
from prefect import flow
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flightline.core.project import Project
from flightline.training.fit import TrainingParameters
from pipelines.training import TrainingResult, run_training
from tests.pipelines.conftest import prefect_api, server  # noqa: F401 fixtures, which pytest finds by these names
from tests.spark.conftest import on_spark
from tests.support.clones import make_toy_clone

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
PARAMETERS = TrainingParameters(model="hist_gradient_boosting", max_iterations=30)


@flow(validate_parameters=False)
def training(project: Project) -> TrainingResult:
    return run_training(project, PARAMETERS)


def train_on(project: Project) -> TrainingResult:
    """Train with results of its own: they are kept by what they follow from, and that is not the engine."""
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: project.settings.state_dir / "results"}):
        return training(project)


def made_below(project: Project, file: str) -> pd.DataFrame:
    (found,) = (project.settings.state_dir / "training_sets").glob(f"*/{file}")
    return pd.read_parquet(found)


def test_both_engines_train_the_same_model(spark_engine, server, tmp_path):  # noqa: F811
    on_duckdb = make_toy_clone(tmp_path / "duckdb")
    other = make_toy_clone(tmp_path / "spark")
    other = other.at(on_spark(other.settings.root))
    expected, got = train_on(on_duckdb), train_on(other)
    pd.testing.assert_frame_equal(
        made_below(other, "features.parquet"), made_below(on_duckdb, "features.parquet"), check_exact=True
    )
    assert got.evaluation.metrics == expected.evaluation.metrics
    assert got.verdict.decision == expected.verdict.decision
    assert list((other.settings.state_dir / "spark").iterdir()) == []
