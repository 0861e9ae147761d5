"""From the prediction log to judged days: what champion and challenger said of the same instances, and what became."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from flightline.adapters.files.parquet_rows import read_day, write_days
from flightline.adapters.prediction_log.label_table import read_revisions
from flightline.adapters.prediction_log.log import PredictionLog, instance_key
from flightline.core.prediction_record import ANSWER_COLUMNS, INSTANT, from_column, with_answers
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.evaluation.losses import row_losses
from flightline.monitoring.labels import LABELLED
from flightline.promotion.canary import CanarySetting, JudgedDay

_READ = ("request_id", "prediction_time", "instance_key", "clock", *ANSWER_COLUMNS, "model_version", "endpoint")
_PAIR = ["request_id", "instance_key"]
_RECORDED = ["instance_key", "revision", "outcome", "label", "clock"]


def collect_days(project: Project, setting: CanarySetting, clock: datetime) -> list[JudgedDay]:
    """Judge each day since the canary began whose labels are in by the clock, in the order in which they came in."""
    place = project.settings.state_dir / "canary"
    place.mkdir(parents=True, exist_ok=True)
    with (
        closing(PredictionLog.open(project.settings)) as log,
        TemporaryDirectory(prefix=".rows-", dir=place) as folder,
    ):
        parts = log.parts(start=setting.since, end=clock + INSTANT, by="clock", columns=_READ)
        days = write_days(Path(folder), (_asked(part, project.problem, setting) for part in parts), "prediction_time")
        return judge_days(_with_labels(project, setting, days), project.problem, clock)


def _asked(read: pd.DataFrame, problem: Problem, setting: CanarySetting) -> pd.DataFrame:
    """Keep what one of both versions said when an answer was asked for."""
    is_of_both = read["model_version"].isin([setting.champion, setting.version])
    kept = read[is_of_both & (read["endpoint"] == "predict") & (read["instance_key"] != instance_key({}))]
    return with_answers(kept, problem.classes).drop(columns="endpoint")


def _with_labels(project: Project, setting: CanarySetting, days: Iterable[Path]) -> Iterator[pd.DataFrame]:
    """Give the pairs of each day with all that was recorded of them."""
    for day in days:
        pairs = pair_up(read_day(day), setting)
        labels = read_revisions(project.settings, pairs["instance_key"])[_RECORDED]
        yield pairs.merge(labels.rename(columns={"clock": "recorded"}), on="instance_key", how="left")


def pair_up(asked: pd.DataFrame, setting: CanarySetting) -> pd.DataFrame:
    """Put what both versions said in the same request beside each other, whoever of them answered.

    Returns
    -------
    DataFrame
        One row an instance and request: request_id, instance_key, prediction_time, clock, champion, challenger.
    """
    sides = {
        name: asked[asked["model_version"] == version].drop_duplicates(_PAIR, keep="last")
        for name, version in (("champion", setting.champion), ("challenger", setting.version))
    }
    ours = sides["champion"].rename(columns={"prediction": "champion"})
    theirs = sides["challenger"].rename(columns={"prediction": "challenger"})
    pairs = ours.merge(theirs[[*_PAIR, "challenger"]], on=_PAIR, validate="one_to_one")
    return pairs[[*_PAIR, "prediction_time", "clock", "champion", "challenger"]]


def judge_days(parts: Iterable[pd.DataFrame], problem: Problem, clock: datetime) -> list[JudgedDay]:
    """Average the losses of each day (UTC) that is over and whose labels are in, as it was when enough of them were.

    What is recorded later changes no day that was judged, and a day that comes late comes after it: a look gives the
    days of every earlier look first, so that no decision is made anew.

    Parameters
    ----------
    parts
        Of `pair_up`, one for each record of its label: revision, outcome, label, and `recorded`, where the event clock
        stood then; missing where nothing is known yet. A day is in one part.
    clock
        Where the event clock stands.

    Returns
    -------
    list of JudgedDay
        By the moment from which they can be judged, then by day.
    """
    wait = pd.Timedelta(days=1) + problem.prediction_horizon + problem.monitoring.label_delay
    judged: list[tuple[pd.Timestamp, JudgedDay]] = []
    by_day = (each for rows in parts for each in rows.groupby(rows["prediction_time"].dt.floor("D")))
    for day, of_day in by_day:
        recorded = of_day["recorded"]
        moments = [day + wait, *sorted(recorded[(recorded > day + wait) & (recorded <= clock)].unique())]
        seen = ((moment, _judge(day, _as_of(of_day, moment), problem)) for moment in moments if moment <= clock)
        first = next(((moment, one) for moment, one in seen if one), None)
        judged += [first] if first else []
    return [one for _, one in sorted(judged, key=lambda found: (found[0], found[1].day))]


def _as_of(rows: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """Give the newest pair of each instance, with what was recorded of it by then."""
    asked = rows[rows["clock"] <= moment]
    is_known = asked["recorded"] <= moment
    known = {name: asked[name].where(is_known) for name in ("revision", "outcome", "label")}
    newest_last = asked.assign(**known).sort_values(["clock", "request_id", "revision"], na_position="first")
    return newest_last.drop_duplicates("instance_key", keep="last")


def _judge(day: pd.Timestamp, rows: pd.DataFrame, problem: Problem) -> JudgedDay | None:
    rule = problem.canary
    labelled = rows[(rows["outcome"] == LABELLED) & rows["label"].notna()]
    if len(labelled) < rule.min_rows or rows["outcome"].notna().mean() < rule.min_coverage:
        return None
    label = labelled["label"].to_numpy(float)
    ours, theirs = (
        row_losses(problem.task, problem.primary_metric, label, from_column(labelled[side])).mean()
        for side in ("champion", "challenger")
    )
    return JudgedDay(day.date(), len(labelled), float(ours - theirs), float(ours))
