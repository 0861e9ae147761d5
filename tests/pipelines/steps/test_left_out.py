"""MODEL=all where a model cannot learn from the rows: the others are compared without it."""

from pathlib import Path

import pytest

from flightline.core.errors import TrainingError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.training.fit import TrainingParameters
from pipelines.common.artifacts import EvaluationFile, FittedFile, TrainingSet
from pipelines.steps import compare as comparison
from tests.support.small_training_set import small_project, write_training_set

ASKED = [TrainingParameters(model=name) for name in ("k_nearest_neighbours", "base_rate", "decision_tree")]


def train(folder: Path, monkeypatch: pytest.MonkeyPatch, *refused: str) -> list[str]:
    def fit(_: Project, parameters: TrainingParameters, of: TrainingSet, groups: object) -> comparison.Trained:
        if parameters.model in refused:
            raise TrainingError(f"no class for {parameters.model}")
        file = FittedFile("k", of.features_file, "s", {}, {}, {}, 1.0, "none", {}, "2020", 1.0)
        return comparison.Trained(parameters, file, EvaluationFile("e", folder, {"log_loss": 1.0}, {}, 1, "d"))

    monkeypatch.setattr(comparison, "fit_and_evaluate", fit)
    project = small_project(Settings(root=folder), "classification")
    trained = comparison.train_each(project, ASKED, write_training_set(folder / "set", "classification"))
    return [each.parameters.model for each in trained]


def test_a_model_that_cannot_learn_is_left_out_and_named(tmp_path, monkeypatch, capsys):
    assert train(tmp_path, monkeypatch, "k_nearest_neighbours") == ["base_rate", "decision_tree"]
    assert "without k_nearest_neighbours: no class for k_nearest_neighbours" in capsys.readouterr().out


def test_where_none_can_learn_it_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(TrainingError, match="no class for decision_tree"):
        train(tmp_path, monkeypatch, *(each.model for each in ASKED))
