"""From the prediction log to judged days: what champion and challenger said of the same instances, and what became."""

from contextlib import closing
from datetime import datetime, timedelta

import pandas as pd

from flightline.adapters.prediction_log.label_table import read_revisions
from flightline.adapters.prediction_log.log import PredictionLog, instance_key
from flightline.core.prediction_record import ANSWER_COLUMNS, from_column, with_answers
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.evaluation.losses import row_losses
from flightline.monitoring.labels import LABELLED
from flightline.promotion.canary import CanarySetting, JudgedDay

INSTANT = timedelta(microseconds=1)  # the log keeps no finer time
_READ = ("request_id", "prediction_time", "instance_key", "clock", *ANSWER_COLUMNS, "model_version", "endpoint")
_PAIR = ["request_id", "instance_key"]
_RECORDED = ["instance_key", "revision", "outcome", "label", "clock"]


def collect_days(project: Project, setting: CanarySetting, clock: datetime) -> list[JudgedDay]:
    """Judge each day since the canary began whose labels are in by the clock, in the order in which they came in."""
    with closing(PredictionLog.open(project.settings)) as log:
        read = log.read(start=setting.since, end=clock + INSTANT, by="clock", columns=_READ)
    of_both = read[read["model_version"].isin([setting.champion, setting.version])]
    pairs = pair_up(with_answers(of_both, project.problem.classes), setting)
    labels = read_revisions(project.settings, pairs["instance_key"])[_RECORDED].rename(columns={"clock": "recorded"})
    return judge_days(pairs.merge(labels, on="instance_key", how="left"), project.problem, clock)


def pair_up(read: pd.DataFrame, setting: CanarySetting) -> pd.DataFrame:
    """Put what both versions said in the same request beside each other, whoever of them answered.

    Returns
    -------
    DataFrame
        One row an instance and request: request_id, instance_key, prediction_time, clock, champion, challenger.
    """
    asked = read[(read["endpoint"] == "predict") & (read["instance_key"] != instance_key({}))]
    sides = {
        name: asked[asked["model_version"] == version].drop_duplicates(_PAIR, keep="last")
        for name, version in (("champion", setting.champion), ("challenger", setting.version))
    }
    ours = sides["champion"].rename(columns={"prediction": "champion"})
    theirs = sides["challenger"].rename(columns={"prediction": "challenger"})
    pairs = ours.merge(theirs[[*_PAIR, "challenger"]], on=_PAIR, validate="one_to_one")
    return pairs[[*_PAIR, "prediction_time", "clock", "champion", "challenger"]]


def judge_days(rows: pd.DataFrame, problem: Problem, clock: datetime) -> list[JudgedDay]:
    """Average the losses of each day (UTC) that is over and whose labels are in, as it was when enough of them were.

    What is recorded later changes no day that was judged, and a day that comes late comes after it: a look gives the
    days of every earlier look first, so that no decision is made anew.

    Parameters
    ----------
    rows
        Of `pair_up`, one for each record of its label: revision, outcome, label, and `recorded`, where the event clock
        stood then; missing where nothing is known yet.
    clock
        Where the event clock stands.

    Returns
    -------
    list of JudgedDay
        By the moment from which they can be judged, then by day.
    """
    wait = pd.Timedelta(days=1) + problem.prediction_horizon + problem.monitoring.label_delay
    judged: list[tuple[pd.Timestamp, JudgedDay]] = []
    for day, of_day in rows.groupby(rows["prediction_time"].dt.floor("D"), sort=True):
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
