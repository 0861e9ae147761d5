"""From a CSV file to the answer: late and corrected rows, and a clock that has moved, reach the online store and
the next training set, by the flow of the schedule.
"""

import csv
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from prefect import flow

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.event_clock import ensure_clock, move_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import FeatureRow, OnlineFeatures
from flightline.core.errors import FeatureError
from flightline.core.project import Project
from pipelines.commands.clock import describe
from pipelines.ingest import add_version, stage_files, verify
from pipelines.labels import run_labels
from pipelines.materialise import run_materialise
from pipelines.steps import features
from pipelines.steps.behind import find_behind, months_beyond
from pipelines.steps.preparation import prepare_features, prepare_training_set, pull
from tests.support.clones import make_clone
from tests.toy_problem import PROBLEM, make_project, write_feature_repo, write_raw

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]
CLOCK, HOUR = PROBLEM.first_clock, timedelta(hours=1)
JUNE = "sales/2020-06.csv"
CORRECTED, LATE = "S01", "S02"
DAY = "2020-06-27"  # within the last week before the clock, and sold by then
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Place:
    """A clone that was trained on a June without a row of one shop, and June as it came later."""

    project: Project
    incoming: Path


@flow(validate_parameters=False)
def prepare(project: Project) -> Path:
    """Do what a training does with features, without its model; give the folder of the training set."""
    clock = ensure_clock(project.settings, PROBLEM.first_clock)
    tables = prepare_features(project, pull(project), clock)
    training_set = prepare_training_set(project, tables)
    features.materialise(project.settings, clock)
    return training_set.folder


@flow(validate_parameters=False)
def materialise(project: Project) -> datetime:
    return run_materialise(project)


@flow(validate_parameters=False)
def ingest(project: Project, folder: Path, staged: Path) -> None:
    verify(project.settings)
    stage_files(project.settings, folder, staged)
    add_version(project.settings, staged)


@flow(validate_parameters=False)
def labels(project: Project) -> None:
    run_labels(project)


@pytest.fixture
def place(tmp_path: Path, server: None) -> Iterator[Place]:
    settings = make_clone(tmp_path / "clone", tmp_path / "remote")
    write_feature_repo(settings.root)
    whole, seed = tmp_path / "whole", tmp_path / "seed"
    whole.mkdir()
    write_raw(whole)
    (whole / "sales" / "2020-07.csv").unlink()
    shutil.copytree(whole, seed)
    rewrite(seed / JUNE, lambda rows: [row for row in rows if not is_of(row, LATE)])
    dvc_data.add_version(settings, seed, lambda _: None)
    incoming = tmp_path / "incoming"
    (incoming / "sales").mkdir(parents=True)
    yield Place(make_project(settings), incoming)


def is_of(row: dict[str, str], shop: str) -> bool:
    return row["shop"] == shop and row["opens"].startswith(DAY)


def rewrite(file: Path, change: Callable[[Rows], Rows], target: Path | None = None) -> None:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = change(list(csv.DictReader(lines)))
    with (target or file).open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def sold_otherwise(rows: Rows) -> Rows:
    """Let the day of one shop end the other way: all was sold, or one was left."""
    for row in rows:
        if is_of(row, CORRECTED):
            row["units"] = str(int(row["baked"]) - (row["units"] == row["baked"]))
    return rows


def answer(project: Project, shop: str) -> FeatureRow:
    """Read as the service reads."""
    opened = OnlineFeatures.open(project.settings, PROBLEM.feature_service)
    try:
        return opened.read([{"shop": shop, "city": "Bergen"}], CLOCK)[0]
    finally:
        opened.close()


def learned(folder: Path, shop: str, day: str) -> tuple[int, pd.Series] | None:
    """Give label and features of a shop's day in a training set, if it holds them."""
    examples = pd.read_parquet(folder / "examples.parquet")
    found = examples[(examples["shop"] == shop) & (examples["opens"].dt.strftime("%Y-%m-%d") == day)]
    if found.empty:
        return None
    return int(found["sold_out"].iloc[0]), pd.read_parquet(folder / "features.parquet").loc[found.index[0]]


def test_a_corrected_row_reaches_the_answer_and_the_next_training(place: Place) -> None:
    project = place.project
    before, was = prepare(project), answer(project, CORRECTED).values
    (label, _), (_, later) = learned(before, CORRECTED, DAY), learned(before, CORRECTED, "2020-06-30")
    data = project.settings.data_dir
    (row,) = [row for row in csv.DictReader((data / JUNE).open(encoding="utf-8")) if is_of(row, CORRECTED)]
    rewrite(data / JUNE, sold_otherwise, place.incoming / JUNE)
    added = int(row["baked"]) - int(row["units"]) or -1

    ingest(project, place.incoming, place.incoming.parent / "staged")
    assert answer(project, CORRECTED).values == was, "nothing is loaded yet"
    assert materialise(project) == CLOCK
    now = answer(project, CORRECTED).values
    assert now["shop_recent_7d_count"] == was["shop_recent_7d_count"] == 7
    assert now["shop_recent_7d_mean_units"] == pytest.approx(was["shop_recent_7d_mean_units"] + added / 7)
    assert now["shop_recent_7d_mean_units"] != was["shop_recent_7d_mean_units"]

    after = prepare(project)
    assert learned(after, CORRECTED, DAY)[0] == 1 - label
    mean = learned(after, CORRECTED, "2020-06-30")[1]["shop_recent_7d_mean_units"]
    assert mean == pytest.approx(later["shop_recent_7d_mean_units"] + added / later["shop_recent_7d_count"])
    assert mean != later["shop_recent_7d_mean_units"]


