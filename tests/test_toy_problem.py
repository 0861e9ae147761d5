"""The toy problem itself: it must be whole and honest, or what the machine's tests show is worth nothing."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.raw_files import RawFiles
from flightline.core.project import open_project
from flightline.data.contract import check_dataset
from flightline.data.leakage import changed_rows
from tests import toy_multiclass, toy_problem, toy_regression


def test_settings_open_it():
    assert open_project().problem is toy_problem.PROBLEM


@pytest.mark.parametrize("task", ["classification", "multiclass", "regression"])
def test_its_raw_data_keeps_the_contract(tmp_path, task):
    project = toy_problem.make_root(tmp_path, task)
    rows = check_dataset(RawFiles(project.settings.data_dir), project.raw_tables.contracts)
    assert rows == {"shops": toy_problem.SHOPS, "sales": toy_problem.SHOPS * toy_problem.DAYS}
    assert project.problem.task == task


def test_its_raw_data_is_the_same_every_time(tmp_path):
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
        toy_problem.write_raw(tmp_path / name)
    first, second = (
        {file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*.csv")}
        for name in ("once", "twice")
    )
    assert first == second


def test_nothing_leaks(toy_place, toy_groups):
    moments = toy_place.problem.leak_test_moments
    assert engine.moments_inside(toy_groups, moments) == list(moments)
    assert engine.find_leaks(toy_groups, toy_place.features.tables, moments) == []


def test_the_leak_test_of_it_bites(toy_place, toy_groups):
    """A plan that is stamped a day too early is found."""

    def early(groups):
        table = groups["plans"]
        return table.select("shop", event_timestamp=table.known_at - pd.Timedelta(days=1), planned=table.planned)

    moment = toy_place.problem.leak_test_moments[0]
    known = {name: table.filter(table.known_at <= moment) for name, table in toy_groups.items()}
    assert changed_rows(early, toy_groups, known, moment).count().execute() > 0


@pytest.mark.parametrize("problem", [toy_problem.PROBLEM, toy_multiclass.PROBLEM, toy_regression.PROBLEM])
def test_examples_have_labels_but_for_closed_days(toy_place, toy_groups, problem):
    rows = engine.to_frame(toy_place.features.examples(toy_groups, problem))
    assert len(rows) == toy_problem.SHOPS * toy_problem.DAYS
    assert rows[problem.label].isna().equals(rows["outcome"] == "closed")
    assert rows["outcome"].eq("closed").mean() == pytest.approx(0.02, abs=0.01)
    labelled = rows[rows["label_known_at"].notna()]
    assert (labelled["label_known_at"] > labelled["event_timestamp"]).all()


def test_feast_joins_what_was_known(toy_store, toy_groups, toy_examples):
    feast_store.check_sources(toy_store.settings, toy_store.settings.features_dir / "toy")
    chosen = toy_examples.iloc[1000:1100]
    joined = feast_store.join_features(toy_store.settings, toy_store.problem.feature_service, chosen)
    plans = engine.to_frame(toy_groups["plans"]).set_index("day_id")["planned"]
    assert joined["planned"].tolist() == plans.loc[chosen["example_id"]].tolist()
    assert joined.notna().mean().min() > 0.9


def test_the_online_store_holds_it(tmp_path, toy_groups):
    project = toy_problem.make_root(tmp_path)
    write_and_apply(project, toy_groups, project.problem.first_clock)
    features = OnlineFeatures.open(project.settings, project.problem.feature_service)
    keys = project.requests.keys({"opens": [pd.Timestamp(toy_problem.EXAMPLE["opens"])]})
    row = {**toy_problem.EXAMPLE} | {name: values.tolist()[0] for name, values in keys.items()}
    (found,) = features.read([row], project.problem.first_clock)
    features.close()
    assert found.missing == {}
    assert set(found.event_timestamps) == set(project.features.tables)


def write_and_apply(project, groups, clock: datetime) -> Path:
    """Write, declare and materialise the feature tables."""
    folder = project.settings.features_dir / "toy"
    engine.write_feature_tables(groups, project.features.tables, folder, keys=project.key_names)
    feast_store.activate(project.settings, folder)
    feast_store.apply(project.settings)
    feast_store.materialise(project.settings, clock)
    return folder
