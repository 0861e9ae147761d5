"""DuckDB finds what is missing by the same rule as `labels.new_revisions`, whatever parts it is given."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.label_join import open_label_join
from flightline.core.errors import EngineError
from flightline.core.settings import DuckDBSettings, Settings
from flightline.monitoring.labels import Label

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def joined(tmp_path):
    with open_label_join(Settings(root=tmp_path)) as opened:
        yield opened


def label(key: str = "k", **changes: object) -> Label:
    given = {"instance_key": key, "revision": 1, "outcome": "labelled", "label": 1.0, "known_at": NOON}
    return Label(**given | {"recorded_at": NOON, "clock": NOON, "data_md5": "data"} | changes)


def frame(*records: Label) -> pd.DataFrame:
    return pd.DataFrame([asdict(each) for each in records])


SAID = [
    label(outcome=outcome, label=value, known_at=NOON + later)
    for (outcome, value), later in product(
        [("labelled", 1.0), ("labelled", 0.0), ("closed", None), ("moved", None)], [timedelta(0), HOUR]
    )
]


@pytest.mark.parametrize("known", SAID)
@pytest.mark.parametrize("recorded", SAID)
def test_it_compares_as_labels_do(joined, known, recorded):
    joined.add_predicted(pd.Series(["k", "k"]))
    joined.add_recorded(frame(recorded, replace(SAID[0], revision=7, instance_key="other")))
    joined.add_known([known])
    found = [row for part in joined.missing(10) for row in part]
    assert len(found) == (0 if known.says_the_same(recorded) else 1)
    names = ("instance_key", "outcome", "label", "known_at")
    assert all(row == {name: getattr(known, name) for name in names} for row in found)


@pytest.mark.parametrize("first", SAID)
@pytest.mark.parametrize("second", SAID)
def test_two_outcomes_in_parts_apart_are_found(joined, first, second):
    joined.add_known([first, label("other")])
    joined.add_known([second])
    assert joined.two_outcomes() == (None if first.says_the_same(second) else "k")


def test_the_newest_record_counts_whatever_order_they_come_in(joined):
    joined.add_predicted(pd.Series(["k"]))
    joined.add_recorded(frame(label(revision=2, label=0.0), label(revision=1)))
    joined.add_recorded(frame(label(revision=3)))
    joined.add_known([label()])
    assert list(joined.missing(10)) == []


def test_what_nobody_asked_about_is_not_missing(joined):
    joined.add_known([label("a"), label("b")])
    joined.add_predicted(pd.Series(["b"]))
    assert [[row["instance_key"] for row in part] for part in joined.missing(10)] == [["b"]]


def test_of_the_same_outcome_twice_the_first_is_taken(joined):
    closed = label(outcome="closed", label=None)
    joined.add_predicted(pd.Series(["k"]))
    joined.add_known([closed])
    joined.add_known([replace(closed, known_at=NOON + HOUR)])
    assert [row["known_at"] for part in joined.missing(10) for row in part] == [NOON]


def test_what_waits_is_counted(joined):
    joined.add_predicted(pd.Series(["a", "b", "c", "d", "a"]))
    joined.add_known([label("a"), label("z")])
    joined.add_recorded(frame(label("b", outcome="closed", label=None), label("z"), label("c", known_at=NOON + HOUR)))
    assert joined.count(NOON) == (4, {"closed": 1, "labelled": 1})
    assert joined.count(NOON + HOUR) == (4, {"closed": 1, "labelled": 2})


def count_many(root: Path, limits: DuckDBSettings) -> tuple[int, dict[str, int]]:
    with open_label_join(Settings(root=root, duckdb=limits)) as joined:
        joined.add_predicted(pd.Series(range(600_000)).astype(str).str.zfill(64))
        return joined.count(NOON)


def test_it_goes_beyond_memory_and_no_further_than_the_disk_it_may_take(tmp_path):
    assert count_many(tmp_path, DuckDBSettings(memory_limit="30MB")) == (600_000, {})
    with pytest.raises(EngineError, match="FLIGHTLINE_DUCKDB__"):
        count_many(tmp_path, DuckDBSettings(memory_limit="30MB", spill_limit="1MB"))
