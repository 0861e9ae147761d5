"""Pictures of what a model goes by, as PNG files."""

from pathlib import Path

import pandas as pd

from flightline.adapters.plots.evaluation_plots import with_unit
from flightline.adapters.plots.figures import BLUE, GREY, plt, save

SHOWN_FEATURES = 20
PANEL_INCHES = (3.4, 2.6)


def draw_importance(file: Path, groups: pd.DataFrame, features: pd.DataFrame, metric: str, rows: int) -> Path:
    """Draw the importance of each group of features beside that of the most important single ones.

    Parameters
    ----------
    groups, features
        As `explanation.permutation_importance` gives them, with a column group or feature; groups may be empty.
    metric
        The loss whose rise is shown.
    """
    tables = [
        (name, table.rename(columns={table.columns[0]: "name"}).head(SHOWN_FEATURES).iloc[::-1])
        for name, table in (("Groups of features, shuffled together", groups), ("Single features", features))
        if len(table)
    ]
    height = 0.28 * max(len(table) for _, table in tables) + 1.6
    figure, places = plt.subplots(1, len(tables), figsize=(6.5 * len(tables), height), squeeze=False)
    for axes, (title, table) in zip(places.flat, tables, strict=True):
        names = table["name"] + (table["features"].map("  ({})".format) if "features" in table else "")
        axes.barh(names, table["importance"], xerr=table["spread"], color=BLUE, ecolor=GREY, height=0.6)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set(xlabel=f"rise of {with_unit(metric)} when shuffled", title=f"{title}, {rows:,} test rows")
    return save(figure, file)


def draw_dependence(file: Path, dependence: pd.DataFrame) -> Path:
    """Draw how the mean prediction moves with each feature, all on one scale.

    Parameters
    ----------
    dependence
        As `explanation.partial_dependence` gives it; not empty.
    """
    names = dependence["feature"].unique()
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * lines)
    figure, grid = plt.subplots(lines, columns, figsize=size, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        values = dependence[dependence["feature"] == name]
        is_category = isinstance(values["value"].iloc[0], str)
        style = {"marker": "o", "linestyle": "" if is_category else "-"}
        if "class" in values:
            for of_class, rows in values.groupby("class", sort=False):
                axes.plot(rows["value"], rows["predicted"], label=of_class, **style)
            axes.legend(fontsize=7)
        else:
            axes.plot(values["value"], values["predicted"], color=BLUE, **style)
        axes.tick_params(axis="x", rotation=90 if is_category else 0)
        axes.set(xlabel=name)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set(ylabel="mean prediction")
    return save(figure, file)
