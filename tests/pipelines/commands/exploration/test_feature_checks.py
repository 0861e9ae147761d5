"""Ages of features at the prediction time, and each feature alone, as a person reads them."""

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.evaluation.single_feature import ALL_ROWS
from pipelines.commands.exploration.feature_checks import find_ages, print_ages, print_alone, read_alone
from pipelines.steps.models import ALONE_FILE
from tests.toy_problem import PROBLEM


@pytest.fixture
def built(toy_store: Project, toy_examples: pd.DataFrame, tmp_path: Path) -> Project:
    """The registered toy store, in a root of its own."""
    shutil.copytree(toy_store.settings.root, tmp_path / "root", symlinks=True)
    project = toy_store.at(toy_store.settings.model_copy(update={"root": tmp_path / "root"}))
    examples = project.settings.features_dir / "current" / "examples"
    examples.mkdir()
    toy_examples.to_parquet(examples / "examples.parquet")
    set_clock(project.settings, PROBLEM.first_clock)
    return project


def test_ages_follow_from_when_values_become_known(built: Project) -> None:
    ages = find_ages(built).set_index("view")
    plan, recent = ages.loc["baking_plan"], ages.loc["shop_recent"]
    # A plan is known three days before the shop opens, and asked for half a day before.
    assert plan["median"] == timedelta(hours=60)
    assert timedelta(0) < recent["median"] < timedelta(days=2)
    assert (ages["absent"] < 0.2).all()
    assert (ages["dropped"] <= 1 - ages["absent"]).all()


def test_ages_are_printed_by_view(built: Project, capsys: pytest.CaptureFixture[str]) -> None:
    print_ages(built)
    printed = capsys.readouterr().out
    for word in ("shop_recent", "baking_plan", "2.5 d", "dropped"):
        assert word in printed


def test_without_tables_or_examples_it_says_what_to_do(built: Project, tmp_path: Path) -> None:
    set_clock(built.settings, PROBLEM.windows.fit.start - timedelta(days=900))
    with pytest.raises(FeatureError, match="no example lies before the event clock"):
        find_ages(built)
    with pytest.raises(FeatureError, match="run `make train` first"):
        find_ages(built.at(built.settings.model_copy(update={"root": tmp_path / "empty"})))


def test_one_feature_alone_or_all(built: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FeatureError, match="nothing was trained yet"):
        read_alone(built)
    folder = built.settings.state_dir / "evaluations" / "one"
    folder.mkdir(parents=True)
    table = pd.DataFrame({"feature": ["seats", "planned"], "loss": [0.5, 0.6], "gain": [0.25, 0.1], "among": ALL_ROWS})
    pd.concat([table, table.assign(loss=0.1, among="planned")]).to_csv(folder / ALONE_FILE, index=False)
    print_alone(built, "")
    assert "25.0%" in capsys.readouterr().out
    assert read_alone(built, "planned")["loss"].tolist() == [0.6]
    with pytest.raises(FeatureError, match="got COLUMN=plan, expected a feature such as planned; `make rule`"):
        read_alone(built, "plan")
