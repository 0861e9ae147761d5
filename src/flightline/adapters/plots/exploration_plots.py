"""Pictures of a training set, each as bytes of a PNG; what they show is computed in `evaluation.exploration`."""

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import dendrogram

from flightline.adapters.plots.figures import BLUE, GREEN, GREY, ORANGE, RED, plt, save
from flightline.core.windows import Windows
from flightline.evaluation.exploration import Components, Segments

COLOURS = (BLUE, ORANGE, GREEN, RED, "#7048a8", "#0b7285")
WINDOW_COLOURS = {"fit": BLUE, "validation": ORANGE, "test": GREY}
WIDE = (9.0, 3.2)
MOST_COLUMNS, MOST_FEATURES = 25, 12


def _png(figure: plt.Figure) -> bytes:
    return save(figure, BytesIO()).getvalue()


def _mark_windows(axes: plt.Axes, windows: Windows) -> None:
    for name, colour in WINDOW_COLOURS.items():
        window = getattr(windows, name)
        axes.axvspan(window.start.replace(tzinfo=None), window.end.replace(tzinfo=None), color=colour, alpha=0.08, lw=0)


def draw_rows(rows: pd.DataFrame, windows: Windows, period: str) -> bytes:
    """Draw how many examples each period has, by what became of them; columns are outcomes."""
    figure, axes = plt.subplots(figsize=WIDE)
    for colour, name in zip(COLOURS, rows.columns, strict=False):
        axes.plot(rows.index, rows[name], color=colour, marker=".", label=name)
    left, right = axes.get_xlim()
    _mark_windows(axes, windows)
    axes.set(xlim=(left, right), ylim=(0, None), ylabel=f"examples in a {_WORDS[period]}", xlabel="prediction time")
    axes.legend(fontsize=8)
    return _png(figure)


_WORDS = {"D": "day", "W": "week", "M": "month"}


