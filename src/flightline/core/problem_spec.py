"""The types in which a problem is described; the description itself is in `config.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from flightline.core.purpose import Purpose
from flightline.core.windows import MovingWindows, Windows, demand_zone

Task = Literal["classification", "multiclass", "regression"]
MIN_CLASSES, MAX_CLASSES = 3, 30
Behaviour = Literal["ordinary", "grows", "calendar", "sparse", "shared"]


@dataclass(frozen=True)
class Thresholds:
    """What a model must reach, on the test window, before anything else is asked.

    Parameters
    ----------
    floors
        By metric where higher is better, the least allowed.
    ceilings
        By metric where lower is better, the most allowed.
    implausible
        By metric where higher is better, what no honest model of this problem reaches: a
        model above it has seen the answer.
    one_row_seconds_ceiling, thousand_rows_seconds_ceiling
        The most a prediction of one row, and of 1,000 rows, may take, on one core.
    size_bytes_ceiling
        The largest model file.
    confidence
        Of each statistical statement of the gate, 0..1; that on slices holds for all of them
        at once.
    promotion_margin
        What an improvement must exceed, credibly, to be worth a change of champion: a share
        of the champion's mean loss by row (for rmse, of the mean squared error), so that it
        fits any metric. Another seed alone must not reach it.
    non_inferiority_margin
        By what share of the champion's mean loss a cheaper model may at most be worse.
    cheaper_by
        How many times less a cheaper model must take, in latency or size.
    cost_noise
        By what share a cheaper model may be slower or larger elsewhere, because times of the
        same model differ as much from one measurement to the next.
    slice_margin
        By what share of the champion's mean loss in a slice a challenger may be worse there.
    min_slice_rows
        A slice with fewer rows is not judged: by the evaluation, the gate, the change report and monitoring.
    unseen_ceiling
        The share of the test rows, 0..1, that may have a category that no earlier row has.
    min_days
        With fewer test days, overall or in a slice, nothing is said of a difference.
    """

    floors: Mapping[str, float]
    ceilings: Mapping[str, float]
    implausible: Mapping[str, float]
    one_row_seconds_ceiling: float = 0.25
    thousand_rows_seconds_ceiling: float = 5.0
    size_bytes_ceiling: int = 300_000_000
    confidence: float = 0.95
    promotion_margin: float = 0.001
    non_inferiority_margin: float = 0.005
    cheaper_by: float = 2.0
    cost_noise: float = 0.2
    slice_margin: float = 0.02
    min_slice_rows: int = 300
    unseen_ceiling: float = 0.1
    min_days: int = 10


@dataclass(frozen=True)
class Monitoring:
    """When the predictions that were served are no longer good enough.

    Parameters
    ----------
    window
        How long a window is, in whole days; the windows follow one another by prediction time.
    label_delay
        After a window's end, how long until most of its labels are known: the last window ends
        that long before the clock, so that early labels do not speak for the rest.
    windows, breaches
        A retraining is asked for if the last window is in breach, and `breaches` of the last `windows`.
    shown_windows
        How many windows are measured and drawn.
    confidence
        Of each bound of an interval, 0..1.
    promise_margin
        By what share of the reference's mean loss the mean loss may exceed what the probabilities
        themselves promise. Only for classification; it does not rise merely because days are hard.
    calibration_margin
        By how much the mean label may differ from the mean prediction, in standard deviations of the
        label, beyond the reference's difference.
    slope_margin
        By how much the calibration slope may differ from the reference's.
    skill_margin
        What share of the reference's ROC AUC above 0.5 may be lost.
    loss_margin
        By what share the mean loss may exceed the reference's. It decides where nothing is promised
        (regression); elsewhere it only asks to watch.
    min_coverage
        The share of a window's predictions whose outcome must be known, 0..1.
    min_labels, min_days
        A window with fewer labels, or labels of fewer days, is not judged.
    missing_margin
        By how much the share of missing values of a feature may exceed the training set's, 0..1.
    max_lag, lag_share
        The share of predictions, 0..1, that may be made from a feature view materialised longer ago
        than `max_lag`.
    drift_rows
        Rows drawn from each side when drift is scored.
    drift_slack
        A column drifts if its score exceeds the highest of its months against the rest of the
        training window that many times.
    drift_alarm
        A column whose score exceeds its threshold that many times asks to watch: an error in the data
        is likelier than a season.
    anomaly_rows, min_anomaly_rows
        Of each day, how many predictions are searched for data anomalies at most, and at least.
    share_slack, change_slack
        How many times farther than on its farthest day of training a column must go to be an anomaly: in the odds
        of shares (missing, unseen, the same, outside the range), and in changes against the week before.
    anomaly_days
        How many days in succession it must.
    hints
        By column of the model, how it moves by nature, where the training days do not show it, or show something else:
        it grows (an age, a counter), follows the calendar (day of year), is sparse (a count, mostly zero), or is
        shared by all rows of a moment (a price, a temperature); ordinary is none of them.
    """

    window: timedelta = timedelta(days=7)
    label_delay: timedelta = timedelta(days=2)
    windows: int = 4
    breaches: int = 2
    shown_windows: int = 12
    confidence: float = 0.95
    promise_margin: float = 0.02
    calibration_margin: float = 0.05
    slope_margin: float = 0.2
    skill_margin: float = 0.3
    loss_margin: float = 0.25
    min_coverage: float = 0.8
    min_labels: int = 300
    min_days: int = 4
    missing_margin: float = 0.1
    max_lag: timedelta = timedelta(hours=24)
    lag_share: float = 0.05
    drift_rows: int = 5_000
    drift_slack: float = 1.25
    drift_alarm: float = 2.0
    anomaly_rows: int = 300
    min_anomaly_rows: int = 50
    share_slack: float = 2.0
    change_slack: float = 1.5
    anomaly_days: int = 2
    hints: Mapping[str, Behaviour] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if wrong := [f"{name}={hint!r}" for name, hint in self.hints.items() if hint not in get_args(Behaviour)]:
            raise ValueError(f"monitoring.hints has {', '.join(wrong)}; expected {', '.join(get_args(Behaviour))}")
        if self.window < timedelta(days=1) or self.window % timedelta(days=1):
            raise ValueError(f"monitoring.window must be whole days, got {self.window}")
        if not 1 <= self.breaches <= self.windows <= self.shown_windows:
            raise ValueError(
                "monitoring needs 1 <= breaches <= windows <= shown_windows, got "
                f"{self.breaches}, {self.windows}, {self.shown_windows}"
            )


@dataclass(frozen=True)
class Canary:
    """When a challenger is promoted or dropped by live labels.

    Parameters
    ----------
    block_days
        Days that are judged as one value: days beside each other hang together, and single days are skewed.
    alpha
        How often a challenger that is no better may be promoted, however often one looks; and how
        often one that is no worse may be dropped for its losses.
    spread
        See `sequential.confidence_sequence`, for blocks. A smaller one waits longer and bears more skew.
    max_days
        After so many judged days a challenger that is not credibly better is dropped.
    min_rows
        Labelled pairs that a day needs to be judged.
    min_coverage
        The share of a day's pairs whose outcome must be known, 0..1, for the day to be judged.
    error_share, slow_share
        The share of the challenger's rows that may fail, and that may take longer than
        `serving.canary_seconds`, 0..1.
    min_failures
        Fewer failures, or slow rows, than this decide nothing.
    """

    block_days: int = 3
    alpha: float = 0.05
    spread: float = 0.05
    max_days: int = 84
    min_rows: int = 20
    min_coverage: float = 0.8
    error_share: float = 0.01
    slow_share: float = 0.05
    min_failures: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.block_days <= self.max_days or not 0 < self.alpha < 0.5 or self.spread <= 0:
            raise ValueError(
                "canary needs 1 <= block_days <= max_days, 0 < alpha < 0.5 and spread > 0, got "
                f"{self.block_days}, {self.max_days}, {self.alpha}, {self.spread}"
            )


@dataclass(frozen=True)
class Problem:
    """Everything that the rest of the code must know about the problem, and nothing of the tools.

    Parameters
    ----------
    model_name
        Name of the registered model and of the service's endpoint.
    task
        Kind of target.
    label
        Column of the examples with the target: 0 or 1 in a classification, the name of a class in a multiclass
        problem, a number in a regression.
    entity_keys
        Columns of the examples that Feast joins features by.
    request_columns
        Columns that a request carries besides the entity keys.
    slices
        Columns of a request by which evaluation, gate and monitor break predictions down.
    feature_service
        Name of the Feast feature service the model is trained and served on.
    prediction_horizon
        From the prediction time to the moment the request is about.
    primary_metric
        What the champion is defended in; lower is better.
    windows
        What is learned from, chosen on and tested on, by prediction time: windows that move with the data, or, for a
        benchmark that stays comparable, fixed ones.
    thresholds
        See `Thresholds`.
    first_clock
        Where the event clock stands after the first training.
    leak_test_moments
        Moments of the data, well inside it, at which training runs the leak test.
    classes
        Of a multiclass problem the 3 to 30 names that its label may have. Models, losses and the table of labels know
        them by number, counted from 0 in this order; other names, or another order, need a new model.
    decision_threshold
        Probability at and above which a classification's answer is yes; a multiclass answer is the likeliest class.
    refit
        Whether a model that the gate has promoted is fitted anew, with the same settings, up to the newest known label
        before it is served; a trial inside the test window says what newer rows are worth.
    monitoring
        See `Monitoring`.
    canary, purpose
        See `Canary`, and `Purpose`: words for the model's card.
    request_delay
        How long after its event a request is still answered where predictions are made at the event itself
        (`prediction_horizon` is 0). Keep it below what passes until the event's own row is known.
    without_features
        What becomes of a request for which the feature store has no value at all, as for keys that nobody knows: an
        answer from the request alone, which says so, or a refusal.
    """

    model_name: str
    task: Task
    label: str
    entity_keys: tuple[str, ...]
    request_columns: tuple[str, ...]
    slices: tuple[str, ...]
    feature_service: str
    prediction_horizon: timedelta
    primary_metric: str
    windows: MovingWindows | Windows
    thresholds: Thresholds
    first_clock: datetime
    leak_test_moments: tuple[datetime, ...]
    classes: tuple[str, ...] = ()
    decision_threshold: float = 0.5
    refit: bool = False
    monitoring: Monitoring = Monitoring()
    canary: Canary = Canary()
    purpose: Purpose = field(default_factory=Purpose)
    request_delay: timedelta = timedelta(minutes=1)
    without_features: Literal["answer", "refuse"] = "answer"

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ValueError(f"got task={self.task!r}, expected one of {', '.join(get_args(Task))}")
        self._check_classes()
        if self.prediction_horizon < timedelta(0):
            raise ValueError(f"got prediction_horizon={self.prediction_horizon}, expected 0 or more: it looks ahead")
        if self.request_delay < timedelta(0):
            raise ValueError(f"got request_delay={self.request_delay}, expected 0 or more")
        if not 0 < self.decision_threshold < 1:
            raise ValueError(f"got decision_threshold={self.decision_threshold}, expected a probability in 0..1")
        columns = (*self.entity_keys, *self.request_columns, self.label)
        if doubled := sorted({name for name in columns if columns.count(name) > 1}):
            raise ValueError(
                f"entity_keys, request_columns and label share {', '.join(doubled)}: name each column once"
            )
        if unlogged := [name for name in self.slices if name not in (*self.entity_keys, *self.request_columns)]:
            raise ValueError(
                f"slices has {', '.join(unlogged)}, which no request carries, so no monitor could judge it; add it to "
                "request_columns, or leave it out"
            )
        self._check_moments()

    def _check_classes(self) -> None:
        if self.task != "multiclass":
            if self.classes:
                raise ValueError(
                    f"got classes={self.classes!r} and task={self.task!r}; only task='multiclass' has classes"
                )
            return
        if isinstance(self.classes, str) or not all(isinstance(name, str) and name.strip() for name in self.classes):
            raise ValueError(f"got classes={self.classes!r}, expected a tuple of names, such as ('rain', 'snow')")
        if doubled := sorted({name for name in self.classes if self.classes.count(name) > 1}):
            raise ValueError(f"classes holds {', '.join(doubled)} more than once; name each class once")
        if not MIN_CLASSES <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(
                f"got {len(self.classes)} classes, expected {MIN_CLASSES} to {MAX_CLASSES}; with two, predict one of "
                "them: task='classification' and a label of 0 or 1"
            )

    def _check_moments(self) -> None:
        demand_zone("first_clock", self.first_clock)
        for moment in self.leak_test_moments:
            demand_zone("leak_test_moments", moment)
        fixed = self.windows if isinstance(self.windows, Windows) else None
        begins = fixed.test.start if fixed else self.windows.fit
        if isinstance(begins, datetime) and self.first_clock <= begins:
            what = "windows.test" if fixed else "windows.fit"
            raise ValueError(f"first_clock={self.first_clock} is before the start of {what}, {begins}")
