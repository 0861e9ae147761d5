"""Which days of a canary are judged: those that are over, and of which enough is known."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.prediction_log.label_table import read_revisions, record_labels
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.settings import Settings
from flightline.monitoring.labels import LABELLED, known_labels
from flightline.promotion.canary import CanarySetting
from pipelines.promotion_steps import canary_rows
from pipelines.promotion_steps.canary_rows import judge_days
from tests.support.filled_log import fill, logged_rows
from tests.toy_problem import PROBLEM, make_project

DAY = pd.Timestamp("2026-03-02", tz="UTC")
RULE = PROBLEM.canary
ROWS = 2 * RULE.min_rows
OVER = (DAY + timedelta(days=1) + PROBLEM.prediction_horizon + PROBLEM.monitoring.label_delay).to_pydatetime()


def pairs(known: int, without_label: int = 0) -> pd.DataFrame:
    """One day of pairs, of so many of which the outcome is known, and of so many of these it has no label."""
    place = np.arange(ROWS)
    outcome = np.where(place < known, np.where(place < without_label, "closed", LABELLED), None)
    return pd.DataFrame(
        {
            "request_id": "r",
            "instance_key": [f"{place}" for place in range(ROWS)],
            "prediction_time": DAY + pd.to_timedelta(place, unit="min"),
            "clock": DAY,
            "champion": 0.5,
            "challenger": np.where(place % 2, 0.75, 0.25),
            "outcome": outcome,
            "label": np.where(outcome == LABELLED, place % 2, np.nan).astype(float),
            "revision": np.where(place < known, 1, np.nan),
            "recorded": pd.Series(np.where(place < known, DAY, pd.NaT)).astype("datetime64[us, UTC]"),
        }
    )


@pytest.mark.parametrize(
    ("rows", "clock", "judged"),
    [
        (pairs(ROWS), OVER, 1),
        (pairs(ROWS), OVER - timedelta(seconds=1), 0),
        (pairs(int(np.ceil(ROWS * RULE.min_coverage))), OVER, 1),
        (pairs(int(np.ceil(ROWS * RULE.min_coverage)) - 1), OVER, 0),
        (pairs(ROWS, without_label=ROWS - RULE.min_rows), OVER, 1),
        (pairs(ROWS, without_label=ROWS - RULE.min_rows + 1), OVER, 0),
    ],
    ids=["all known", "not over", "as many as asked", "one fewer", "outcomes without a label count", "too few labels"],
)
def test_a_day_is_judged_when_it_is_over_and_enough_is_known(rows, clock, judged):
    assert len(judge_days([rows], PROBLEM, clock)) == judged


def test_the_gain_is_the_champions_loss_less_the_challengers():
    (day,) = judge_days([pairs(ROWS)], PROBLEM, OVER)
    assert (day.pairs, day.champion_loss) == (ROWS, pytest.approx(np.log(2)))
    assert day.gain == pytest.approx(np.log(2) - np.log(4 / 3))


def later(rows: pd.DataFrame, days: int) -> pd.DataFrame:
    """The same pairs, some days later."""
    moved = {name: rows[name] + timedelta(days=days) for name in ("prediction_time", "clock", "recorded")}
    return rows.assign(instance_key=f"{days}/" + rows["instance_key"], **moved)


def test_a_day_whose_labels_come_late_is_judged_after_the_days_before_it_were():
    late = pairs(ROWS)
    late["recorded"] = np.where(np.arange(ROWS) < ROWS // 2, late["recorded"], late["recorded"] + timedelta(days=9))
    days = [later(pairs(ROWS), 1), late, later(pairs(ROWS), 2)]
    first = judge_days(days, PROBLEM, OVER + timedelta(days=4))
    assert [one.day.day for one in first] == [3, 4]
    second = judge_days(days, PROBLEM, OVER + timedelta(days=20))
    assert second[:2] == first
    assert [one.day.day for one in second] == [3, 4, 2]


def test_what_is_recorded_after_a_day_was_judged_does_not_change_it():
    rows = pairs(ROWS)
    corrected = rows.assign(label=1 - rows["label"], revision=2, recorded=rows["recorded"] + timedelta(days=9))
    asked_again = rows.assign(request_id="s", clock=DAY + timedelta(days=9), challenger=0.01)
    both = pd.concat([rows, corrected, asked_again], ignore_index=True)
    assert judge_days([both], PROBLEM, OVER + timedelta(days=20)) == judge_days([rows], PROBLEM, OVER)


def test_a_correction_that_came_in_time_counts():
    rows = pairs(ROWS)
    corrected = rows.assign(label=1 - rows["label"], revision=2, recorded=OVER)
    (day,) = judge_days([pd.concat([rows, corrected], ignore_index=True)], PROBLEM, OVER)
    assert day.gain == pytest.approx(np.log(2) - np.log(4))


def test_a_day_of_pairs_is_in_memory_and_none_stays_on_disk(tmp_path, monkeypatch):
    rows, days = 160, 8
    times = pd.Series(pd.date_range(DAY, periods=rows, freq=timedelta(days=days) / rows)).astype("datetime64[us, UTC]")
    examples = pd.DataFrame({"event_timestamp": times, "opens": times, "shop": "S01", "city": "Bergen"})
    features = pd.DataFrame({"count": 1.0}, index=examples.index)
    project = make_project(Settings(root=tmp_path))
    for version, said in (("1", 0.5), ("2", 0.25)):
        made = logged_rows(PROBLEM, examples, features, np.full(rows, said), version, seed=int(version))
        fill(project.settings, made)
    known = examples.assign(sold_out=np.arange(rows) % 2, outcome=LABELLED, label_known_at=DAY)
    record_labels(project.settings, known_labels(known, PROBLEM, DAY, DAY, "data"))
    held = list[int]()

    def noted(settings: Settings, keys: pd.Series) -> pd.DataFrame:
        held.append(len(keys))
        return read_revisions(settings, keys)

    monkeypatch.setattr(canary_rows, "read_revisions", noted)
    monkeypatch.delattr(PredictionLog, "read")  # which gives all at once
    setting = CanarySetting(version="2", champion="1", mode="shadow", since=DAY)
    judged = canary_rows.collect_days(project, setting, OVER + timedelta(days=days))
    assert held == [day.pairs for day in judged] == [rows // days] * days
    loss = -np.log([0.25, 0.75]).mean()
    assert [day.gain for day in judged] == pytest.approx([np.log(2) - loss] * days)
    assert list(tmp_path.rglob("*.parquet")) == []
