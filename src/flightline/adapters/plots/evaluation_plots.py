"""Pictures of an evaluation, as PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from flightline.adapters.plots.figures import BLUE, GREEN, GREY, ORANGE, RED, plt, save
from flightline.core.problem_spec import Task, Thresholds
from flightline.promotion.gate import Comparison, Verdict

SIZE_INCHES = (5.5, 4.5)
MEANS: dict[Task, str] = {
    "classification": "mean probability, and share of yes",
    "multiclass": "mean probability of the likeliest class, and how often it is right",
    "regression": "mean, in units of the label",
}
UNITS = {"log_loss": "nats", "rmse": "units of the label", "mae": "units of the label"}


def with_unit(metric: str) -> str:
    """Name a metric with its unit, if it has one.

    Examples
    --------
    >>> with_unit("log_loss"), with_unit("brier")
    ('log_loss (nats)', 'brier')
    """
    return f"{metric} ({UNITS[metric]})" if metric in UNITS else metric


def draw_evaluation(
    task: Task,
    folder: Path,
    label: np.ndarray,
    predicted: np.ndarray,
    calibration: pd.DataFrame,
    slices: pd.DataFrame,
    metric: str,
    classes: Sequence[str] = (),
) -> list[Path]:
    """Draw calibration and the loss by slice; ROC and precision-recall curves, the confusions, or the residuals.

    Parameters
    ----------
    folder
        Exists; the files are written into it.
    label, predicted
        As in `evaluation.evaluate`.
    calibration, slices
        As in `evaluation.Evaluation`; slices may have columns lower and upper, the interval of the metric.
    metric
        Drawn by slice.
    classes
        Of a multiclass problem.
    """
    if task == "classification":
        files = [
            _shares(folder / "calibration.png", calibration),
            _roc(folder / "roc.png", label, predicted),
            _precision_recall(folder / "precision_recall.png", label, predicted),
        ]
    elif task == "multiclass":
        files = [
            _shares_by_class(folder / "calibration.png", calibration),
            _confusion(folder / "confusion.png", label, predicted, classes),
        ]
    else:
        files = [
            _means(folder / "calibration.png", calibration),
            _residuals(folder / "residuals.png", label, predicted),
        ]
    return [*files, _slices(folder / "slices.png", slices, metric, task)] if len(slices) else files


def _shares(file: Path, table: pd.DataFrame) -> Path:
    figure, axes = plt.subplots(figsize=SIZE_INCHES)
    top = 1.05 * max(table["predicted"].max(), table["observed"].max(), 0.05)
    axes.plot([0, top], [0, top], color=GREY, linestyle="--", label="perfect")
    axes.plot(table["predicted"], table["observed"], color=BLUE, marker="o", label="model")
    axes.set(xlabel="mean predicted probability", ylabel="observed share", title="Calibration, bins of equal count")
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.legend()
    return save(figure, file)


def _shares_by_class(file: Path, table: pd.DataFrame) -> Path:
    parts = list(table.groupby("class", sort=False))
    columns = min(len(parts), 5)
    lines = -(-len(parts) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(2.4 * columns, 2.4 * lines), squeeze=False)
    for axes, (name, rows) in zip(grid.flat, parts, strict=False):
        top = 1.05 * max(rows["predicted"].max(), rows["observed"].max(), 0.05)
        axes.plot([0, top], [0, top], color=GREY, linestyle="--")
        axes.plot(rows["predicted"], rows["observed"], color=BLUE, marker=".")
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in list(grid.flat)[len(parts) :]:
        axes.set_axis_off()
    figure.supxlabel("mean predicted probability", fontsize=9)
    figure.supylabel("observed share", fontsize=9)
    return save(figure, file)


def _confusion(file: Path, label: np.ndarray, probability: np.ndarray, classes: Sequence[str]) -> Path:
    """Draw which class was answered (the likeliest) where which one was true, as shares of the true one."""
    counts = confusion_matrix(label, probability.argmax(axis=1), labels=range(len(classes)), normalize="true")
    size = 2.5 + 0.45 * len(classes)
    figure, axes = plt.subplots(figsize=(size, size))
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        share = counts[row, column]
        axes.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=7, color="k" if share < 0.4 else "w")
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="answered", ylabel="true", title="Of the rows of each class")
    return save(figure, file)


def _means(file: Path, table: pd.DataFrame) -> Path:
    figure, axes = plt.subplots(figsize=SIZE_INCHES)
    ends = [table[["predicted", "observed"]].to_numpy().min(), table[["predicted", "observed"]].to_numpy().max()]
    axes.plot(ends, ends, color=GREY, linestyle="--", label="perfect")
    axes.plot(table["predicted"], table["observed"], color=BLUE, marker="o", label="model")
    axes.set(xlabel="mean predicted", ylabel="mean observed", title="Calibration, bins of equal count")
    axes.legend()
    return save(figure, file)


def _residuals(file: Path, label: np.ndarray, predicted: np.ndarray) -> Path:
    residual = label - predicted
    figure, (left, right) = plt.subplots(1, 2, figsize=(2 * SIZE_INCHES[0], SIZE_INCHES[1]))
    lower, upper = np.percentile(residual, [0.5, 99.5])
    left.hist(residual[(residual >= lower) & (residual <= upper)], bins=60, color=BLUE)
    left.axvline(0, color=GREY, linestyle="--")
    left.set(xlabel="observed - predicted", ylabel="rows", title="Residuals, all but the outermost 1 %")
    right.hexbin(predicted, residual, gridsize=50, mincnt=1, bins="log", cmap="Blues")
    right.axhline(0, color=GREY, linestyle="--")
    right.set(xlabel="predicted", ylabel="observed - predicted", title="Residuals by prediction")
    return save(figure, file)


def _roc(file: Path, label: np.ndarray, probability: np.ndarray) -> Path:
    false_positive, true_positive, _ = roc_curve(label, probability)
    figure, axes = plt.subplots(figsize=SIZE_INCHES)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="chance")
    axes.plot(false_positive, true_positive, color=BLUE, label="model")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC curve")
    axes.legend()
    return save(figure, file)


def _precision_recall(file: Path, label: np.ndarray, probability: np.ndarray) -> Path:
    precision, recall, _ = precision_recall_curve(label, probability)
    figure, axes = plt.subplots(figsize=SIZE_INCHES)
    axes.axhline(label.mean(), color=GREY, linestyle="--", label="chance")
    axes.plot(recall[:-1], precision[:-1], color=BLUE, label="model")
    axes.set(xlabel="recall", ylabel="precision", title="Precision-recall curve", ylim=(0, 1.02))
    axes.legend()
    return save(figure, file)


def _slices(file: Path, slices: pd.DataFrame, metric: str, task: Task) -> Path:
    """Draw the loss by slice with its interval; beside it, on an axis of its own, predicted and observed means."""
    ordered = slices.iloc[::-1]
    names = ordered["slice"] + " = " + ordered["value"].astype(str) + "  (" + ordered["rows"].map("{:,}".format) + ")"
    height = 0.28 * len(ordered) + 1.8
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, height), sharey=True, layout="constrained")
    reach = (
        np.abs(ordered[["lower", "upper"]].to_numpy().T - ordered[metric].to_numpy()) if "lower" in ordered else None
    )
    left.errorbar(ordered[metric], names, xerr=reach, fmt="o", color=BLUE, ecolor=GREY, markersize=5, capsize=2)
    left.set(xlabel=f"{with_unit(metric)}, lower is better, with its 95 % interval", title="Loss by slice (rows)")
    right.hlines(names, ordered["predicted"], ordered["observed"], color=GREY, linewidth=1)
    right.plot(ordered["predicted"], names, "o", color=BLUE, label="predicted")
    right.plot(ordered["observed"], names, "o", color=ORANGE, label="observed")
    right.set(xlabel=MEANS[task], title="Predicted and observed")
    if task != "regression":
        right.xaxis.set_major_formatter(PercentFormatter(1))
    for axes in (left, right):
        axes.grid(axis="y", color=GREY, alpha=0.2)
    figure.legend(*right.get_legend_handles_labels(), ncols=2, loc="outside lower right")
    return save(figure, file)


def draw_comparisons(file: Path, verdict: Verdict, thresholds: Thresholds) -> Path:
    """Draw by how much the challenger differs from the champion, overall and by slice, with the margins.

    Parameters
    ----------
    verdict
        With comparisons.
    thresholds
        Their margins are drawn as lines.
    """
    shown = verdict.comparisons[::-1]
    figure, axes = plt.subplots(figsize=(7.5, 0.28 * len(shown) + 2), layout="constrained")
    names = [f"{comparison.name}  ({comparison.rows:,})" for comparison in shown]
    middle, reach = _in_percent(shown)
    axes.errorbar(middle, names, xerr=reach, fmt="o", color=BLUE, markersize=4, capsize=2)
    axes.axvline(0, color=GREY, linewidth=0.8)
    better, worse, in_slice = thresholds.promotion_margin, thresholds.non_inferiority_margin, thresholds.slice_margin
    for margin, colour, meaning in (
        (better, GREEN, f"better by more than {better:.2%}: promote"),
        (-worse, ORANGE, f"worse by less than {worse:.2%}: promote if cheaper"),
        (-in_slice, RED, f"a slice worse by more than {in_slice:.2%}: hold"),
    ):
        axes.axvline(100 * margin, color=colour, linestyle="--", label=meaning)
    axes.set(xlabel="mean loss below the champion's, in % of it", title=f"{verdict.decision}: challenger and champion")
    axes.set(ylim=(-0.7, len(shown) - 0.3))
    figure.legend(fontsize=8, loc="outside lower center")
    return save(figure, file)


def _in_percent(comparisons: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Give the improvements and how far their bounds reach to both sides, in % of the champion's loss."""
    gains = [(one.improvement.estimate, one.improvement.lower, one.improvement.upper) for one in comparisons]
    losses = np.array([one.champion_loss or np.nan for one in comparisons])  # of nothing there is no share
    middle, lower, upper = 100 * np.array(gains).T / losses
    return middle, np.maximum([middle - lower, upper - middle], 0)
