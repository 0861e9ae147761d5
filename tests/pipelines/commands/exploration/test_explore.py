"""`make explore`: a page for each kind of problem, and nothing on it that a label of the test window decides."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from pipelines.commands.exploration import explore
from tests.support.small_training_set import small_project, write_training_set

SHOP_ROWS = 400


def project_of(root: Path, task: str) -> Project:
    project = small_project(Settings(root=root), task)
    write_training_set(project.settings.state_dir / "training_sets" / "first", task)
    return project


@pytest.mark.parametrize(
    ("task", "unit"),
    [("multiclass", "Share of each label"), ("regression", "Mean label")],
)
def test_a_page_holds_a_picture_of_each_kind_with_a_sentence(tmp_path: Path, task: str, unit: str) -> None:
    page = explore.explore(project_of(tmp_path, task)).read_text(encoding="utf-8")
    figures = re.findall(r"<figure><h2>(.+?)</h2>.*?base64,(\S+)\">.*?<figcaption>(.+?)</figcaption>", page, re.DOTALL)
    titles = [title for title, _, _ in figures]
    assert [title.split(":")[0] for title in titles] == [
        "Examples over time", "Missing values", "The strongest features, by window", f"{unit} over time",
        f"{unit} by feature, before the test window", "Rank correlations of 2 features", "Categories as numbers",
        "Principal components", titles[-1],
    ]  # fmt: skip
    assert titles[-1].endswith("segments by k-means")
    assert all(len(picture) > 2_000 and len(sentence) > 60 for _, picture, sentence in figures)
    assert "://" not in page  # no other host is asked


def test_labels_of_the_test_window_decide_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path, "classification")
    before = explore.read_rows(project)
    file = project.settings.state_dir / "training_sets" / "first" / "examples.parquet"
    examples = pd.read_parquet(file)
    is_test = examples["event_timestamp"] >= before.windows.test.start
    examples.loc[is_test, "label"] = 1 - examples.loc[is_test, "label"]
    examples.to_parquet(file)
    after = explore.read_rows(project)
    assert not after.targets.equals(before.targets)
    pd.testing.assert_series_equal(after.strength, before.strength)
    assert after.sample.equals(before.sample)
    assert not is_test[after.sample].any()
    for section in (explore.target_by_feature, explore.encodings):
        assert list(section(after)) == list(section(before))


def test_without_a_training_set_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="run `make train` first"):
        explore.explore(small_project(Settings(root=tmp_path), "regression"))


def test_raw_tables_are_counted(toy_place: Project) -> None:
    raw = {str(table["name"]): table for table in explore.describe_raw(toy_place)}
    assert set(raw) == set(toy_place.raw_tables.contracts)
    assert all(int(str(table["rows"])) > 0 for table in raw.values())


def test_values_of_a_key_that_are_alike_are_joined_first() -> None:
    random = np.random.default_rng(0)
    key = pd.Series(random.choice(list("abcdx"), SHOP_ROWS, p=[0.249, 0.249, 0.249, 0.249, 0.004]))
    centre = key.map({"a": 0.0, "b": 0.1, "c": 5.0, "d": 5.1, "x": 9.0})
    scaled = pd.DataFrame(
        {"first": centre + random.normal(0, 0.1, SHOP_ROWS), "second": random.normal(0, 1, SHOP_ROWS)}
    )
    clustered = explore.tables.cluster_key(scaled, key)
    assert clustered is not None
    tree, names = clustered
    assert [name[0] for name in names] == list("abcd")  # x has too few rows
    assert [set(pair) for pair in tree[:2, :2].astype(int).tolist()] in ([{0, 1}, {2, 3}], [{2, 3}, {0, 1}])
