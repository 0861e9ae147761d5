"""Where the points of a calibration picture lie; the template draws it."""

from collections.abc import Sequence
from dataclasses import dataclass

from flightline.adapters.model_store.profile import CalibrationBin

SIDE = 200.0
TICKS = 3


@dataclass(frozen=True)
class Point:
    """A bin: its place in the picture, and what it says."""

    x: float
    y: float
    bin: CalibrationBin


@dataclass(frozen=True)
class Tick:
    """A mark of both axes: how far along, and what it says."""

    along: float
    text: str


@dataclass(frozen=True)
class CalibrationPicture:
    """Predicted against observed means: on the diagonal the two agree.

    Parameters
    ----------
    name
        Of the class, or the label.
    points
        In a square of `SIDE`, whose origin is at the top left.
    """

    name: str
    points: tuple[Point, ...]
    ticks: tuple[Tick, ...]

    @property
    def line(self) -> str:
        """The points as SVG's polyline takes them."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def calibration_picture(name: str, bins: Sequence[CalibrationBin], is_probability: bool) -> CalibrationPicture:
    """Lay out bins; of probabilities the axes run from 0, of numbers from the least.

    Examples
    --------
    >>> half = CalibrationBin(rows=5, predicted=0.5, observed=0.25)
    >>> (point,) = calibration_picture("late", [half], is_probability=True).points
    >>> point.x, point.y
    (200.0, 100.0)
    """
    values = [value for each in bins for value in (each.predicted, each.observed)]
    least, most = 0.0 if is_probability else min(values), max(values)
    span = (most - least) or 1.0

    def along(value: float) -> float:
        return SIDE * (value - least) / span

    points = tuple(Point(along(each.predicted), SIDE - along(each.observed), each) for each in bins)
    marks = [least + span * number / (TICKS - 1) for number in range(TICKS)]
    return CalibrationPicture(name, points, tuple(Tick(along(mark), f"{mark:.3g}") for mark in marks))
