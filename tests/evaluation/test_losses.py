"""The loss of a row: literal values, and the metric it is the row of."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, mean_squared_error

from flightline.core.errors import TrainingError
from flightline.evaluation.losses import ROW_LOSSES, promised_losses, row_losses


@pytest.mark.parametrize(
    ("task", "metric", "truth", "prediction", "expected"),
    [
        ("classification", "log_loss", [1, 0, 1], [0.5, 0.5, 0.25], [np.log(2), np.log(2), np.log(4)]),
        ("classification", "log_loss", [1, 0], [1.0, 0.0], [0.0, 0.0]),
        ("classification", "brier", [1, 0], [0.9, 0.3], [0.01, 0.09]),
        ("multiclass", "log_loss", [2, 0], [[0.5, 0.25, 0.25], [0.5, 0.5, 0.0]], [np.log(4), np.log(2)]),
        ("multiclass", "log_loss", [1], [[1.0, 0.0, 0.0]], [-np.log(np.finfo(float).eps)]),
        ("multiclass", "brier", [2, 0], [[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], [0.25 + 0.0625 + 0.5625, 0]),
        ("regression", "rmse", [3.0, -1.0], [1.0, -1.5], [4.0, 0.25]),
        ("regression", "mae", [3.0, -1.0], [1.0, -1.5], [2.0, 0.5]),
    ],
)
def test_the_loss_of_each_row(task, metric, truth, prediction, expected):
    assert row_losses(task, metric, np.array(truth), np.array(prediction)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("truth", "probability"), [(1, 0.0), (0, 1.0)])
def test_a_certain_error_costs_much_and_not_everything(truth, probability):
    (loss,) = row_losses("classification", "log_loss", np.array([truth]), np.array([probability]))
    assert loss == pytest.approx(36.04, abs=0.01)  # -log of the machine epsilon


@pytest.mark.parametrize(
    ("task", "metric", "mean"),
    [
        ("classification", "log_loss", log_loss),
        ("classification", "brier", brier_score_loss),
        ("regression", "rmse", mean_squared_error),
        ("regression", "mae", mean_absolute_error),
    ],
)
def test_the_mean_is_what_scikit_learn_gives(task, metric, mean):
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 2, 500), rng.random(500)
    prediction[:4] = [0.0, 1.0, 0.0, 1.0]
    assert row_losses(task, metric, truth, prediction).mean() == pytest.approx(mean(truth, prediction))


@pytest.mark.parametrize("task", ROW_LOSSES)
def test_a_missing_prediction_is_not_hidden(task):
    for metric in ROW_LOSSES[task]:
        predicted = np.array([np.nan, 0.5])
        given = np.stack([predicted] * 3, axis=1) if task == "multiclass" else predicted
        assert np.isnan(row_losses(task, metric, np.array([1.0, 0.0]), given)[0])


@pytest.mark.parametrize(("task", "metric"), [("classification", "roc_auc"), ("classification", "rmse"), ("x", "mae")])
def test_a_metric_that_is_no_mean_over_rows_is_refused(task, metric):
    with pytest.raises(TrainingError, match=f"primary_metric '{metric}' has no loss by row"):
        row_losses(task, metric, np.array([1]), np.array([0.5]))


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_probabilities_of_several_classes_promise_what_labels_drawn_by_them_cost(metric):
    random = np.random.default_rng(0)
    share = random.dirichlet([2, 1, 1], 200_000)
    label = (random.random(len(share))[:, None] > share.cumsum(axis=1)[:, :2]).sum(axis=1)
    promised = promised_losses("multiclass", metric, share)
    assert promised.mean() == pytest.approx(row_losses("multiclass", metric, label, share).mean(), rel=0.01)
    if metric == "log_loss":
        assert promised[0] == pytest.approx(-(share[0] * np.log(share[0])).sum())
