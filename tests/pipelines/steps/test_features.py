"""What the features flow demands of a problem's own functions before anything is written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import ibis
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.dvc.repository import hash_folder
from flightline.core.errors import DataVersionError, FeatureError, LeakError, TrainingError
from flightline.core.problem_spec import Canary, Monitoring, Problem
from flightline.core.project import FeatureCode, Project
from flightline.data.by_row import by_row
from flightline.data.leakage import as_of
from pipelines.common.artifacts import FeatureTables
from pipelines.common.cached_step import CachedStep
from pipelines.common.progress import Stage
from pipelines.steps.features import (
    build_examples,
    build_features,
    check_columns,
    check_leaks,
    declared,
    features_as_of,
    features_in_parts,
    join_training_set,
)
from tests.toy_problem import PROBLEM

OTHER = replace(PROBLEM, entity_keys=("zone",), request_columns=("start",), slices=("zone",), label="fare")
COLUMNS = ("example_id", "event_timestamp", "outcome", "label_known_at", "zone", "start", "fare")
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


def test_examples_with_every_named_column_are_taken():
    check_columns((*COLUMNS, "more"), OTHER)


@pytest.mark.parametrize("absent", COLUMNS)
def test_examples_that_lack_a_column_are_refused(absent):
    with pytest.raises(FeatureError, match=f"the examples lack {absent}; every problem has example_id, "):
        check_columns([name for name in COLUMNS if name != absent], OTHER)


@pytest.mark.parametrize("step", [build_features, build_examples], ids=lambda step: step.__name__)
def test_examples_that_share_an_id_are_refused_before_anything_is_written(toy_place: Project, step):
    def doubled(groups, problem):
        return toy_place.features.examples(groups, problem).mutate(example_id=ibis.literal("the same"))

    code = replace(toy_place.features, examples=doubled)
    with pytest.raises(FeatureError, match="share their example_id, such as the same"):
        build(toy_place, step, code, version_of(toy_place))
    assert list(toy_place.settings.state_dir.rglob("d" * 16)) == []


@pytest.mark.parametrize("step", [build_features, build_examples], ids=lambda step: step.__name__)
def test_data_that_became_another_version_meanwhile_is_not_taken_for_the_one_that_was_pulled(toy_place: Project, step):
    pulled = replace(version_of(toy_place), md5="3" * 32 + ".dir")
    with pytest.raises(DataVersionError, match=rf"no longer at version {pulled.md5}.*run it again"):
        build(toy_place, step, toy_place.features, pulled)
    assert list(toy_place.settings.state_dir.rglob("d" * 16)) == []


def test_feature_tables_appear_with_their_examples_and_note_or_not_at_all(toy_place: Project):
    unwritable = replace(version_of(toy_place), md5=ANY)  # equal to what data/ holds, and no JSON
    with pytest.raises(TypeError, match="not JSON serializable"):
        build(toy_place, build_features, toy_place.features, unwritable)
    assert list(toy_place.settings.features_dir.glob("d*")) == []


def version_of(project: Project) -> DataVersion:
    held = hash_folder(project.settings.data_dir)
    return DataVersion(held.md5, len(held.hashes), held.size_bytes)


def build(project: Project, step: CachedStep[..., Any], code: FeatureCode, data: DataVersion) -> object:
    made_of = [project.settings, PROBLEM, project.raw_tables, code]
    arguments = [data, PROBLEM.first_clock]
    if step is build_features:
        arguments = [project.key_names, *arguments, Stage("features")]
    return step.function("d" * 64, *made_of, *arguments)


def test_the_leak_test_looks_back_as_far_as_a_label_is_waited_for(toy_place: Project):
    days = pd.DataFrame({"day": pd.date_range("2020-01-01", "2020-12-31", tz="UTC")})
    wait = timedelta(days=28)
    groups = {
        "plans": ibis.memtable(days.assign(known_at=days["day"] - timedelta(days=28))),
        "outcomes": ibis.memtable(days.assign(known_at=days["day"] + wait, sold=range(len(days)))),
    }

    def label_of_the_day(groups):
        sold = groups["outcomes"].select("day", "sold")
        return groups["plans"].left_join(sold, "day").select("day", event_timestamp="day", sold="sold")

    code = replace(toy_place.features, tables={"label_of_the_day": label_of_the_day})
    problem = replace(PROBLEM, leak_test_moments=(datetime(2020, 6, 10, 12, tzinfo=UTC),))
    examples = pd.DataFrame({"event_timestamp": days["day"], "label_known_at": days["day"] + wait})
    with pytest.raises(LeakError, match="label_of_the_day: 56 row"):
        check_leaks(groups, code, problem, examples)


def test_a_leak_test_at_no_moment_of_the_problem_says_where_it_was(toy_groups, toy_place: Project):
    examples = pd.DataFrame({"event_timestamp": [NOON], "label_known_at": [NOON]})
    assert check_leaks(toy_groups, toy_place.features, PROBLEM, examples) == ""
    for moments in ((), (datetime(2012, 1, 1, tzinfo=UTC),)):
        said = check_leaks(toy_groups, toy_place.features, replace(PROBLEM, leak_test_moments=moments), examples)
        assert "the middle of the data: leak_test_moments in src/flightline/problem/config.py names no" in said


def test_where_nothing_is_known_yet_there_is_no_moment(toy_groups):
    nothing = as_of(toy_groups, datetime(1999, 1, 1, tzinfo=UTC))
    with pytest.raises(FeatureError, match=r"no group .* has a row that was known by the event clock; add data, move"):
        engine.moments_inside(nothing, ())


def test_a_group_with_a_single_early_row_leaves_the_leak_test_at_its_moments(toy_groups, toy_place: Project):
    first = toy_groups["plans"].known_at.min().execute()
    rare = ibis.memtable(pd.DataFrame({"known_at": [first]}))
    examples = pd.DataFrame({"event_timestamp": [NOON], "label_known_at": [NOON]})
    assert check_leaks({**toy_groups, "rare": rare}, toy_place.features, PROBLEM, examples) == ""


@pytest.mark.parametrize("weekday", range(7))
def test_a_label_by_absence_that_is_a_feature_is_seen_on_each_day(toy_place: Project, weekday: int):
    wait, hours = timedelta(days=28), pd.date_range("2020-01-01", "2020-12-31", freq="7h", tz="UTC")
    groups = {"orders": ibis.memtable(pd.DataFrame({"at": hours, "known_at": hours}))}
    mondays = pd.DataFrame({"asked": pd.date_range("2020-01-06", "2020-12-28", freq="7D", tz="UTC")})

    def label_of_the_week(groups):
        asked = ibis.memtable(mondays).filter(ibis._.asked <= groups["orders"].at.max().as_scalar())
        is_over = asked.asked + ibis.interval(days=28) <= groups["orders"].at.max().as_scalar()
        return asked.select(event_timestamp="asked", left=ibis.cases((is_over, 1.0)))

    code = replace(toy_place.features, tables={"label_of_the_week": label_of_the_week})
    problem = replace(PROBLEM, leak_test_moments=(datetime(2020, 6, 8 + weekday, 12, tzinfo=UTC),))
    examples = pd.DataFrame({"event_timestamp": mondays["asked"], "label_known_at": mondays["asked"] + wait})
    with pytest.raises(LeakError, match="label_of_the_week: "):
        check_leaks(groups, code, problem, examples)


def test_before_any_label_is_known_that_is_said(toy_store: Project, toy_examples: pd.DataFrame, tmp_path: Path):
    (tmp_path / "examples").mkdir()
    known = toy_examples.drop(columns=list(toy_store.requests.keys(toy_examples)))
    unlabelled = known.assign(**{PROBLEM.label: None, "label_known_at": pd.NaT, "outcome": None})
    unlabelled.to_parquet(tmp_path / "examples" / "examples.parquet")
    code = replace(toy_store.requests, keys=by_row(lambda request: {"slot": request["city"]}))
    tables = FeatureTables("k", tmp_path, {}, len(unlabelled))
    declarations = declared(toy_store)
    with pytest.raises(TrainingError, match="no label is known yet; move the clock on"):
        join_training_set.function("k", toy_store.settings, PROBLEM, code, tables, declarations)


def stock(*rows: tuple[str, float]) -> ibis.Table:
    frame = pd.DataFrame(rows, columns=["shop", "units"]).assign(event_timestamp=pd.Timestamp("2020-01-01", tz="UTC"))
    return ibis.memtable(frame)


def test_whole_numbers_are_features_unless_requests_are_joined_by_them(tmp_path):
    def counted(groups):
        table = stock(("S01", 1.0), ("S02", 2.0))
        return table.mutate(weekday=ibis.literal(3), count=ibis._.units.cast("int32"), is_many=ibis._.units > 1)

    engine.write_feature_tables({}, {"counted": counted}, tmp_path / "v1", keys=("shop", "weekday"))
    table = pd.read_parquet(tmp_path / "v1" / "counted.parquet")
    assert list(table) == ["shop", "weekday", "event_timestamp", "created_timestamp", "units", "count", "is_many"]
    assert table["weekday"].dtype.kind == "i"
    assert table["count"].tolist() == table["units"].tolist()
    assert set(table[["units", "count", "is_many"]].dtypes.astype(str)) == {"float64"}


def test_two_rows_that_differ_in_a_whole_number_are_doubled(tmp_path):
    def twice(groups):
        return stock(("S01", 1.0), ("S01", 2.0)).mutate(count=ibis._.units.cast("int64")).drop("units")

    with pytest.raises(FeatureError, match=r"twice holds 1 row\(s\)"):
        engine.write_feature_tables({}, {"twice": twice}, tmp_path / "v1", keys=("shop",))


def key_of(project: Project, problem: Problem, md5: str = "1" * 32, clock: datetime = NOON) -> str:
    data = DataVersion(md5, files=1, size_bytes=1)
    keys = project.key_names
    return build_features.key(
        project.settings, problem, project.raw_tables, project.features, keys, data, clock, Stage("features")
    )


@pytest.mark.parametrize(
    "change",
    [
        {"label": "other"},
        {"entity_keys": ("other",), "slices": ()},
        {"request_columns": ("other",)},
        {"slices": ()},
        {"prediction_horizon": timedelta(hours=1)},
        {"leak_test_moments": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_examples_are_made_of_is_part_of_their_key(toy_place: Project, change: dict[str, Any]):
    assert key_of(toy_place, replace(OTHER, **change)) != key_of(toy_place, OTHER)
    assert key_of(toy_place, replace(OTHER)) == key_of(toy_place, OTHER)


def test_data_and_clock_are_part_of_it_too(toy_place: Project):
    keys = {
        key_of(toy_place, OTHER),
        key_of(toy_place, OTHER, md5="2" * 32),
        key_of(toy_place, OTHER, clock=NOON + timedelta(hours=1)),
    }
    assert len(keys) == 3


def test_the_rules_that_judge_later_are_not(toy_place: Project):
    rules = {
        "thresholds": replace(OTHER.thresholds, floors={}),
        "monitoring": Monitoring(windows=9),
        "canary": Canary(max_days=9),
    }
    assert key_of(toy_place, replace(OTHER, **rules)) == key_of(toy_place, OTHER)


@pytest.mark.parametrize("rows", [7, 100])
def test_the_training_set_is_the_same_however_many_rows_are_joined_at_a_time(
    toy_store: Project, toy_examples: pd.DataFrame, rows: int
):
    arguments = (toy_store.settings, toy_store.problem, toy_store.requests, toy_examples.tail(30))
    parts = list(features_in_parts(*arguments, "", rows))
    assert max(map(len, parts)) == min(rows, 30)
    pd.testing.assert_frame_equal(pd.concat(parts), features_as_of(*arguments))
