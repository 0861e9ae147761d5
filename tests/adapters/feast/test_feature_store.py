"""Declarations on a real Feast store over real tables: those of the toy problem."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.feast.registry import open_store
from flightline.core.errors import FeatureError, TrainingError
from flightline.core.lineage import digest_of
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.training.row_checks import check_values
from tests.toy_problem import PROBLEM
from tests.toy_tables import FEATURE_TABLES

SERVICE = PROBLEM.feature_service
BAKING_PLAN = '    view("baking_plan", [SHOP, SLOT], timedelta(days=4), ["planned", "seats"]),\n'
CLOCK = datetime(2020, 5, 20, 3, tzinfo=UTC)


@pytest.fixture
def store(toy_store: Project, tmp_path: Path) -> Settings:
    """A repository of the test's own, over the same tables, with nothing applied."""
    settings = Settings(root=tmp_path / "clone")
    shutil.copytree(toy_store.settings.feature_repo, settings.feature_repo)
    settings.state_dir.mkdir()
    settings.features_dir.symlink_to(toy_store.settings.features_dir, target_is_directory=True)
    return settings


def edit(settings: Settings, old: str, new: str) -> None:
    """Change the declarations as a person would."""
    file = settings.feature_repo / "definitions.py"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def registered(settings: Settings) -> dict[str, list[str]]:
    opened = open_store(settings)
    return {
        "views": sorted(view.name for view in opened.list_feature_views()),
        "services": sorted(service.name for service in opened.list_feature_services()),
    }


# Declarations and apply.


def test_there_is_a_view_for_every_feature_table(store):
    assert sorted(feast_store.apply(store)) == sorted(FEATURE_TABLES)


def test_applying_twice_changes_nothing(store):
    feast_store.apply(store)
    first = registered(store)
    feast_store.apply(store)
    assert registered(store) == first == {"views": sorted(FEATURE_TABLES), "services": [SERVICE]}


def test_what_is_declared_no_more_is_removed(store):
    feast_store.apply(store)
    edit(store, BAKING_PLAN, "")
    edit(store, "SHOP_WEEKDAY, BAKING_PLAN = VIEWS", "SHOP_WEEKDAY = VIEWS")
    edit(store, 'name="toy_v1"', 'name="toy_v2"')
    feast_store.apply(store)
    views = sorted(set(FEATURE_TABLES) - {"baking_plan"})
    assert registered(store) == {"views": views, "services": ["toy_v2"]}


def test_an_unknown_service_is_refused_with_those_declared(store):
    with pytest.raises(FeatureError, match=f"declares no feature service 'v9', only: {SERVICE}"):
        feast_store.describe_service(store, "v9")


# What identifies a feature service.


def test_the_description_is_in_plain_values(store):
    described = feast_store.describe_service(store, SERVICE)
    assert described["views"]["baking_plan"] == {
        "join_keys": ["shop", "slot"],
        "ttl_seconds": 345_600.0,
        "timestamps": ["event_timestamp", "created_timestamp"],
        "features": {"planned": "Float64", "seats": "Float64"},
        "key_types": {"shop": "String", "slot": "String"},
        "table": ["FileSource", "../.state/features/current/baking_plan.parquet", "", {}, []],
        "view_features": {"planned": "Float64", "seats": "Float64"},
        "is_online": True,
        "taken_as": [None, {}, None],
    }


def test_the_description_does_not_change_with_apply(store):
    before = feast_store.describe_service(store, SERVICE)
    feast_store.apply(store)
    feast_store.apply(store)
    assert feast_store.describe_service(store, SERVICE) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("timedelta(days=4)", "timedelta(days=5)"),
        ("[SHOP, WEEKDAY]", "[CITY, WEEKDAY]"),
        ('["planned", "seats"]', '["planned"]'),
        ("features=VIEWS)", "features=VIEWS[:3])"),
        ("features/current/{name}.parquet", "features/other/{name}.parquet"),
        ("source=source)", "source=source, online=False)"),
        ("features=VIEWS)", 'features=[VIEWS[0].with_name("other"), *VIEWS[1:]])'),
    ],
    ids=["ttl", "entity", "a feature less", "a view less", "table", "not online", "name"],
)
def test_another_meaning_has_another_description(store, old, new):
    before = feast_store.describe_service(store, SERVICE)
    edit(store, old, new)
    assert feast_store.describe_service(store, SERVICE) != before


