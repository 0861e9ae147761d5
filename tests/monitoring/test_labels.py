"""Which examples have an outcome by now: never before the clock, and no outcome dropped in silence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from flightline.core.errors import LogError
from flightline.core.prediction_record import instance_key
from flightline.monitoring.labels import Label, known_labels, new_revisions
from tests.toy_problem import PROBLEM

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SHOPS = replace(PROBLEM, entity_keys=("shop",), slices=())


def example(shop: str, outcome: str | None, label: float | None, known_at: datetime | None) -> dict:
    return {"shop": shop, "opens": NOON, "outcome": outcome, "sold_out": label, "label_known_at": known_at}


def labels_of(*rows: dict, clock: datetime = NOON) -> dict[str, Label]:
    frame = pd.DataFrame(list(rows)).astype({"label_known_at": "datetime64[us, UTC]"})
    names = {instance_key({"shop": row["shop"], "opens": NOON}): row["shop"] for row in rows}
    return {names[one.instance_key]: one for one in known_labels(frame, SHOPS, clock, NOON, "data")}


@pytest.mark.parametrize(("minutes", "is_known"), [(-1, True), (0, True), (1, False)])
def test_a_label_is_never_given_before_it_is_known(minutes, is_known):
    found = labels_of(example("a", "sold", 1, NOON + timedelta(minutes=minutes)))
    assert ("a" in found) is is_known


def test_outcomes_without_a_label_are_outcomes():
    found = labels_of(example("a", "sold", 0, NOON), example("b", "closed", None, None), example("c", None, None, None))
    assert {name: (one.outcome, one.label) for name, one in found.items()} == {
        "a": ("labelled", 0.0),
        "b": ("closed", None),
    }
    assert found["b"].known_at == NOON


def test_what_is_written_down_of_each():
    early, now = NOON - timedelta(minutes=5), NOON + timedelta(hours=1)
    frame = pd.DataFrame([example("a", "sold", 1, early), example("b", "closed", None, NOON)])
    same = {"revision": 1, "recorded_at": now, "clock": NOON, "data_md5": "data"}
    keys = [instance_key({"shop": shop, "opens": NOON}) for shop in "ab"]
    assert known_labels(frame, SHOPS, NOON, now, "data") == [
        Label(instance_key=keys[0], outcome="labelled", label=1.0, known_at=early, **same),
        Label(instance_key=keys[1], outcome="closed", label=None, known_at=NOON, **same),
    ]


def test_an_outcome_with_a_moment_after_the_clock_waits_too():
    assert labels_of(example("a", "closed", None, NOON + timedelta(minutes=1))) == {}


def test_two_outcomes_for_one_instance_are_refused():
    with pytest.raises(LogError, match="two examples have the keys"):
        labels_of(example("a", "sold", 0, NOON), example("a", "sold", 1, NOON))


def test_the_same_example_twice_is_one():
    assert len(labels_of(example("a", "sold", 1, NOON), example("a", "sold", 1, NOON))) == 1


def record(**changes: object) -> Label:
    given = {"instance_key": "k", "revision": 1, "outcome": "labelled", "label": 1.0, "known_at": NOON}
    return Label(**given | {"recorded_at": NOON, "clock": NOON, "data_md5": "data"} | changes)


@pytest.mark.parametrize(
    ("change", "revisions"),
    [
        ({}, []),
        ({"recorded_at": NOON + timedelta(days=1), "clock": NOON + timedelta(days=1), "data_md5": "other"}, []),
        ({"label": 0.0}, [4]),
        ({"known_at": NOON - timedelta(minutes=5)}, [4]),
        ({"outcome": "closed", "label": None}, [4]),
    ],
)
def test_only_what_says_something_new_is_a_revision(change, revisions):
    fresh = new_revisions([record(**change)], {"k": record(revision=3)})
    assert [one.revision for one in fresh] == revisions


def test_an_outcome_without_a_time_is_not_new_after_a_clock_move():
    before = record(outcome="closed", label=None)
    assert new_revisions([record(outcome="closed", label=None, known_at=NOON + timedelta(days=1))], {"k": before}) == []
