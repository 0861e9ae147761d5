"""The picture of a replayed year: what each policy lost, when it trained, and what it came to cost."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.dates
import numpy as np
from matplotlib.axes import Axes

from flightline.adapters.plots.figures import BLUE, GREEN, GREY, ORANGE, RED, plt, save
from flightline.retraining.comparison import LEARNED, NEVER, Comparison, Judged
from flightline.retraining.matrix import Matrix
from flightline.retraining.policies import cost_of, losses_of

OTHERS = ("#7048e8", "#0c8599", "#e64980", "#5c940d", "#845ef7")
SIZE_INCHES = (12, 15)


def draw_year(file: Path, matrix: Matrix, compared: Comparison) -> Path:
    """Draw the loss by week, the trainings and promotions, and the cost so far, each against training never.

    Parameters
    ----------
    compared
        Policies without the gate have lines; all have marks.
    """
    lines = [each for each in compared.judged if not each.has_gate]
    colours = _colours([each.name for each in lines])
    heights = [1, 1.6, 0.12 * len(compared.judged) + 0.4, 1.6]
    figure, places = plt.subplots(4, 1, figsize=SIZE_INCHES, sharex=True, height_ratios=heights, layout="constrained")
    _level(places[0], matrix, compared)
    _by_week(places[1], matrix, lines, colours, compared)
    _marks(places[2], matrix, compared, colours)
    _cost(places[3], matrix, lines, colours, compared)
    for axes in places:
        axes.axvline(_date(matrix, matrix.half), color=GREY, linestyle=":", linewidth=1)
        axes.tick_params(labelsize=9)
    places[-1].xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(minticks=4, maxticks=12))
    places[-1].xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(places[-1].xaxis.get_major_locator()))
    figure.legend(*places[1].get_legend_handles_labels(), ncols=5, loc="outside lower center", fontsize=9)
    return save(figure, file)


def _colours(names: Sequence[str]) -> dict[str, str]:
    fixed = {NEVER: GREY, LEARNED: RED, "every week": BLUE, "every 4 weeks": GREEN, "every 13 weeks": ORANGE}
    others = iter(OTHERS)
    return {name: fixed[name] if name in fixed else next(others) for name in names}


def _date(matrix: Matrix, week: int) -> float:
    return float(matplotlib.dates.date2num(matrix.weeks[week]))


def _dates(matrix: Matrix) -> np.ndarray:
    return np.array([_date(matrix, week) for week in range(matrix.size)])


def _means(matrix: Matrix, one: Judged) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return losses_of(matrix, one.course) / matrix.weekly_rows


def _level(axes: Axes, matrix: Matrix, compared: Comparison) -> None:
    for one, colour in ((compared.find(NEVER), GREY), (compared.best, "black")):
        axes.step(_dates(matrix), _means(matrix, one), where="post", color=colour, linewidth=1.2, label=one.name)
    axes.set_title(f"Loss by week ({matrix.metric}, lower is better): weeks differ more than models", loc="left")
    axes.legend(fontsize=9)


def _by_week(
    axes: Axes, matrix: Matrix, lines: Sequence[Judged], colours: dict[str, str], compared: Comparison
) -> None:
    idle = _means(matrix, compared.find(NEVER))
    for one in lines:
        gains = idle - _means(matrix, one)
        axes.plot(_dates(matrix), gains, color=colours[one.name], linewidth=1.4, marker=".", label=one.name)
    gains = idle - _means(matrix, compared.best)
    axes.plot(_dates(matrix), gains, color="black", linewidth=1, linestyle="--", label=compared.best.name)
    axes.set_title("Loss by week below that of never training (higher is better)", loc="left")


def _marks(axes: Axes, matrix: Matrix, compared: Comparison, colours: dict[str, str]) -> None:
    shown = [each for each in (*compared.judged, compared.best) if each.name != NEVER]
    dates = _dates(matrix)
    for place, one in enumerate(shown):
        colour = colours.get(one.name, "black")
        trained, promoted = np.array(one.course.trained), np.array(one.course.promoted)
        for chosen, face in ((trained & ~promoted, "none"), (promoted, colour)):
            axes.scatter(dates[chosen], np.full(chosen.sum(), place), s=26, edgecolors=colour, facecolors=face)
    axes.set_yticks(range(len(shown)), [each.label for each in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_title("Trainings: filled if the model went into service, hollow if the gate held it", loc="left")


def _cost(axes: Axes, matrix: Matrix, lines: Sequence[Judged], colours: dict[str, str], compared: Comparison) -> None:
    price, ends = compared.price, range(1, matrix.size + 1)
    idle = np.array([cost_of(matrix, compared.find(NEVER).course, price, 0, end) for end in ends])
    for one in (*lines, compared.best):
        cost = np.array([cost_of(matrix, one.course, price, 0, end) for end in ends]) - idle
        style = ("black", "--") if one is compared.best else (colours[one.name], "-")
        axes.plot(_dates(matrix), cost, color=style[0], linestyle=style[1], linewidth=1.4)
    axes.set_title(f"Cost so far against never training: summed loss, and {price:,.2f} for each training", loc="left")
