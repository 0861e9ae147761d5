"""From options and a file of settings to parameters."""

import argparse
import json

import pytest

from flightline.core.errors import TrainingError
from flightline.training.fit import TrainingParameters
from pipelines.common.training_options import add_options, parameters_of


def parsed(*arguments: str) -> TrainingParameters:
    parser = argparse.ArgumentParser()
    add_options(parser, "all")
    return parameters_of(parser.parse_args(arguments))


def test_without_options_the_defaults_hold():
    assert parsed() == TrainingParameters()


def test_each_option_is_taken():
    asked = parsed("--model", "all", "--seed", "3", "--pca-components", "4", "--kmeans-segments", "5")
    assert asked == TrainingParameters(model="all", seed=3, pca_components=4, kmeans_segments=5)


@pytest.mark.parametrize("model", [(), ("--model", "decision_tree")], ids=["of the file", "named as well"])
def test_settings_come_from_a_file(tmp_path, model):
    file = tmp_path / "best.json"
    file.write_text(json.dumps({"model": "decision_tree", "settings": {"min_samples_leaf": 7}, "loss": 0.4}))
    asked = parsed("--parameters", str(file), *model)
    assert asked == TrainingParameters(model="decision_tree", settings=(("min_samples_leaf", 7),))


def test_settings_of_another_model_are_refused(tmp_path):
    file = tmp_path / "best.json"
    file.write_text(json.dumps({"model": "decision_tree", "settings": {}}))
    with pytest.raises(TrainingError, match="holds settings of decision_tree, but MODEL is random_forest"):
        parsed("--parameters", str(file), "--model", "random_forest")


@pytest.mark.parametrize("content", ["", "[]", '{"model": "decision_tree"}', '{"model": "a", "settings": 3}'])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    file = tmp_path / "best.json"
    file.write_text(content)
    with pytest.raises(TrainingError, match="is no JSON of the form"):
        parsed("--parameters", str(file))


def test_a_file_that_is_not_there_says_what_makes_one(tmp_path):
    with pytest.raises(TrainingError, match="`make tune` writes such a file"):
        parsed("--parameters", str(tmp_path / "best.json"))
