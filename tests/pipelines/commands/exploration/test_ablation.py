"""`make ablate`: what views are worth, by the validation window, and by the test window where it is asked for."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.training.fit import TrainingParameters
from pipelines.commands.exploration.ablation import Reached, ablate, columns_without, made_on_demand, print_reached
from tests.toy_problem import PROBLEM

LOGISTIC = TrainingParameters(model="logistic_regression", settings=(("inverse_regularisation", 0.1),))


@pytest.fixture
def trained(toy_store: Project, toy_examples: pd.DataFrame, tmp_path: Path) -> Project:
    """The registered toy store in a root of its own, with a training set in which one column of a view tells much."""
    shutil.copytree(toy_store.settings.root, tmp_path / "root", symlinks=True)
    project = toy_store.at(toy_store.settings.model_copy(update={"root": tmp_path / "root"}))
    examples = toy_examples[toy_examples[PROBLEM.label].notna()].reset_index(drop=True)
    random = np.random.default_rng(0)
    noise = {name: random.normal(size=len(examples)) for name in ("planned", "seats", "shop_recent_2d_count")}
    features = pd.DataFrame(noise).assign(city=examples["city"])
    features["seats"] += 2 * examples[PROBLEM.label]
    folder = project.settings.state_dir / "training_sets" / "newest"
    folder.mkdir(parents=True)
    examples.to_parquet(folder / "examples.parquet")
    features.to_parquet(folder / "features.parquet")
    return project


def losses(found: Mapping[str, Reached]) -> list[float]:
    return [each.loss for each in found.values()]


def test_what_a_view_tells_is_lost_without_it(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    found = ablate(trained, LOGISTIC, ["baking_plan"])
    assert [each.features for each in found.values()] == [4, 2]
    before, after = losses(found)
    assert before < 0.8 * after
    assert [each.test for each in found.values()] == [{}, {}]
    print_reached(trained, LOGISTIC, found)
    printed = capsys.readouterr().out
    assert re.search(rf"without baking_plan +2 +{after:.4f}", printed)
    assert "without baking_plan: inverse_regularisation=0.1\n" in printed
    assert f"{after:.4f}" in printed
    assert "test" not in printed


def test_what_tells_nothing_is_not_missed(trained: Project) -> None:
    before, after = losses(ablate(trained, LOGISTIC, ["shop_recent", "city"]))
    assert after == pytest.approx(before, abs=0.01)


def test_the_test_window_is_shown_if_asked_for_and_decides_nothing(trained: Project) -> None:
    before = ablate(trained, LOGISTIC, ["baking_plan"], test=True)
    (file,) = trained.settings.state_dir.glob("training_sets/newest/examples.parquet")
    examples = pd.read_parquet(file)
    is_test = examples["event_timestamp"] >= PROBLEM.windows.test.start
    examples.loc[is_test, PROBLEM.label] = 1 - examples.loc[is_test, PROBLEM.label]
    examples.to_parquet(file)
    after = ablate(trained, LOGISTIC, ["baking_plan"], test=True)
    assert losses(after) == losses(before)
    assert losses(before) == pytest.approx(losses(ablate(trained, LOGISTIC, ["baking_plan"])), abs=0.02)
    whole, without = (each.test["log_loss"] for each in before.values())
    assert whole < 0.8 * without
    assert after["all features"].test["log_loss"] > 2 * whole


def test_what_is_made_on_demand_stays_and_is_named(trained: Project) -> None:
    def doubled(_: object, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"twice_the_seats": 2 * features["seats"]}

    project = replace(trained, requests=replace(trained.requests, on_demand=doubled))
    (file,) = trained.settings.state_dir.glob("training_sets/newest/features.parquet")
    features = pd.read_parquet(file)
    features.assign(twice_the_seats=2 * features["seats"]).to_parquet(file)
    assert made_on_demand(project) == ["twice_the_seats"]
    assert made_on_demand(trained) == []


def test_a_view_of_which_the_model_takes_nothing_is_refused(trained: Project) -> None:
    with pytest.raises(FeatureError, match="the model takes no feature of baking_plan"):
        columns_without(trained, ["city"], ["baking_plan"])


def test_names_that_are_neither_view_nor_feature_are_refused(trained: Project) -> None:
    with pytest.raises(
        FeatureError, match=r"got WITHOUT=plan, expected feature views \(.*baking_plan.*\), or features"
    ):
        columns_without(trained, ["planned", "city"], ["baking_plan", "plan"])
    with pytest.raises(FeatureError, match="without baking_plan, city no feature is left"):
        columns_without(trained, ["planned", "city"], ["baking_plan", "city"])
