"""From a CSV file to the answer: late and corrected rows, and a clock that has moved, reach the online store and
the next training set, by the flow of the schedule.
"""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect import flow

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.event_clock import ensure_clock, move_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
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
DAY, LATER_DAY = "2020-06-27", "2020-06-30"  # within a week of each other and of the clock, and sold by then
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Seen:
    """What a shop's answer and a training set held, and what was behind the clock."""

    answers: dict[str, dict[str, float | None]]
    training_set: Path | None
    behind: dict[str, dict[str, Any]]
    said: str


@dataclass(frozen=True)
class Story:
    """A clone that was trained on a June without a row and with a wrong one, and then was sent June again."""

    project: Project
    units: int  # by how much the wrong row was corrected
    trained: Seen
    ingested: Seen
    materialised: Seen
    trained_again: Seen


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
    before = verify(project.settings)
    stage_files(project.settings, folder, staged)
    add_version(project.settings, staged, before)


@flow(validate_parameters=False)
def labels(project: Project) -> None:
    run_labels(project)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, server: None) -> Story:
    folder = tmp_path_factory.mktemp("läte rows")
    settings = make_clone(folder / "clone", folder / "remote")
    write_feature_repo(settings.root)
    project, seed, incoming = make_project(settings), folder / "seed", folder / "incoming"
    seed.mkdir()
    write_raw(seed)
    (seed / "sales" / "2020-07.csv").unlink()
    (incoming / "sales").mkdir(parents=True)
    units = rewrite(seed / JUNE, sold_otherwise, incoming / JUNE)
    rewrite(seed / JUNE, lambda rows: [row for row in rows if not is_of(row, LATE)])
    dvc_data.add_version(settings, seed, lambda _: None)

    folder_before = prepare(project)
    labels(project)
    trained = look(project, folder_before)
    ingest(project, incoming, folder / "staged")
    ingested = look(project)
    assert materialise(project) == CLOCK
    materialised = look(project)
    return Story(project, units, trained, ingested, materialised, look(project, prepare(project)))


def look(project: Project, training_set: Path | None = None) -> Seen:
    opened = OnlineFeatures.open(project.settings, PROBLEM.feature_service)  # as the service reads
    found = opened.read([{"shop": shop, "city": "Bergen"} for shop in (CORRECTED, LATE)], CLOCK)
    opened.close()
    answers = {shop: row.values for shop, row in zip((CORRECTED, LATE), found, strict=True)}
    return Seen(answers, training_set, find_behind(project), describe(project))


def is_of(row: dict[str, str], shop: str) -> bool:
    return row["shop"] == shop and row["opens"].startswith(DAY)


def rewrite(file: Path, change: Callable[[Rows], Rows], target: Path | None = None) -> int:
    """Change the rows of a file; give how many units were added in all."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    changed = change([dict(row) for row in rows])
    with (target or file).open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(changed)
    return sum(int(row["units"]) * sign for part, sign in ((changed, 1), (rows, -1)) for row in part if is_sold(row))


def is_sold(row: dict[str, str]) -> bool:
    return row["units"] != "NA"


def sold_otherwise(rows: Rows) -> Rows:
    """Let the day of one shop end the other way: all was sold, or one was left."""
    for row in rows:
        if is_of(row, CORRECTED):
            row["units"] = str(int(row["baked"]) - (row["units"] == row["baked"]))
    return rows


def learned(folder: Path | None, shop: str, day: str) -> tuple[int, pd.Series] | None:
    """Give label and features of a shop's day in a training set, if it holds them."""
    assert folder is not None
    examples = pd.read_parquet(folder / "examples.parquet")
    found = examples[(examples["shop"] == shop) & (examples["opens"].dt.strftime("%Y-%m-%d") == day)]
    if found.empty:
        return None
    return int(found["sold_out"].iloc[0]), pd.read_parquet(folder / "features.parquet").loc[found.index[0]]


