"""What is lived again: the champion's training set and settings, and the weekly cuts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Monitoring, Problem
from flightline.core.windows import Interval, MovingWindows
from flightline.training.fit import TrainingParameters
from flightline.training.splits import windows_of
from flightline.training.zoo.entry import Setting

WEEK = timedelta(days=7)
JUDGED_WEEKS = 4  # at least: a model is judged on so many weeks before its successor learns from them too
MOST_WEEKS = 52
MIN_WEEKS = 8
FIRST_SHARE = 1 / 3  # of the data lies before the first cut


@dataclass(frozen=True)
class YearPlan:
    """What every model of the matrix is fitted by, and when.

    Parameters
    ----------
    training_set
        Its key. It is not called so: what has a `key` stands for nothing else in the key of a result (`key_of`).
    folder
        Where its examples and features lie.
    parameters
        Of every fit: the champion's model, its chosen settings and its calibration.
    fit_start
        The first prediction time that is learned from.
    fit_length
        How far back a fit reaches; None: to `fit_start`.
    validation
        How long the window is on which a calibration is learned.
    settling
        How long a row must be past for its label to be learned from, whichever it is; see `MovingWindows`.
    judged
        A model is judged on so many weeks before its successor learns from them too.
    cuts
        Mondays (UTC), a week apart. The first `judged` ones only judge what follows; then one decision each; the last
        one ends the last week.
    """

    training_set: str
    folder: Path
    parameters: TrainingParameters
    fit_start: datetime
    fit_length: timedelta | None
    validation: timedelta
    settling: timedelta
    judged: int
    cuts: tuple[datetime, ...]

    @property
    def weeks(self) -> int:
        """How many weeks are lived through."""
        return len(self.cuts) - 1 - self.judged

    def learned(self, cut: datetime) -> Interval:
        """Give the prediction times that a model of a cut learns from."""
        length = self.fit_length
        start = self.fit_start if length is None else max(self.fit_start, cut - self.settling - length)
        return Interval(start, cut - self.settling)


def plan_year(
    problem: Problem, training_set: str, folder: Path, parameters: TrainingParameters, first: datetime | None = None
) -> YearPlan:
    """Lay the cuts over the data: from a third of it on, at most the last 52 weeks, or from a day that is given.

    Parameters
    ----------
    training_set, folder
        Its key, and where it lies.
    first
        UTC; its week is the first that is lived through.

    Raises
    ------
    TrainingError
        If that leaves fewer than 8 weeks.
    """
    examples = pd.read_parquet(folder / "examples.parquet", columns=["event_timestamp", "label_known_at"])
    windows = windows_of(examples, problem.windows)
    is_moving = isinstance(problem.windows, MovingWindows)
    settling = problem.windows.settling if isinstance(problem.windows, MovingWindows) else timedelta(0)
    newest = examples["event_timestamp"].max().to_pydatetime() - settling
    judged = judged_weeks(problem, examples["event_timestamp"])
    start = max(windows.fit.start, examples["event_timestamp"].min().to_pydatetime())
    end = _monday(newest)
    begin = _monday(first or max(start + FIRST_SHARE * (newest - start), end - MOST_WEEKS * WEEK))
    count = (end - begin) // WEEK
    if count < MIN_WEEKS or begin - judged * WEEK <= start:
        raise TrainingError(
            f"from {begin:%Y-%m-%d} on there are {max(count, 0)} whole weeks with labels, and data begins on "
            f"{start:%Y-%m-%d}; a replay needs {MIN_WEEKS} weeks, and {judged} with something to learn before "
            "them: give another FROM=, or more data"
        )
    is_length = is_moving and isinstance(problem.windows.fit, int)
    return YearPlan(
        training_set=training_set,
        folder=folder,
        parameters=parameters,
        fit_start=start if is_length else windows.fit.start,
        fit_length=windows.validation.end - windows.fit.start if is_length else None,
        validation=windows.validation.end - windows.validation.start,
        settling=settling,
        judged=judged,
        cuts=tuple(begin + number * WEEK for number in range(-judged, count + 1)),
    )


def judged_weeks(problem: Problem, prediction_time: pd.Series) -> int:
    """Say how many weeks before a decision hold the days that the gate asks for, with labels known by then.

    Four, or more where predictions are not made on every day, and as many more as labels take.
    """
    days = prediction_time.dt.floor("D").drop_duplicates()
    by_week = max(1, int(days.groupby(days.dt.tz_convert(None).dt.to_period("W")).size().median()))
    settling = problem.windows.settling if isinstance(problem.windows, MovingWindows) else timedelta(0)
    waiting = max(problem.monitoring.label_delay, settling) // WEEK
    return max(JUDGED_WEEKS, -(-problem.thresholds.min_days // by_week)) + waiting


def _monday(moment: datetime) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def parameters_of_run(logged: Mapping[str, str]) -> TrainingParameters:
    """Read what a run was fitted by from its logged parameters: the settings that it chose are given from now on."""
    chosen = {
        name.removeprefix("chosen."): _as_setting(value) for name, value in logged.items() if name.startswith("chosen.")
    }
    calibration = logged.get("calibration", "none")
    return TrainingParameters(
        model=logged["model"],
        seed=int(logged["seed"]),
        settings=tuple(sorted(chosen.items())),
        calibrations=() if calibration == "none" else (calibration,),
        pca_components=_size(logged, "pca_components"),
        kmeans_segments=_size(logged, "kmeans_segments"),
    )


def _size(logged: Mapping[str, str], step: str) -> int | None:
    text = logged.get(step, "None")
    return None if text == "None" else int(text)


def _as_setting(text: str) -> Setting:
    if text == "None":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def windows_of_drift(rule: Monitoring) -> timedelta:
    """Say over how long drift is scored: the windows that decide together."""
    return rule.windows * rule.window