def test_a_late_row_reaches_the_answer_and_the_next_training(place: Place) -> None:
    project = place.project
    before, was = prepare(project), answer(project, LATE).values
    assert learned(before, LATE, DAY) is None
    _, later = learned(before, LATE, "2020-06-30")
    shutil.copy(place.incoming.parent / "whole" / JUNE, place.incoming / JUNE)

    ingest(project, place.incoming, place.incoming.parent / "staged")
    assert answer(project, LATE).values == was, "nothing is loaded yet"
    materialise(project)
    now = answer(project, LATE).values
    assert (was["shop_recent_7d_count"], now["shop_recent_7d_count"]) == (6, 7)

    after = prepare(project)
    assert learned(after, LATE, DAY) is not None
    assert learned(after, LATE, "2020-06-30")[1]["shop_recent_7d_count"] == later["shop_recent_7d_count"] + 1


def test_what_follows_the_clock_says_that_it_is_behind(place: Place) -> None:
    project = place.project
    prepare(project)
    labels(project)
    assert {part["seconds"] for part in find_behind(project).values()} == {0}
    move_clock(project.settings, CLOCK + HOUR, CLOCK)
    assert {part["seconds"] for part in find_behind(project).values()} == {3600}
    said = describe(project)
    assert "online store    as of 2020-07-01 12:00:00 UTC, 1:00:00 behind: `make materialise`" in said
    assert "labels          as of 2020-07-01 12:00:00 UTC, 1:00:00 behind: `make labels`" in said

    assert materialise(project) == CLOCK + HOUR
    labels(project)
    assert {part["seconds"] for part in find_behind(project).values()} == {0}
    assert describe(project).count("as the clock") == 3
    assert set(feast_store_watermarks(project)) == {CLOCK + HOUR}

    shutil.copy(place.incoming.parent / "whole" / JUNE, place.incoming / JUNE)
    ingest(project, place.incoming, place.incoming.parent / "staged")
    assert find_behind(project)["features"]["is_other_data"]
    assert "of another data version: `make materialise`" in describe(project)


def feast_store_watermarks(project: Project) -> list[datetime]:
    opened = OnlineFeatures.open(project.settings, PROBLEM.feature_service)
    opened.close()
    return list(opened.watermarks.values())


def test_a_training_that_took_long_does_not_turn_the_store_back(place: Place) -> None:
    project = place.project
    prepare(project)
    move_clock(project.settings, CLOCK + HOUR, CLOCK)
    materialise(project)
    tables = (project.settings.features_dir / "current").resolve()
    assert features.materialise.fn(project.settings, CLOCK) == {}, "as of when that training began"
    assert feast_store.loaded_until(project.settings) == CLOCK + HOUR
    assert (project.settings.features_dir / "current").resolve() == tables


def test_nothing_is_materialised_on_other_declarations(place: Place) -> None:
    project = place.project
    ensure_clock(project.settings, CLOCK)
    with pytest.raises(FeatureError, match="no Feast registry yet; run `make train`"):
        run_materialise(project)
    prepare(project)
    declared = project.settings.feature_repo / "definitions.py"
    declared.write_text(declared.read_text().replace("timedelta(days=7)", "timedelta(days=6)"))
    with pytest.raises(FeatureError, match="mean something else than expected"):
        run_materialise(project)


def test_tables_of_earlier_hours_do_not_fill_the_disk(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "table").touch()
    (tmp_path / "current").symlink_to("0")
    (tmp_path / ".1.unfinished").mkdir()
    features.remove_old(tmp_path, tmp_path / "current", count=2)
    assert len([path for path in tmp_path.iterdir() if path.name.isdigit()]) in (2, 3)
    assert (tmp_path / "current" / "table").exists()
    assert (tmp_path / ".1.unfinished").exists()


def test_months_after_the_clock_are_named(tmp_path: Path) -> None:
    project = make_project(make_clone(tmp_path / "clone", tmp_path / "remote"))
    assert months_beyond(project.settings, CLOCK) is None
    write_raw_files = project.settings.data_dir / "sales"
    write_raw_files.mkdir(parents=True)
    for month in ("2020-06", "2020-07", "2020-08", "2020-09"):
        (write_raw_files / f"{month}.csv").touch()
    said = months_beyond(project.settings, CLOCK) or ""
    assert said.startswith("data/ holds 2020-08 to 2020-09, of which the event clock, at 2020-07-01 12:00 UTC, knows")
    assert months_beyond(project.settings, CLOCK.replace(month=9, day=1, hour=1)) is None
