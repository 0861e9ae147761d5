"""Pictures of an evaluation, as PNG files."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

matplotlib.use("Agg")

import matplotlib.pyplot as plt

SIZE_INCHES = (5.5, 4.5)
GREY, BLUE, ORANGE = "#8a8f98", "#2563a8", "#d9730d"


def draw_evaluation(
    folder: Path, label: np.ndarray, probability: np.ndarray, calibration: pd.DataFrame, slices: pd.DataFrame
) -> list[Path]:
    """Draw calibration, ROC and precision-recall curves, and log-loss by slice.

    Parameters
    ----------
    folder
        Exists; the files are written into it.
    label, probability
        Shape (n,).
    calibration, slices
        As in `evaluation.Evaluation`.
    """
    files = [
        _calibration(folder / "calibration.png", calibration),
        _roc(folder / "roc.png", label, probability),
        _precision_recall(folder / "precision_recall.png", label, probability),
    ]
    return [*files, _slices(folder / "slices.png", slices)] if len(slices) else files


def _save(figure: plt.Figure, file: Path) -> Path:
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file


def _calibration(file: Path, table: pd.DataFrame) -> Path:
    figure, axes = plt.subplots(figsize=SIZE_INCHES)
    top = 1.05 * max(table["predicted"].max(), table["observed"].max(), 0.05)
    axes.plot([0, top], [0, top], color=GREY, linestyle="--", label="perfect")
    axes.plot(table["predicted"], table["observed"], color=BLUE, marker="o", label="model")
    axes.set(xlabel="mean predicted probability", ylabel="observed share", title="Calibration, bins of equal count")
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.legend(frameon=False)
    return _save(figure, file)


def _roc(file: Path, label: np.ndarray, probability: np.ndarray) -> Path:
    false_positive, true_positive, _ = roc_curve(label, probability)
    figure, axes = plt.subplots(figsize=SIZE_INCHES)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="chance")
    axes.plot(false_positive, true_positive, color=BLUE, label="model")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC curve")
    axes.legend(frameon=False)
    return _save(figure, file)


def _precision_recall(file: Path, label: np.ndarray, probability: np.ndarray) -> Path:
    precision, recall, _ = precision_recall_curve(label, probability)
    figure, axes = plt.subplots(figsize=SIZE_INCHES)
    axes.axhline(label.mean(), color=GREY, linestyle="--", label="chance")
    axes.plot(recall[:-1], precision[:-1], color=BLUE, label="model")
    axes.set(xlabel="recall", ylabel="precision", title="Precision-recall curve", ylim=(0, 1.02))
    axes.legend(frameon=False)
    return _save(figure, file)


def _slices(file: Path, slices: pd.DataFrame) -> Path:
    ordered = slices.iloc[::-1]
    names = ordered["slice"] + " = " + ordered["value"].astype(str) + "  (" + ordered["rows"].astype(str) + ")"
    figure, axes = plt.subplots(figsize=(7, 0.28 * len(ordered) + 1.4))
    axes.barh(names, ordered["log_loss"], color=BLUE, height=0.6, label="log-loss")
    axes.plot(ordered["share_positive"], names, "o", color=ORANGE, label="share positive")
    axes.set(title="By slice (rows)")
    axes.legend(frameon=False, loc="lower right")
    return _save(figure, file)
