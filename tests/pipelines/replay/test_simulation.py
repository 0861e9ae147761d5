"""A small simulation of a day with a real service, and planted mismatches that parity must find."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.dvc.repository import hash_folder
from flightline.adapters.event_clock import read_clock, set_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.model_store.signing_keys import open_signer
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import ClockError, FeatureError, ModelFileError, ParityError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.monitoring.replay_plan import Plan
from pipelines import parity, simulation
from pipelines.replay import parity as replay_parity
from pipelines.replay.parity import check_parity, demand_parity
from pipelines.replay.root import current_tables, make_root
from pipelines.replay.staleness_cost import measure_staleness_cost
from pipelines.simulation import SimulatedDay, run_simulation
from tests.support.clones import contents
from tests.support.small_service import put_model
from tests.support.small_store import lay_store
from tests.support.small_training_set import run_in_flow
from tests.toy_problem import PROBLEM, SHOPS

pytestmark = pytest.mark.system

START = datetime(2020, 6, 10, 15, 30, tzinfo=UTC)
# In it, the next day is predicted from 17:00 to 19:00, and shops close at 14:00, 15:00 and 16:00.
PLAN = Plan(START, START + timedelta(days=1), timedelta(hours=6))
CATEGORIES = {"shop": "str", "city": "str"}
POINTER = "outs:\n- md5: {md5}\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: data\n"


def put_small_model(project: Project, version: str = "3") -> str:
    """Put a model on all features of the service into the folder of the project."""
    views = feast_store.describe_service(project.settings, PROBLEM.feature_service)["views"]
    numbers = [name for view in views.values() for name in view["features"]]  # type: ignore[attr-defined]
    kinds = CATEGORIES | dict.fromkeys([*numbers, "opening_hour", "day_of_week"], "float64")
    put_model(project.settings, version, kinds)
    return version


@dataclass
class Simulated:
    project: Project
    before: dict[str, object]
    at_root: Project
    days: list[SimulatedDay]


@pytest.fixture(scope="module")
def project(
    toy_store: Project, toy_place: Project, toy_examples: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A project with feature tables, and a clock, a store and a log of its own."""
    settings = Settings(root=tmp_path_factory.mktemp("the pröject"))
    lay_store(settings, toy_store, toy_place, toy_examples)
    (settings.root / "data.dvc").write_text(POINTER.format(md5=hash_folder(settings.data_dir).md5))
    set_clock(settings, START + timedelta(days=5))
    feast_store.apply(settings)
    feast_store.materialise(settings, START)
    PredictionLog.open(settings).close()
    open_signer(settings)  # as the registration of its champion has made its key
    return toy_place.at(settings)


@pytest.fixture(scope="module")
def simulated(project: Project, server: None) -> Simulated:
    """A day, lived through once."""
    before, data = own_state(project.settings), read_data_version(project.settings)
    at_root, days = run_in_flow(lambda: run_simulation(project, PLAN, data, put_small_model))
    return Simulated(project, before, at_root, days)


def own_state(settings: Settings) -> dict[str, object]:
    """Give all that is under .state but the simulations; of a database what is in it, wherever it lies as yet."""
    held: dict[str, object] = {}
    for name, content in contents(settings.state_dir).items():
        if name.startswith("simulations/") or name.endswith(("-wal", "-shm")):
            continue
        held[name] = content
        if content.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(settings.state_dir / name)) as connection:
                held[name] = "\n".join(connection.iterdump())
    return held


def test_each_example_is_asked_at_its_prediction_time(simulated: Simulated, toy_examples: pd.DataFrame) -> None:
    log = PredictionLog(simulated.at_root.settings)
    logged = log.read()
    log.close()
    expected = toy_examples["event_timestamp"].between(PLAN.start, PLAN.end, inclusive="left").sum()
    assert len(logged) == expected == simulated.days[0].predictions == SHOPS
    assert (logged["clock"] == logged["prediction_time"]).all()
    assert all(set(watermarks.values()) == {START} for watermarks in logged["watermarks"])


