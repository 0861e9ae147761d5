"""Two weeks of the toy problem lived through by the service's own code, with a broken feature and a challenger."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from flightline.adapters.event_clock import read_clock, set_clock
from flightline.adapters.model_store.signing_keys import open_signer
from flightline.adapters.prediction_log.challenger_counts import read_counts
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import RequestError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.monitoring.replay_plan import Plan
from pipelines.demo.__main__ import live_weeks
from pipelines.demo.parts import CHALLENGER, break_feature, days_of, last_weeks, put_challenger
from pipelines.demo.process import running_process
from pipelines.replay.parity import check_parity
from pipelines.replay.root import make_root
from tests.pipelines.replay.test_simulation import put_small_model
from tests.support.small_store import lay_store
from tests.toy_problem import EXAMPLE, SHOPS

pytestmark = pytest.mark.system

START = datetime(2020, 6, 10, 15, 30, tzinfo=UTC)
PLAN = Plan(START, START + timedelta(days=3), timedelta(days=1))
SINCE = START + timedelta(days=2)
VIEW, FEATURE = "shop_recent", "shop_recent_2d_mean_units"


def test_each_day_is_asked_about_from_its_begin_to_its_end():
    times = pd.date_range(START, PLAN.end, freq="1h", inclusive="left")
    examples = pd.DataFrame({"event_timestamp": times, "example_id": range(len(times))})
    found = list(days_of(examples, PLAN, 6))
    assert [len(day) for day in found] == [6, 6, 6]
    assert all(day["event_timestamp"].diff().dropna().eq(pd.Timedelta(hours=4)).all() for day in found)
    assert [len(day) for day in days_of(examples.head(3), PLAN, 5)] == [3]


def test_no_week_lies_before_the_test_window():
    assert last_weeks(PLAN.end, START, 8) == PLAN
    assert last_weeks(PLAN.end, datetime(2019, 1, 1, tzinfo=UTC), 8).start == PLAN.end - timedelta(weeks=8)


@dataclass
class Lived:
    project: Project
    logged: pd.DataFrame
    asked: int
    setting: object


@pytest.fixture(scope="module")
def lived(
    toy_store: Project, toy_place: Project, toy_examples: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Lived:
    settings = Settings(root=tmp_path_factory.mktemp("the pröject"))
    lay_store(settings, toy_store, toy_place, toy_examples)
    set_clock(settings, PLAN.end)
    open_signer(settings)
    root = settings.state_dir / "demo"
    project = make_root(toy_place.at(settings), PLAN, 1, put_small_model, root)
    break_feature(project, VIEW, FEATURE, SINCE)
    features = toy_training_features(project)
    setting = put_challenger(project, features, pd.Timestamp(START), SINCE)
    asked = live_weeks(project, PLAN, setting)
    log = PredictionLog.open(project.settings)
    logged = log.read()
    log.close()
    return Lived(project, logged, asked, setting)


def toy_training_features(project: Project):
    """Write what a training set has: examples with a label, and a column for each that the model takes."""
    from flightline.adapters.model_store.served_model import load_served_model

    folder = project.settings.root / "a training set"
    folder.mkdir()
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    examples = pd.read_parquet(file).dropna(subset=[project.problem.label]).sort_values("event_timestamp")
    kinds = load_served_model(project.settings.serving_models_dir, project).kinds
    hour = examples["event_timestamp"].dt.hour.astype(float)
    columns = {name: examples[name] if kind == "str" else hour for name, kind in kinds.items()}
    examples.to_parquet(folder / "examples.parquet")
    pd.DataFrame(columns).to_parquet(folder / "features.parquet")
    return folder


def test_each_day_is_answered_and_logged_as_of_its_prediction_time(lived: Lived) -> None:
    champion = lived.logged[lived.logged["role"] == "champion"]
    assert len(champion) == lived.asked == 3 * SHOPS
    assert (champion["clock"] == champion["prediction_time"]).all()
    assert read_clock(lived.project.settings) == PLAN.end


def test_the_challenger_predicts_beside_it_once_it_began(lived: Lived) -> None:
    shadow = lived.logged[lived.logged["role"] == "shadow"]
    assert set(shadow["model_version"]) == {CHALLENGER}
    assert len(shadow) == SHOPS == read_counts(lived.project.settings, lived.setting).asked
    assert (shadow["clock"] >= SINCE).all()
    champion = lived.logged[lived.logged["role"] == "champion"]
    pairs = champion.merge(shadow, on=["request_id", "instance_key"])
    assert len(pairs) == len(shadow)


def test_the_broken_feature_has_no_value_from_then_on(lived: Lived) -> None:
    champion = lived.logged[lived.logged["role"] == "champion"]
    is_missing = champion["features"].map(lambda features: features[FEATURE] is None)
    share = is_missing.groupby(champion["clock"] >= SINCE + timedelta(hours=3)).mean()
    assert share[True] > share[False]


def test_what_was_lived_through_can_be_rebuilt(lived: Lived) -> None:
    assert check_parity(lived.project).mismatches == ()


def test_the_projects_own_tables_are_as_before(lived: Lived) -> None:
    own = lived.project.settings.root.parents[1] / ".state" / "features" / "current" / f"{VIEW}.parquet"
    broken = lived.project.settings.features_dir / "current" / f"{VIEW}.parquet"
    missing = [pd.read_parquet(file)[FEATURE].isna().sum() for file in (own, broken)]
    assert missing[0] < missing[1]


def test_what_cannot_be_answered_ends_it_with_its_reason(lived: Lived) -> None:
    with running_process(lived.project.settings) as client:
        with pytest.raises(RequestError, match="the service's code refused: ValidationError"):
            client.predict([{"shop": "nowhere"}], [{}])
        with pytest.raises(RequestError, match="got 0 rows of features, expected 1"):
            client.predict([EXAMPLE], [])