def test_a_change_within_the_same_second_is_seen(store, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = store.feature_repo / "definitions.py"
    before, times = feast_store.describe_service(store, SERVICE), file.stat()
    edit(store, "timedelta(days=4)", "timedelta(days=5)")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert feast_store.describe_service(store, SERVICE) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("source=source)", 'source=source, description="Other words.")'),
        ("source=source)", 'source=source, owner="me")'),
    ],
    ids=["description", "owner"],
)
def test_other_words_for_the_same_change_no_description(store, old, new):
    before = feast_store.describe_service(store, SERVICE)
    edit(store, old, new)
    assert feast_store.describe_service(store, SERVICE) == before


# Declarations against tables.


@pytest.fixture
def tables(toy_store: Project, tmp_path: Path) -> Path:
    """A copy of the smallest possible tables: their first rows."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for file in (toy_store.settings.features_dir / "current").glob("*.parquet"):
        pd.read_parquet(file).head(5).to_parquet(folder / file.name)
    return folder


def test_declarations_that_the_tables_keep_pass(store, tables):
    feast_store.check_sources(store, tables)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="seats"), "view baking_plan declares seats, which its table lacks"),
        (lambda frame: frame.drop(columns="shop"), "view baking_plan declares shop, which its table lacks"),
        (lambda frame: frame.drop(columns="created_timestamp"), "declares created_timestamp, which its table lacks"),
        (lambda frame: frame.assign(snow=1.0), "table of view baking_plan has snow, which it does not declare"),
        (lambda frame: frame.astype({"seats": "float32"}), "declares Float64 but seats is float in its table: .cast"),
        (
            lambda frame: frame.assign(seats="warm"),
            "declares Float64 but seats is .*string in its table: .* with the req",
        ),
        (lambda frame: frame.assign(seats=[[1.0]] * 5), "declares Float64 but seats is list.*of a list each number is"),
        (lambda frame: frame.rename(columns={"seats": "heat"}), "declares seats, which its table lacks; .* has heat"),
    ],
    ids=["feature absent", "key absent", "created absent", "undeclared", "float32", "text", "list", "renamed"],
)
def test_a_table_that_breaks_the_declarations_is_refused(store, tables, change, message):
    file = tables / "baking_plan.parquet"
    change(pd.read_parquet(file)).to_parquet(file)
    with pytest.raises(FeatureError, match=message):
        feast_store.check_sources(store, tables)


@pytest.mark.parametrize("kind", ["String", "Int64", "Array(Float64)"])
def test_a_feature_that_is_declared_as_no_number_is_refused(store, tables, kind):
    edit(store, "from feast.types import Float64", "from feast.types import Array, Float64, Int64, String")
    edit(store, "dtype=Float64) for", f'dtype={kind} if feature == "seats" else Float64) for')
    with pytest.raises(
        FeatureError, match=rf"baking_plan declares seats as {re.escape(kind)}: declare Float64 \(a store"
    ):
        feast_store.check_sources(store, tables)


def test_a_view_without_a_table_is_refused(store, tables):
    (tables / "city_recent.parquet").unlink()
    with pytest.raises(FeatureError, match="view city_recent has no table"):
        feast_store.check_sources(store, tables)


def test_activating_another_version_moves_the_link(tmp_path):
    settings = Settings(root=tmp_path)
    for version in ("one", "two"):
        (settings.features_dir / version).mkdir(parents=True)
        feast_store.activate(settings, settings.features_dir / version)
    assert (settings.features_dir / "current").resolve() == settings.features_dir / "two"
    assert sorted(path.name for path in settings.features_dir.iterdir()) == ["current", "one", "two"]


# Rows in, rows out.


def test_rows_given_back_in_order_pass():
    feast_store.check_rows(pd.Series(["a", "b"]), pd.Series(["a", "b"], index=[7, 8]))


@pytest.mark.parametrize(
    ("joined", "message"),
    [
        (["a", "b"], "given 3 rows and gave 2: 1 example\\(s\\) missing, 0 doubled"),
        (["a", "b", "c", "c"], "given 3 rows and gave 4: 0 example\\(s\\) missing, 1 doubled"),
        (["a", "b", "b"], "given 3 rows and gave 3: 1 example\\(s\\) missing, 1 doubled"),
        (["a", "c", "b"], "given 3 rows and gave 3: 0 example\\(s\\) missing, 0 doubled, in another order"),
        ([], "given 3 rows and gave 0: 3 example\\(s\\) missing"),
    ],
    ids=["missing", "doubled", "one for another", "reordered", "none"],
)
def test_rows_lost_doubled_or_moved_are_refused(joined, message):
    with pytest.raises(FeatureError, match=message):
        feast_store.check_rows(pd.Series(["a", "b", "c"]), pd.Series(joined, dtype=object))


def test_a_ttl_of_three_hours_leaves_no_value_and_training_says_so(store, toy_examples):
    edit(store, "timedelta(days=4)", "timedelta(hours=3)")
    feast_store.apply(store)
    joined = feast_store.join_features(store, SERVICE, toy_examples.tail(200))
    with pytest.raises(TrainingError, match=r"has a value of: planned, seats; check .* its join keys and its ttl"):
        check_values(joined)


def test_a_key_spelled_otherwise_joins_nothing_and_training_says_so(toy_store, toy_examples):
    spelled = toy_examples.tail(200).assign(slot=lambda rows: rows["slot"].str.replace("-", "/"))
    joined = feast_store.join_features(toy_store.settings, SERVICE, spelled)
    with pytest.raises(TrainingError, match=r"has a value of: planned, seats; check .* its join keys and its ttl"):
        check_values(joined)


def test_examples_alike_in_key_and_time_all_come_back(toy_store, toy_examples):
    one = toy_examples.iloc[[2_000]]
    twice = pd.concat([one, one.assign(example_id="again")], ignore_index=True)
    joined = feast_store.join_features(toy_store.settings, SERVICE, twice)
    assert len(joined) == 2
    pd.testing.assert_series_equal(joined.loc[0], joined.loc[1], check_names=False)


def test_a_key_that_no_request_gives_is_named(toy_store, toy_examples):
    with pytest.raises(FeatureError, match="are joined by slot, which no request gives: name it in entity_keys"):
        feast_store.join_features(toy_store.settings, SERVICE, toy_examples.iloc[:3].drop(columns="slot"))


def test_what_is_registered_is_what_training_declared(toy_store, toy_examples):
    declared = digest_of(feast_store.describe_service(toy_store.settings, SERVICE))
    assert len(feast_store.join_features(toy_store.settings, SERVICE, toy_examples.iloc[:1], declared)) == 1


def test_no_column_of_the_examples_but_the_keys_comes_near_the_join(toy_store, toy_examples):
    few = toy_examples.iloc[2_000:2_010]
    joined = feast_store.join_features(toy_store.settings, SERVICE, few)
    assert not set(joined) & set(few)
    pd.testing.assert_frame_equal(
        joined, feast_store.join_features(toy_store.settings, SERVICE, few.assign(sold_out=1 - few["sold_out"]))
    )


# The online store.


@pytest.mark.slow
def test_online_as_of_the_clock_equals_offline_as_of_the_clock(store, toy_examples):
    feast_store.apply(store)
    feast_store.materialise(store, CLOCK)
    after = toy_examples[toy_examples["event_timestamp"] > CLOCK].head(400)
    offline = feast_store.join_features(store, SERVICE, after.assign(event_timestamp=pd.Timestamp(CLOCK)))
    opened = OnlineFeatures.open(store, SERVICE)
    rows = opened.read(after.to_dict("records"), CLOCK)
    opened.close()
    online = pd.DataFrame([row.values for row in rows], index=after.index).astype("float64")
    assert offline.notna().any().all()
    pd.testing.assert_frame_equal(online[list(offline)], offline, check_exact=True)
    assert max(stamp for row in rows for stamp in row.event_timestamps.values()) <= CLOCK


@pytest.mark.slow
def test_applying_again_keeps_what_was_materialised(store, toy_examples):
    feast_store.apply(store)
    spans = feast_store.materialise(store, CLOCK)
    feast_store.apply(store)
    opened = OnlineFeatures.open(store, SERVICE)
    asked = toy_examples[toy_examples["event_timestamp"] > CLOCK].head(1).to_dict("records")
    seats = opened.read(asked, CLOCK)[0].values["seats"]
    opened.close()
    assert spans["baking_plan"] == 96
    assert seats is not None
    assert np.isfinite(seats)


def test_feasts_classes_are_left_as_they_are_and_all_others_checked(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import flightline.adapters.feast, feast, typeguard\n"
        "print(feast.FeatureView.__init__.__code__.co_names)\n"
        "@typeguard.typechecked\n"
        "def double(number: int) -> int:\n"
        "    return 2 * number\n"
        "double('1')\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert "super" in done.stdout
    assert "check_argument_types" not in done.stdout
    assert "TypeCheckError" in done.stderr


def test_what_feast_would_have_checked_is_checked_by_mypy(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert "feature_repo" in settings["tool"]["mypy"]["files"]
