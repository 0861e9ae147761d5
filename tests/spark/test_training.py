"""A whole training of the toy problem on each engine: the same training set, evaluation and verdict; then what uses it.

Not the digest of the model's file: that of two trainings on DuckDB differs too.
"""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
import pytest
from prefect import flow
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.project import Project
from flightline.promotion.gate import Decision
from flightline.training.fit import TrainingParameters
from pipelines import batch
from pipelines.commands import request
from pipelines.common.progress import Stage
from pipelines.promotion_steps.champion import load_version
from pipelines.replay.parity import check_parity
from pipelines.training import TrainingResult, run_training
from tests.pipelines.conftest import prefect_api, server  # noqa: F401 fixtures, which pytest finds by these names
from tests.serving.conftest import TestClient
from tests.spark.conftest import on_spark
from tests.support.clones import make_toy_clone
from tests.toy_problem import PROBLEM

pytestmark = [
    pytest.mark.usefixtures("spark_engine"),
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]
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


@dataclass(frozen=True)
class Trained:
    project: Project
    result: TrainingResult


@pytest.fixture(scope="module")
def on_duckdb(server: None, tmp_path_factory: pytest.TempPathFactory) -> Trained:  # noqa: F811
    project = make_toy_clone(tmp_path_factory.mktemp("by dückdb"))
    return Trained(project, train_on(project))


@pytest.fixture(scope="module")
def trained(server: None, tmp_path_factory: pytest.TempPathFactory) -> Trained:  # noqa: F811
    project = make_toy_clone(tmp_path_factory.mktemp("by spärk"))
    project = project.at(on_spark(project.settings.root))
    return Trained(project, train_on(project))


def test_both_engines_train_the_same_model(on_duckdb: Trained, trained: Trained) -> None:
    pd.testing.assert_frame_equal(
        made_below(trained.project, "features.parquet"),
        made_below(on_duckdb.project, "features.parquet"),
        check_exact=True,
    )
    assert trained.result.evaluation.metrics == on_duckdb.result.evaluation.metrics
    assert trained.result.verdict.decision == on_duckdb.result.verdict.decision == Decision.PROMOTE
    assert list((trained.project.settings.state_dir / "spark").iterdir()) == []


def score_known(project: Project, model: ServedModel) -> pd.DataFrame:
    """Score three days of known examples, and give what does not differ from run to run."""
    last = PROBLEM.first_clock
    scored = batch.score(
        project, model, batch.examples_between(project.settings, last - timedelta(days=3), last), Stage("score")
    )
    return scored.drop(columns=["prediction_id", "scored_at"])


def test_a_batch_is_scored_on_spark_as_on_duckdb(on_duckdb: Trained) -> None:
    project = on_duckdb.project
    model = load_version(project, on_duckdb.result.registered.version)
    expected = score_known(project, model)
    got = score_known(project.at(on_spark(project.settings.root)), model)
    assert len(expected) > 30
    assert (project.settings.state_dir / "spark").is_dir()
    pd.testing.assert_frame_equal(got, expected, check_exact=True)


def test_what_is_served_is_rebuilt_from_tables_of_spark(trained: Trained) -> None:
    from serving.app import create_app

    project = trained.project
    instances = [request.next_instance(project) | {"shop": shop} for shop in ("S01", "S02", None)]
    with TestClient(create_app(project)) as client:
        assert client.post(f"/v1/models/{PROBLEM.model_name}:predict", json={"instances": instances}).is_success
    report = check_parity(project)
    assert (report.predictions, report.mismatches) == (3, ())
    table = project.settings.features_dir / "current" / "shop_recent.parquet"
    rows = pd.read_parquet(table)
    rows.assign(**{name: rows[name] + 1 for name in rows.select_dtypes("float64")}).to_parquet(table)
    assert check_parity(project).mismatches