def test_no_value_of_after_the_last_materialisation_is_used(simulated: Simulated) -> None:
    """The tables reach days further."""
    log = PredictionLog(simulated.at_root.settings)
    logged = log.read()
    log.close()
    for stamps, watermarks in zip(logged["event_timestamps"], logged["watermarks"], strict=True):
        assert stamps
        assert all(stamp <= watermarks[view] for view, stamp in stamps.items())


def test_labels_arrive_as_they_become_known(simulated: Simulated) -> None:
    assert [day.end for day in simulated.days] == [PLAN.end]
    assert 0 < simulated.days[0].labelled < simulated.days[0].predictions


def test_what_all_days_came_to_is_told_in_a_line(simulated: Simulated, capsys: pytest.CaptureFixture[str]) -> None:
    (day,) = simulated.days
    assert str(day).startswith(f"{START:%Y-%m-%d}      {day.predictions} predictions, {day.labelled} labels so far (")
    simulation.print_days(simulated.days)
    closed = day.labels.outcomes.get("closed", 0)
    waiting = day.predictions - closed - day.labelled
    outcomes = f"{closed} closed, " * bool(closed) + f"{day.labelled} labelled"
    known = f"{outcomes} by the clock, {waiting} not known yet"
    assert capsys.readouterr().out.startswith(f"all             {day.predictions} predictions over HTTP: {known} (")


def test_nothing_of_the_projects_own_state_is_touched(simulated: Simulated) -> None:
    assert own_state(simulated.project.settings) == simulated.before
    assert read_clock(simulated.at_root.settings) == PLAN.end


def test_every_prediction_is_rebuilt(simulated: Simulated) -> None:
    report = check_parity(simulated.at_root)
    assert report.mismatches == ()
    assert report.predictions == simulated.days[0].predictions
    assert str(report).startswith(f"0 mismatches in {report.predictions} predictions")
    demand_parity(report)


def test_the_cost_of_staleness_is_measured_apart(simulated: Simulated) -> None:
    """Shops of both cities close at 16:00, after the store was filled and before it is asked."""
    cost = measure_staleness_cost(simulated.at_root)
    assert cost.changed == 1
    assert cost.mean_difference > 0
    assert cost.labelled == simulated.days[0].labelled
    assert np.isfinite([cost.loss, cost.fresh_loss]).all()


def test_staleness_in_parts_is_that_of_the_whole(simulated: Simulated) -> None:
    """But for the last bit: a product of matrices adds up in another order for other numbers of rows."""
    parts, whole = measure_staleness_cost(simulated.at_root, rows_at_once=3), measure_staleness_cost(simulated.at_root)
    assert asdict(parts) == pytest.approx(asdict(whole), rel=1e-12)


@pytest.fixture
def copy(simulated: Simulated, tmp_path: Path) -> Project:
    """A copy of the simulation, to spoil; beside it, so that its links lead where they did."""
    settings = simulated.at_root.settings
    root = settings.root.with_name(tmp_path.name)
    shutil.copytree(settings.root, root, symlinks=True)
    return simulated.at_root.at(settings.model_copy(update={"root": root}))


def alter_one(settings: Settings, column: str, change: Callable[[dict], dict]) -> str:
    """Alter a mapping of one logged prediction behind the log's back, and give its id."""
    with sqlite3.connect(settings.prediction_log_file) as connection:
        found = f"SELECT prediction_id, {column} FROM named_predictions ORDER BY clock DESC, prediction_id"
        name, text = connection.execute(found).fetchone()
        altered = json.dumps(change(json.loads(text)))
        by_name = ", feature_list = NULL" if column == "features" else ""
        connection.execute(f"UPDATE predictions SET {column} = ?{by_name} WHERE prediction_id = ?", (altered, name))
    connection.close()
    return str(name)