def test_a_corrected_row_reaches_answer_and_next_training(story: Story) -> None:
    was, now = story.trained.answers[CORRECTED], story.materialised.answers[CORRECTED]
    assert story.ingested.answers[CORRECTED] == was, "nothing is loaded yet"
    count = was["shop_recent_7d_count"]
    assert now["shop_recent_7d_count"] == count
    assert now["shop_recent_7d_mean_units"] == pytest.approx(was["shop_recent_7d_mean_units"] + story.units / count)
    assert now["shop_recent_7d_mean_units"] != was["shop_recent_7d_mean_units"]

    before, after = story.trained.training_set, story.trained_again.training_set
    assert learned(after, CORRECTED, DAY)[0] == 1 - learned(before, CORRECTED, DAY)[0]
    was, now = (learned(each, CORRECTED, LATER_DAY)[1] for each in (before, after))
    added = story.units / was["shop_recent_7d_count"]
    assert now["shop_recent_7d_mean_units"] == pytest.approx(was["shop_recent_7d_mean_units"] + added)
    assert now["shop_recent_7d_mean_units"] != was["shop_recent_7d_mean_units"]


def test_a_late_row_reaches_answer_and_next_training(story: Story) -> None:
    was, now = story.trained.answers[LATE], story.materialised.answers[LATE]
    assert story.ingested.answers[LATE] == was, "nothing is loaded yet"
    assert now["shop_recent_7d_count"] == was["shop_recent_7d_count"] + 1

    before, after = story.trained.training_set, story.trained_again.training_set
    assert learned(before, LATE, DAY) is None
    assert learned(after, LATE, DAY) is not None
    was, now = (learned(each, LATE, LATER_DAY)[1]["shop_recent_7d_count"] for each in (before, after))
    assert now == was + 1


def test_what_is_of_an_older_data_version_says_so(story: Story) -> None:
    assert story.trained.said.count("as the clock") == 3
    assert story.ingested.said.count("of another data version") == 2
    assert "features        as of 2020-07-01 12:00:00 UTC, of another data version: `make mat" in story.ingested.said
    assert not story.materialised.behind["features"]["is_other_data"]
    assert story.materialised.behind["labels"]["is_other_data"]


def test_what_is_behind_the_clock_says_so_and_follows(story: Story) -> None:
    project, settings = story.project, story.project.settings
    move_clock(settings, CLOCK + HOUR, CLOCK)
    behind = look(project)
    assert {part["seconds"] for part in behind.behind.values()} == {3600}
    assert "online store    as of 2020-07-01 12:00:00 UTC, 1:00:00 behind: `make materialise`" in behind.said
    assert "labels          as of 2020-07-01 12:00:00 UTC, 1:00:00 behind" in behind.said
    assert materialise(project) == CLOCK + HOUR
    labels(project)
    assert look(project).said.count("as the clock") == 3

    # A training that began before the clock moved, and ends now.
    tables = (settings.features_dir / "current").resolve()
    assert features.materialise.fn(settings, CLOCK, settings.features_dir / "older") == {}
    assert feast_store.loaded_until(settings) == CLOCK + HOUR
    assert (settings.features_dir / "current").resolve() == tables


def test_nothing_is_materialised_on_other_declarations(story: Story) -> None:
    declared = story.project.settings.feature_repo / "definitions.py"
    text = declared.read_text(encoding="utf-8")
    declared.write_text(text.replace("timedelta(days=7)", "timedelta(days=6)"), encoding="utf-8")
    try:
        with pytest.raises(FeatureError, match="mean something else than expected"):
            run_materialise(story.project)
    finally:
        declared.write_text(text, encoding="utf-8")


def test_nothing_is_materialised_before_a_training(tmp_path: Path) -> None:
    settings = make_clone(tmp_path / "clone", tmp_path / "remote")
    write_feature_repo(settings.root)
    ensure_clock(settings, CLOCK)
    with pytest.raises(FeatureError, match="no Feast registry yet; run `make train`"):
        run_materialise(make_project(settings))


def test_tables_of_earlier_hours_do_not_fill_the_disk(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "table").touch()
        os.utime(tmp_path / str(number), (number, number))
    (tmp_path / "current").symlink_to("0")
    (tmp_path / ".1.unfinished").mkdir()
    features.remove_old(tmp_path, tmp_path / "current", count=2)
    assert {path.name for path in tmp_path.iterdir()} == {"current", ".1.unfinished", "0", "5", "6"}
    assert (tmp_path / "current" / "table").exists()


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
