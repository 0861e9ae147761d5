"""Pictures of monitoring, as PNG files: how the windows did, and what moved in the inputs."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.dates
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from flightline.adapters.plots.evaluation_plots import with_unit
from flightline.adapters.plots.figures import BLUE, GREEN, GREY, ORANGE, RED, plt, save
from flightline.core.problem_spec import Task
from flightline.monitoring.daily_stats import Kind
from flightline.monitoring.data_quality import DataAnomaly
from flightline.monitoring.decision import Reference, WindowEvidence
from flightline.monitoring.drift import ColumnDrift
from flightline.monitoring.window_metrics import Estimate

MOST_COLUMNS = 18
MOST_ANOMALIES = 6
MEASURES = {
    Kind.MISSING: "share without a value",
    Kind.UNSEEN: "share of unknown categories",
    Kind.STUCK: "chance that two values are the same",
    Kind.OUTSIDE: "share outside the training range",
    Kind.RESCALED: "standard deviation of the day",
    Kind.JUMPED: "mean of the day",
    Kind.LATE: "age of the freshest values, h",
}
TITLES = {
    "excess": "Loss above what the probabilities promise",
    "slope": "Calibration slope, below 1 too bold",
    "roc_auc": "How well it tells them apart",
}
UNITS = {"slope": "slope", "roc_auc": "ROC AUC, higher is better"}
OUTCOME_COLOURS = (BLUE, "#8fb3d9", "#b9cfe4", "#d5e0ec")


def draw_weeks(file: Path, windows: Sequence[WindowEvidence], reference: Reference, judged: int, label: str) -> Path:
    """Draw window by window the loss beside what is allowed, and what was predicted beside what happened.

    The two have a picture each: a loss and a probability share no axis.

    Parameters
    ----------
    windows
        The oldest first; those without labels leave a gap.
    judged
        How many of the last windows decide; they are shaded.
    label
        What is predicted, for the axis.
    """
    rows = reference.rows
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    _over_windows(left, rows.metric, windows, reference, judged)
    left.set_title("How large its errors were", fontsize=12, loc="left")
    left.set_ylabel(f"{with_unit(rows.metric)}, lower is better")
    _predicted_and_observed(right, windows, judged)
    right.set_title("What it predicted, and what happened", fontsize=12, loc="left")
    right.set_ylabel(_observed_name(rows.task, label))
    if rows.task != "regression":
        right.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(handles=_marks(windows, (rows.metric, "gap")), ncols=3, loc="outside lower center")
    return save(figure, file)


def _observed_name(task: Task, label: str) -> str:
    return {
        "classification": f"{label}: share of the predictions",
        "multiclass": "right answers: share of the predictions",
        "regression": f"{label}: mean",
    }[task]


def _predicted_and_observed(axes: Axes, windows: Sequence[WindowEvidence], judged: int) -> None:
    allowed = [each for one in windows for each in one.criteria if each.metric == "gap"]
    for place, one in enumerate(windows):
        if "gap" not in one.metrics:
            continue
        axes.hlines(one.predicted, place - 0.3, place + 0.3, color=GREEN, linestyle="--", linewidth=1.5)
        if allowed:
            least, most = one.predicted + allowed[-1].lowest, one.predicted + allowed[-1].highest
            axes.fill_between([place - 0.3, place + 0.3], least, most, color=GREEN, alpha=0.12, linewidth=0, zorder=0)
        _dot(axes, place, one.metrics["gap"].plus(one.predicted), _colour(one, "gap"))
    _mark_windows(axes, windows, judged)


def draw_performance(file: Path, windows: Sequence[WindowEvidence], reference: Reference, judged: int) -> Path:
    """Draw the other metrics that decide over the windows; parameters as in `draw_weeks`."""
    shown = [name for name in TITLES if name in reference.metrics]
    figure, places = plt.subplots(1, len(shown), figsize=(max(4 * len(shown), 6), 3.4), squeeze=False)
    loss = with_unit(reference.rows.metric)
    for axes, name in zip(places.flat, shown, strict=True):
        _over_windows(axes, name, windows, reference, judged)
        axes.set_title(TITLES[name], fontsize=10, loc="left")
        axes.set_ylabel(UNITS.get(name, loss), fontsize=9)
    return save(figure, file)


def _marks(windows: Sequence[WindowEvidence], drawn: Sequence[str]) -> list[Artist]:
    """Give the legend; of the colours of dots, those that occur."""
    meanings = {
        BLUE: "what happened, with its bounds",
        RED: "outside what is allowed",
        ORANGE: "above what is usual, which does not decide",
        GREY: "too little is known to judge",
    }
    seen = {_colour(one, name) for one in windows for name in drawn if name in one.metrics}
    return [
        *(plt.Line2D([], [], color=each, marker="o", label=text) for each, text in meanings.items() if each in seen),
        plt.Line2D([], [], color=GREEN, linestyle="--", label="expected: left on held-out rows, right as predicted"),
        plt.Rectangle((0, 0), 1, 1, color=GREEN, alpha=0.12, label="allowed"),
        plt.Rectangle((0, 0), 1, 1, color=GREY, alpha=0.15, label="windows that decide"),
    ]


def _over_windows(axes: Axes, name: str, windows: Sequence[WindowEvidence], reference: Reference, judged: int) -> None:
    axes.axhline(reference.metrics[name].value, color=GREEN, linestyle="--", linewidth=1)
    for place, one in enumerate(windows):
        if name in one.metrics:
            _dot(axes, place, one.metrics[name], _colour(one, name))
    allowed = [each for one in windows for each in one.criteria if each.metric == name]
    low, high = axes.get_ylim()
    if allowed:
        least, most = allowed[-1].lowest, allowed[-1].highest
        low, high = (min(low, least) if np.isfinite(least) else low), (max(high, most) if np.isfinite(most) else high)
        axes.axhspan(max(least, low - 1), min(most, high + 1), color=GREEN, alpha=0.12, zorder=0)
    pad = 0.05 * (high - low)
    axes.set_ylim(low - pad, high + pad)
    _mark_windows(axes, windows, judged)


def _mark_windows(axes: Axes, windows: Sequence[WindowEvidence], judged: int) -> None:
    """Name the windows below, and shade those that decide."""
    axes.axvspan(len(windows) - judged - 0.5, len(windows) - 0.5, color=GREY, alpha=0.15, zorder=0)
    axes.set_xlim(-0.5, len(windows) - 0.5)
    _name_windows(axes, windows)


def _name_windows(axes: Axes, windows: Sequence[WindowEvidence]) -> None:
    days = [f"{one.window.start:%d %b}" for one in windows]
    axes.set_xticks(range(len(windows)), days, fontsize=8, rotation=45, ha="right")
    axes.set_xlabel(f"first day of the {_span(windows)}", fontsize=9)


def _span(windows: Sequence[WindowEvidence]) -> str:
    days = (windows[-1].window.end - windows[-1].window.start).days
    return {1: "day", 7: "week"}.get(days, f"window of {days} days")


def _colour(one: WindowEvidence, name: str) -> str:
    breaches = [each for each in one.criteria if each.is_breached and each.metric == name]
    if breaches:
        return RED if any(each.is_deciding for each in breaches) else ORANGE
    return GREY if one.unjudged else BLUE


def _dot(axes: Axes, place: float, found: Estimate, colour: str) -> None:
    reach = [[max(found.value - found.lower, 0)], [max(found.upper - found.value, 0)]]
    if np.isfinite(reach).all():
        axes.errorbar(place, found.value, yerr=reach, color=colour, capsize=3)
    axes.plot(place, found.value, "o", color=colour, markersize=5)


def draw_calibration(file: Path, windows: pd.DataFrame, reference: pd.DataFrame, task: Task, label: str) -> Path:
    """Draw predicted against observed means by bin, of the windows that decide and of the reference.

    Parameters
    ----------
    task, label
        Of the problem, for the axes.
    windows, reference
        Columns rows, predicted and observed.
    """
    figure, axes = plt.subplots(figsize=(5.8, 4.6))
    ends = [float(min(one[["predicted", "observed"]].min().min() for one in (windows, reference)))]
    ends.append(float(max(one[["predicted", "observed"]].max().max() for one in (windows, reference))))
    axes.plot(ends, ends, color=GREY, linestyle=":", label="perfect")
    axes.plot(reference["predicted"], reference["observed"], color=GREEN, linestyle="--", marker=".", label="reference")
    axes.plot(windows["predicted"], windows["observed"], color=BLUE, marker="o", label="windows that decide")
    is_number = task == "regression"
    axes.set(xlabel=f"mean predicted {label}" if is_number else "mean predicted probability")
    axes.set(ylabel=_observed_name(task, label))
    if not is_number:
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend()
    return save(figure, file)


def draw_drift(file: Path, columns: Sequence[ColumnDrift]) -> Path:
    """Draw the drift of the columns that moved most, each against its own threshold."""
    shown = sorted(columns, key=lambda one: -_finite(one.excess))[:MOST_COLUMNS][::-1]
    figure, axes = plt.subplots(figsize=(7.2, 0.27 * len(shown) + 1.2))
    values = [_finite(one.excess) for one in shown]
    axes.barh([one.column for one in shown], values, color=[ORANGE if one.is_drifted else BLUE for one in shown])
    axes.axvline(1, color=RED, linestyle="--", linewidth=1)
    axes.set(xlabel="drift score as a multiple of the column's own threshold")
    axes.tick_params(axis="y", labelsize=8)
    return save(figure, file)


def _finite(value: float) -> float:
    return value if np.isfinite(value) else 0.0


def draw_missing(file: Path, columns: Sequence[ColumnDrift]) -> Path:
    """Draw shares of missing values in the window beside those of the training window."""
    shown = sorted(columns, key=lambda one: -abs(one.missing - one.usual_missing))[:MOST_COLUMNS][::-1]
    figure, axes = plt.subplots(figsize=(7.2, 0.27 * len(shown) + 1.2))
    names = [one.column for one in shown]
    axes.hlines(names, [one.usual_missing for one in shown], [one.missing for one in shown], color=GREY, linewidth=1)
    axes.plot([one.usual_missing for one in shown], names, "o", color=GREEN, label="training window")
    axes.plot([one.missing for one in shown], names, "o", color=BLUE, label="latest window")
    axes.set(xlim=(-0.02, 1.02), xlabel="share of rows without a value")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.tick_params(axis="y", labelsize=8)
    axes.legend(fontsize=8)
    return save(figure, file)


def draw_anomalies(file: Path, anomalies: Sequence[DataAnomaly]) -> Path:
    """Draw the first anomalies, day by day, the days of each in red."""
    shown = anomalies[:MOST_ANOMALIES]
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure, places = plt.subplots(rows, columns, figsize=(12 if columns > 1 else 7, 2.6 * rows), squeeze=False)
    for axes, one in zip(places.flat, shown, strict=False):
        days, values = [pd.Timestamp(day) for day, _ in one.history], np.array([value for _, value in one.history])
        is_anomaly = np.array([one.since <= day <= one.until for day, _ in one.history])
        axes.plot(days, values, color=GREY, linewidth=1)
        for chosen, colour in ((~is_anomaly, BLUE), (is_anomaly, RED)):
            axes.plot(np.array(days)[chosen], values[chosen], "o", color=colour, markersize=4)
        axes.set_title(f"{one.where}: {one.kind}", fontsize=11, loc="left")
        axes.set_ylabel(MEASURES[one.kind], fontsize=8)
        axes.xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(maxticks=6))
        axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%d %b"))
        axes.tick_params(labelsize=8)
    for axes in places.flat[len(shown) :]:
        axes.axis("off")
    return save(figure, file)


def draw_coverage(file: Path, windows: Sequence[WindowEvidence]) -> Path:
    """Draw how many instances of each window were predicted, and what is known of them by now."""
    places = np.arange(len(windows))
    figure, axes = plt.subplots(figsize=(5.8, 4.6))
    bottom = np.zeros(len(windows))
    outcomes = sorted({name for one in windows for name in one.outcomes}, key=lambda name: (name != "labelled", name))
    for name, colour in zip(outcomes, [*OUTCOME_COLOURS, *[GREY] * len(outcomes)], strict=False):
        height = np.array([one.outcomes.get(name, 0) for one in windows])
        axes.bar(places, height, bottom=bottom, color=colour, label=name)
        bottom += height
    waiting = np.array([one.predictions for one in windows]) - bottom
    axes.bar(places, waiting, bottom=bottom, color=ORANGE, label="no outcome known yet")
    axes.set(ylabel="predicted instances")
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    _name_windows(axes, windows)
    return save(figure, file)
