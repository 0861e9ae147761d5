"""From the prediction log to judged days: what champion and challenger said of the same instances, and what became."""

from datetime import datetime, timedelta

import pandas as pd

from flightline.adapters.prediction_log.label_table import read_labels
from flightline.adapters.prediction_log.log import PredictionLog, instance_key
from flightline.core.prediction_record import ANSWER_COLUMNS, from_column, with_answers
from flightline.core.problem_spec import Canary, Problem
from flightline.core.project import Project
from flightline.evaluation.losses import row_losses
from flightline.monitoring.labels import LABELLED
from flightline.promotion.canary import CanarySetting, JudgedDay

INSTANT = timedelta(microseconds=1)  # the log keeps no finer time
_READ = ("request_id", "prediction_time", "instance_key", "clock", *ANSWER_COLUMNS, "model_version", "endpoint")
_PAIR = ["request_id", "instance_key"]


def collect_days(project: Project, setting: CanarySetting, clock: datetime) -> list[JudgedDay]:
    """Judge each day since the canary began whose labels are in by the clock."""
    log = PredictionLog.open(project.settings)
    try:
        read = log.read(start=setting.since, end=clock + INSTANT, by="clock", columns=_READ)
    finally:
        log.close()
    of_both = read[read["model_version"].isin([setting.champion, setting.version])]
    pairs = pair_up(with_answers(of_both, project.problem.classes), setting)
    labels = read_labels(project.settings, as_of=clock, keys=pairs["instance_key"])
    rows = pairs.merge(labels[["instance_key", "outcome", "label"]], on="instance_key", how="left")
    return judge_days(rows, project.problem, clock)


def pair_up(read: pd.DataFrame, setting: CanarySetting) -> pd.DataFrame:
    """Put what both versions said in the same request beside each other, whoever of them answered.

    Returns
    -------
    DataFrame
        One row an instance, the newest pair: instance_key, prediction_time, champion, challenger.
    """
    asked = read[(read["endpoint"] == "predict") & (read["instance_key"] != instance_key({}))]
    sides = {
        name: asked[asked["model_version"] == version].drop_duplicates(_PAIR, keep="last")
        for name, version in (("champion", setting.champion), ("challenger", setting.version))
    }
    ours = sides["champion"].rename(columns={"prediction": "champion"})
    theirs = sides["challenger"].rename(columns={"prediction": "challenger"})
    pairs = ours.merge(theirs[[*_PAIR, "challenger"]], on=_PAIR, validate="one_to_one")
    newest = pairs.sort_values(["clock", "request_id"]).drop_duplicates("instance_key", keep="last")
    return newest[["instance_key", "prediction_time", "champion", "challenger"]].reset_index(drop=True)


def judge_days(rows: pd.DataFrame, problem: Problem, clock: datetime) -> list[JudgedDay]:
    """Average the losses of each day (UTC) that is over and whose labels are in.

    Parameters
    ----------
    rows
        Pairs with `outcome` and `label`, which are missing where nothing is known yet.
    """
    rule, days = problem.canary, rows["prediction_time"].dt.floor("D")
    judged = []
    for day, of_day in rows.groupby(days, sort=True):
        is_over = day + pd.Timedelta(days=1) + problem.prediction_horizon + problem.monitoring.label_delay <= clock
        one = _judge(day, of_day, problem, rule) if is_over else None
        judged += [one] if one else []
    return judged


def _judge(day: pd.Timestamp, rows: pd.DataFrame, problem: Problem, rule: Canary) -> JudgedDay | None:
    labelled = rows[(rows["outcome"] == LABELLED) & rows["label"].notna()]
    if len(labelled) < rule.min_rows or rows["outcome"].notna().mean() < rule.min_coverage:
        return None
    label = labelled["label"].to_numpy(float)
    ours, theirs = (
        row_losses(problem.task, problem.primary_metric, label, from_column(labelled[side])).mean()
        for side in ("champion", "challenger")
    )
    return JudgedDay(day.date(), len(labelled), float(ours - theirs), float(ours))
