"""Each feature alone: what a constant's loss is compared with, and which feature is too good."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.evaluation.single_feature import ALL_ROWS, find_suspect, judge_alone
from tests import toy_problem

ROWS = 2000
RANDOM = np.random.default_rng(0)
NUMBER = RANDOM.normal(size=ROWS)
NOISE = RANDOM.normal(size=ROWS)
LABELS = {
    "classification": (NUMBER + NOISE > 0).astype(float),
    "multiclass": np.digitize(NUMBER + NOISE, [-1, 1]).astype(float),
    "regression": NUMBER + NOISE,
}
METRICS = {"classification": "log_loss", "multiclass": "log_loss", "regression": "mae"}
BEFORE = pd.Series(np.arange(ROWS) < ROWS // 2)


def judged(task: str, **more: object) -> pd.DataFrame:
    label = pd.Series(LABELS[task])
    features = pd.DataFrame(
        {
            "useless": RANDOM.normal(size=ROWS),
            "useful": NUMBER,
            "text": np.where(NUMBER > 0, "high", "low"),
            "absent": np.nan,
            **more,
        }
    )
    return judge_alone(task, METRICS[task], features, label, BEFORE, ~BEFORE)


def by_hand(features: list[str], gains: list[float], order: float = 0.5) -> pd.DataFrame:
    table = pd.DataFrame({"feature": features, "loss": 0.0, "gain": gains, "order": order})
    return table.assign(among=ALL_ROWS, share=1.0)


@pytest.mark.parametrize("task", LABELS)
def test_a_useful_number_and_a_useful_text_beat_noise(task):
    gains = judged(task).set_index("feature")["gain"]
    assert gains["useful"] > gains["text"] > 0.1
    assert abs(gains["useless"]) < 0.1
    assert gains["absent"] == 0


@pytest.mark.parametrize(("task", "absent"), [("classification", 1), *(("multiclass", number) for number in range(3))])
def test_a_class_that_no_earlier_row_with_the_feature_is_of_is_judged_and_is_no_leak(task, absent):
    is_known = (RANDOM.random(ROWS) < 0.5) & ~(BEFORE & (LABELS[task] == absent))
    label, features = pd.Series(LABELS[task]), pd.DataFrame({"partly": np.where(is_known, NOISE, np.nan)})
    assert find_suspect(judge_alone(task, METRICS[task], features, label, BEFORE, ~BEFORE), {}) is None


def test_a_class_that_no_row_to_fit_on_is_of_has_a_probability_too():
    label = pd.Series(LABELS["multiclass"])
    for absent in range(3):
        before = BEFORE & (label != absent)
        alone = judge_alone("multiclass", "log_loss", pd.DataFrame({"useful": NUMBER}), label, before, ~BEFORE)
        assert alone["gain"].between(0, 1).all()


@pytest.mark.parametrize("task", LABELS)
def test_the_label_under_another_name_is_named(task):
    table = judged(task, hidden=LABELS[task])
    assert table["feature"].iloc[0] == "hidden"
    assert table["gain"].iloc[0] > 0.8
    assert find_suspect(table, {}).startswith("hidden puts examples in the order of their labels")
    alone = table[table["feature"].isin(["hidden", "useless"])].assign(order=0.5)
    assert find_suspect(alone, {}).startswith("hidden alone takes away")


def test_the_label_is_named_beside_features_that_are_nearly_as_good():
    """A series that hardly changes from day to day: the best honest feature leaves less than a third to gain."""
    label = pd.Series(np.cumsum(RANDOM.normal(size=ROWS)))
    features = pd.DataFrame({"yesterday": label.shift(1), "last_week": label.shift(7), "hidden": label * 2 + 1})
    rows = pd.Series(np.arange(ROWS) >= 7)
    table = judge_alone("regression", "mae", features, label, rows & BEFORE, rows & ~BEFORE)
    assert table.set_index("feature")["order"]["hidden"] == pytest.approx(1)
    assert find_suspect(table, {}).startswith("hidden puts examples in the order of their labels (rank correlation 1.0")
    assert find_suspect(table[table["feature"] != "hidden"].reset_index(drop=True), {}) is None


def test_features_of_one_view_are_not_each_others_alibi():
    table = by_hand(["mean", "count", "other"], [0.9, 0.85, 0.1])
    assert find_suspect(table, {"mean": "leaky", "count": "leaky"}).startswith("mean alone takes away 90%")
    assert find_suspect(table, {}) is None


def test_what_is_made_of_a_stored_feature_is_no_alibi_for_it():
    table = by_hand(["made", "leaky", "also", "other"], [0.9, 0.8, 0.7, 0.1])
    view_of, made = {"leaky": "a", "other": "b"}, {"made", "also"}
    assert find_suspect(table, view_of, made).startswith("leaky alone takes away 80%")
    assert find_suspect(table, view_of) is None


def test_what_is_made_of_harmless_features_may_give_a_label_away():
    table = by_hand(["made", "also", "stamp", "other"], [0.9, 0.8, 0.05, 0.1])
    assert find_suspect(table, {"stamp": "a", "other": "b"}, {"made", "also"}).startswith("made alone takes away 90%")


def test_a_moment_that_orders_examples_as_their_labels_do_is_named():
    """As where a request is stamped after what it asks about."""
    table = by_hand(["minute", "other"], [0.9, 0.1]).assign(order=[1.0, 0.2])
    assert find_suspect(table, {}, of_moment={"minute"}).startswith("minute puts examples in the order of their labels")
    assert find_suspect(table.assign(order=0.5), {}, of_moment={"minute"}) is None


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return toy_problem.make_project(Settings(root=tmp_path))


def busy_weekends(*, city_tells: bool) -> tuple[pd.DataFrame, pd.Series]:
    """Requests of shops that sell out at weekends, and of a city that is written down afterwards."""
    opens = pd.Series(pd.date_range("2020-01-01 06:00", periods=ROWS, freq="3h", tz="UTC"))
    label = (opens.dt.dayofweek >= 5).astype(float).where(RANDOM.random(ROWS) > 0.1, RANDOM.integers(0, 2, ROWS))
    city = np.where(label == 1, *toy_problem.CITIES) if city_tells else RANDOM.choice(toy_problem.CITIES, ROWS)
    return pd.DataFrame({"shop": RANDOM.choice(["S01", "S02"], ROWS), "city": city, "opens": opens}), label


@pytest.mark.parametrize("city_tells", [False, True])
def test_what_the_moment_alone_tells_is_no_leak_and_what_else_a_request_tells_is(project, city_tells):
    requests, label = busy_weekends(city_tells=city_tells)
    features = pd.DataFrame(project.requests.features(requests)).drop(columns="day_of_week" if city_tells else [])
    table = judge_alone("classification", "log_loss", features, label, BEFORE, ~BEFORE)
    named, alone = find_suspect(table, {}), find_suspect(table, {}, of_moment=project.moment_features(requests))
    assert named.startswith("city" if city_tells else "day_of_week")
    assert (alone or "").startswith("city") if city_tells else alone is None


@pytest.mark.parametrize("gains", [[0.3, 0.2], [0.09, 0.0], [0.29, 0.1]])
def test_what_honest_features_reach_is_no_cause_for_a_warning(gains):
    table = by_hand(["a", "b"], gains)
    assert find_suspect(table, {}) is None


@pytest.mark.parametrize("task", LABELS)
def test_a_leak_that_one_row_in_four_has_is_named(task):
    """On all rows it predicts no better than an honest feature that all of them have."""
    has = np.arange(ROWS) % 4 == 0
    table = judged(task, delay=np.where(has, LABELS[task] + NOISE / 4, np.nan), only=np.where(has, NOISE, np.nan))
    whole = table[table["among"] == ALL_ROWS]
    assert find_suspect(whole, {}) is None
    named = find_suspect(table[table["feature"] != "useful"], {"delay": "turns", "only": "turns"})
    assert named.startswith("delay alone takes away")
    assert "on the 25% of rows that have it, " in named


def test_the_label_itself_in_one_row_of_five_is_named_by_its_order():
    has = np.arange(ROWS) % 5 == 0
    assert "in the order of their labels on the 20% of rows that have it" in find_suspect(
        judged("regression", hidden=np.where(has, LABELS["regression"], np.nan)), {}
    )


@pytest.mark.parametrize("task", LABELS)
def test_what_honest_features_tell_where_few_rows_have_them_is_no_cause_for_a_warning(task):
    has = np.arange(ROWS) % 4 == 0
    table = judged(
        task, rare=np.where(has, NUMBER, np.nan), useless_too=np.where(has, RANDOM.normal(size=ROWS), np.nan)
    )
    assert set(table["among"]) == {ALL_ROWS, "rare"}
    assert find_suspect(table, {}) is None


def test_rows_too_few_to_judge_among_are_left_out():
    few = np.arange(ROWS) % 10 == 0
    assert set(judged("regression", hidden=np.where(few, LABELS["regression"], np.nan))["among"]) == {ALL_ROWS}


def test_one_feature_and_none():
    table = by_hand(["a"], [0.5], np.nan)
    assert "there is no other view" in find_suspect(table, {})
    assert find_suspect(table.iloc[:0], {}) is None


def test_a_row_that_is_left_out_of_the_masks_is_not_looked_at():
    label = pd.Series([0.0, 1.0] * 100)
    features = pd.DataFrame({"a": [0.0, 1.0] * 100})
    before, later = pd.Series(np.arange(200) < 80), pd.Series((np.arange(200) >= 80) & (np.arange(200) < 120))
    whole = judge_alone("classification", "log_loss", features, label, before, later)
    label[120:] = 1 - label[120:]
    pd.testing.assert_frame_equal(whole, judge_alone("classification", "log_loss", features, label, before, later))