def test_an_altered_logged_value_is_found(copy: Project) -> None:
    name = alter_one(copy.settings, "features", lambda features: features | {"planned": 1234.5})
    report = check_parity(copy)
    assert [(one.prediction_id, one.what, one.logged) for one in report.mismatches] == [(name, "planned", 1234.5)]
    with pytest.raises(ParityError, match=rf"1 mismatches, 1 values, in .*\n  {name}  planned: logged 1234.5"):
        demand_parity(report)


@pytest.mark.parametrize("rows_at_once", [1, 3, 5])
def test_parts_of_any_size_are_rebuilt_as_the_whole(copy: Project, monkeypatch, rows_at_once: int) -> None:
    alter_one(copy.settings, "features", lambda features: features | {"planned": 1234.5})
    alter_one(copy.settings, "watermarks", lambda marks: dict.fromkeys(marks, (START - timedelta(days=2)).isoformat()))
    whole = check_parity(copy)
    assert check_parity(copy, rows_at_once=rows_at_once) == whole
    assert (whole.wrong, whole.values) == (1, len(whole.mismatches))
    monkeypatch.setattr(replay_parity, "MOST_KEPT", 2)
    few = check_parity(copy, rows_at_once=rows_at_once)
    assert (few.mismatches, few.values) == (whole.mismatches[:2], whole.values)
    with pytest.raises(ParityError, match=f"and {whole.values - 2:,} more"):
        demand_parity(few)


def test_a_wrong_watermark_is_found(copy: Project) -> None:
    early = (START - timedelta(days=2)).isoformat()
    name = alter_one(copy.settings, "watermarks", lambda marks: dict.fromkeys(marks, early))
    report = check_parity(copy)
    assert {one.prediction_id for one in report.mismatches} == {name}
    assert "event timestamp of shop_recent" in {one.what for one in report.mismatches}


def test_another_model_under_the_same_version_is_found(copy: Project) -> None:
    manifest = json.loads((copy.settings.serving_models_dir / "3" / "model.json").read_text())
    kinds = dict(manifest["columns"])
    put_model(copy.settings, "3", {name: kinds[name] for name in reversed(kinds)})
    assert {one.what for one in check_parity(copy).mismatches} == {"prediction"}


ALTERED = "city_recent_24h_count"


def alter_online_value(settings: Settings, feature: str, value: float) -> None:
    """Write a value into the online store under the feature's every key, past Feast."""
    from feast.protos.feast.types.Value_pb2 import Value

    with closing(sqlite3.connect(settings.state_dir / "feast" / "online.db")) as connection, connection:
        found = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%_city_recent'"
        ((view,),) = connection.execute(found).fetchall()
        content = Value(double_val=value).SerializeToString()
        update = f"UPDATE {view} SET value = ? WHERE feature_name = ?"
        assert connection.execute(update, (content, feature)).rowcount > 0


def ask_in_process(project: Project, rows: int) -> None:
    """Ask a service in this process about what comes next."""
    from serving.app import create_app
    from tests.serving.conftest import TestClient

    examples = pd.read_parquet(current_tables(project.settings, PLAN.end) / "examples" / "examples.parquet")
    names = [*PROBLEM.entity_keys, *PROBLEM.request_columns]
    coming = examples[examples["event_timestamp"] >= PLAN.end].sort_values("event_timestamp").head(rows)[names]
    body = {"instances": json.loads(coming.to_json(orient="records", date_format="iso"))}
    with TestClient(create_app(project)) as client:
        answer = client.post(f"/v1/models/{PROBLEM.model_name}:predict", json=body)
        assert answer.status_code == 200, answer.text