def draw_missing(shares: pd.DataFrame) -> bytes:
    """Draw the share of missing values by column and time."""
    shown = shares.head(MOST_COLUMNS)
    figure, axes = plt.subplots(figsize=(9.0, 1.2 + 0.22 * len(shown)))
    picture = axes.imshow(shown.to_numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks(range(len(shown)), shown.index, fontsize=7)
    ticks = np.unique(np.linspace(0, shown.shape[1] - 1, 8).astype(int))
    axes.set_xticks(ticks, [f"{shown.columns[tick]:%Y-%m-%d}" for tick in ticks], fontsize=7)
    axes.set_xlabel("prediction time")
    figure.colorbar(picture, ax=axes, label="share missing", fraction=0.03)
    return _png(figure)


def draw_distributions(features: pd.DataFrame, parts: dict[str, pd.Series]) -> bytes:
    """Draw the density of each column in each window, between its 1st and 99th percentile."""

    def draw(axes: plt.Axes, name: str) -> None:
        low, high = features[name].quantile([0.01, 0.99])
        edges = np.linspace(low, high if high > low else low + 1, 25)
        for part, rows in parts.items():
            values = features.loc[rows, name].dropna().clip(low, high)
            if len(values):
                axes.hist(
                    values, bins=edges.tolist(), density=True, histtype="step", color=WINDOW_COLOURS[part], label=part
                )
        axes.set_yticks([])

    return _grid(list(features.columns), draw, "value, cut at its 1st and 99th percentile", "density")


def draw_target_by_time(table: pd.DataFrame, windows: Windows, unit: str) -> bytes:
    """Draw the mean of each target by time, with two standard errors."""
    figure, axes = plt.subplots(figsize=WIDE)
    _lines(axes, table)
    left, right = axes.get_xlim()
    _mark_windows(axes, windows)
    axes.set(xlim=(left, right), ylabel=unit, xlabel="prediction time")
    axes.legend(fontsize=8)
    return _png(figure)


def draw_target_by_feature(tables: dict[str, pd.DataFrame], unit: str) -> bytes:
    """Draw the mean of each target in ten parts of each feature, with two standard errors."""
    return _grid(list(tables), lambda axes, name: _lines(axes, tables[name]), "feature", unit)


def _lines(axes: plt.Axes, table: pd.DataFrame) -> None:
    names = [name for name in table.columns.get_level_values(0).unique() if name != "rows"]
    for colour, name in zip(COLOURS, names, strict=False):
        mean, error = table[(name, "mean")], table[(name, "error")].fillna(0)
        axes.plot(table.index, mean, color=colour, marker=".", lw=1.2, label=name)
        axes.fill_between(table.index, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.15, lw=0)


def _grid(names: Sequence[str], draw: Callable[[plt.Axes, str], None], below: str, beside: str) -> bytes:
    columns = min(4, max(1, len(names)))
    lines = -(-len(names) // columns)
    size = (2.6 * columns, 2.0 * lines + 0.4)
    figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for axes, name in zip(grid.flat, names, strict=False):
        draw(axes, name)
        axes.set_title(name, fontsize=7)
        axes.tick_params(labelsize=6)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    handles, labels = grid.flat[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside upper right", fontsize=7, ncols=len(labels))
    figure.supxlabel(below, fontsize=8)
    figure.supylabel(beside, fontsize=8)
    return _png(figure)


def draw_correlations(correlations: pd.DataFrame, order: Sequence[int]) -> bytes:
    """Draw rank correlations of features, similar ones beside each other."""
    shown = correlations.iloc[list(order), list(order)]
    size = 2.2 + 0.17 * len(shown)
    figure, axes = plt.subplots(figsize=(size + 0.8, size))
    picture = axes.imshow(shown.to_numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(shown)), shown.columns, rotation=90, fontsize=6)
    axes.set_yticks(range(len(shown)), shown.columns, fontsize=6)
    figure.colorbar(picture, ax=axes, label="rank correlation", fraction=0.04)
    return _png(figure)


def draw_encoding(tables: dict[str, pd.DataFrame], unit: str) -> bytes:
    """Draw for the values of each category the target's mean, the same shrunk, and how many rows there are."""
    figure, grid = plt.subplots(1, len(tables), figsize=(3.2 * len(tables) + 0.6, 3.6), squeeze=False)
    for axes, (name, table) in zip(grid.flat, tables.items(), strict=True):
        places = np.arange(len(table))[::-1]
        axes.hlines(places, table["mean"], table["shrunk"], color=GREY, lw=1)
        axes.plot(table["mean"], places, "o", color=ORANGE, ms=8, fillstyle="none", label="mean")
        axes.plot(table["shrunk"], places, "s", color=BLUE, ms=4, label="shrunk")
        words = [f"{str(value)[:14]} ({rows:,})" for value, rows in table["rows"].items()]
        axes.set_yticks(places, words, fontsize=7)
        axes.tick_params(axis="x", labelsize=7)
        axes.set_title(name, fontsize=8)
    grid.flat[0].legend(fontsize=7)
    figure.supxlabel(unit, fontsize=8)
    return _png(figure)


def draw_components(found: Components, target: pd.Series, unit: str) -> bytes:
    """Draw rows on the first two components by target, and how much variance the components take together."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.8), width_ratios=(3, 2))
    limits = np.quantile(found.positions, [0.005, 0.995], axis=0)
    # The rare values last, so that they are seen.
    order = np.argsort(np.abs(target.to_numpy() - target.median()), kind="stable")
    low, high = target.quantile([0.02, 0.98])
    colours = {"cmap": "coolwarm", "vmin": low, "vmax": high if high > low else low + 1}
    picture = left.scatter(*found.positions[order].T, c=target.to_numpy()[order], s=4, alpha=0.5, lw=0, **colours)
    figure.colorbar(picture, ax=left, label=unit)
    left.set(xlim=limits[:, 0], ylim=limits[:, 1])
    left.set(xlabel=f"component 1 ({found.explained[0]:.0%})", ylabel=f"component 2 ({found.explained[1]:.0%})")
    together = np.cumsum(found.explained)
    right.plot(range(1, len(together) + 1), together, color=BLUE, marker=".")
    right.set(xlabel="components", ylabel="share of the variance", ylim=(0, 1.02))
    return _png(figure)


def draw_dendrogram(tree: np.ndarray, names: Sequence[str]) -> bytes:
    """Draw which values of a key are near to each other by their mean features."""
    figure, axes = plt.subplots(figsize=(9.0, 1.2 + 0.2 * len(names)))
    dendrogram(tree, labels=list(names), orientation="right", ax=axes, leaf_font_size=8, above_threshold_color=GREY)
    axes.set_xlabel("distance at which two groups are joined (Ward)")
    return _png(figure)


def draw_segments(segments: Segments, table: pd.DataFrame, unit: str) -> bytes:
    """Draw what sets the segments apart, and the target's mean in each."""
    spread = segments.centres.std().sort_values(ascending=False).head(MOST_FEATURES).index
    centres = segments.centres[spread]
    size = (9.0, 1.6 + 0.24 * len(spread))
    figure, (left, right) = plt.subplots(1, 2, figsize=size, width_ratios=(3, 2))
    bound = float(np.abs(centres.to_numpy()).max())
    picture = left.imshow(centres.T.to_numpy(), aspect="auto", cmap="RdBu_r", vmin=-bound, vmax=bound)
    left.set_yticks(range(len(spread)), spread, fontsize=7)
    left.set_xticks(range(len(centres)), centres.index)
    left.set_xlabel("segment")
    figure.colorbar(picture, ax=left, label="deviations from the mean", fraction=0.05)
    for place, name in enumerate(name for name in table.columns.get_level_values(0).unique() if name != "rows"):
        mean, error = table[(name, "mean")], table[(name, "error")].fillna(0)
        right.errorbar(table.index, mean, 2 * error, fmt="o", color=COLOURS[place % len(COLOURS)], label=name)
    right.set(xlabel="segment", ylabel=unit, xlim=(0.5, len(table) + 0.5))
    right.set_xticks(table.index)
    if len(right.get_legend_handles_labels()[1]) > 1:
        right.legend(fontsize=8)
    return _png(figure)