def test_an_altered_value_of_the_online_store_is_found(
    copy: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alter_online_value(copy.settings, ALTERED, 1234.5)
    assert check_parity(copy).mismatches == ()
    ask_in_process(copy, 20)
    wrong = [one for one in check_parity(copy).mismatches if one.what != "prediction"]
    assert [(one.what, one.logged) for one in wrong] == [(ALTERED, 1234.5)] * 20
    monkeypatch.setenv(
        "FLIGHTLINE_SIGNING__PUBLIC_KEY", copy.settings.signing.public_key
    )  # of the project, which is elsewhere
    assert parity.main(["--root", str(copy.settings.root)]) == 1
    told = capsys.readouterr().err
    first = wrong[0]
    stamp, watermark = f"{first.rebuilt_stamp:%Y-%m-%d %H:%M}", PLAN.end - PLAN.step
    assert told.startswith("ParityError: 20 mismatches")
    assert f"{first.prediction_id}  {ALTERED}: logged 1234.5, rebuilt {first.rebuilt!r} (logged event" in told
    assert f"timestamp {stamp}" in told
    assert f"watermark {watermark:%Y-%m-%d %H:%M}" in told
    assert f"clock {PLAN.end:%Y-%m-%d %H:%M}" in told


def test_what_is_stamped_after_the_clock_is_never_loaded(copy: Project) -> None:
    at = PLAN.end
    set_clock(copy.settings, at)
    feast_store.materialise_since(copy.settings, PLAN.end - timedelta(hours=1), at)
    opened = OnlineFeatures.open(copy.settings, PROBLEM.feature_service)
    examples = pd.read_parquet(current_tables(copy.settings, PLAN.end) / "examples" / "examples.parquet")
    rows = opened.read(examples.head(500).to_dict("records"), at + timedelta(days=5))
    opened.close()
    stamps = {stamp for row in rows for stamp in row.event_timestamps.values()}
    assert max(stamps) <= at
    assert at - max(stamps) == timedelta(minutes=30)  # when the last of them closed


def test_a_simulation_does_not_reach_past_what_is_known(project: Project) -> None:
    plan = Plan(START, START + timedelta(days=6))
    with pytest.raises(ClockError, match="the event clock, up to which features and labels are known, stands at"):
        make_root(project, plan, 1, put_small_model)


def test_without_a_champion_nothing_is_simulated(project: Project) -> None:
    with pytest.raises(ModelFileError, match="no champion to simulate with"):
        make_root(project, Plan(START, START + timedelta(hours=1)), 1, lambda elsewhere: None)


def test_rows_known_later_than_they_are_stamped_are_refused(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "late"
    shutil.copytree(project.settings.root, root, symlinks=True, ignore=shutil.ignore_patterns("simulations"))
    settings = Settings(root=root)
    file = settings.features_dir / "toy" / "shop_recent.parquet"
    rows = pd.read_parquet(file)
    rows.loc[:1, "created_timestamp"] += timedelta(hours=1)
    rows.to_parquet(file)
    with pytest.raises(FeatureError, match=r"shop_recent \(2\)"):
        make_root(project.at(settings), PLAN, 1, put_small_model)


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("", "2020-06-12", "got ''; expected an ISO 8601 moment"),
        ("2020-06-11T12:00:00", "2020-06-12", "without a time zone"),
        ("2020-06-12", "2020-06-12", "expected a start before the end"),
    ],
)
def test_a_plan_that_cannot_be_read_is_refused_in_one_line(start, end, says, capsys):
    assert simulation.main(["--from", start, "--to", end]) == 1
    told = capsys.readouterr().err
    assert says in told
    assert [line.partition(":")[0] for line in told.splitlines()] == ["ClockError"]


def test_a_day_stands_for_its_midnight():
    assert simulation.plan_of("2020-06-10T15:30:00Z", "2020-06-11", 60) == Plan(START, START + timedelta(hours=8.5))


def test_a_folder_that_is_no_simulation_is_refused(tmp_path, capsys):
    assert parity.main(["--root", str(tmp_path / "none")]) == 1
    assert "holds no simulation" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
