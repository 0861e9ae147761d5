"""Labels on both databases: appended, idempotent, with their history, and never read before they were known."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa

from flightline.adapters.prediction_log import label_table as prediction_log_labels
from flightline.adapters.prediction_log.label_table import read_history, read_labels, record_labels
from flightline.adapters.prediction_log.schema import make_engine, migrate
from flightline.core.errors import LogError
from flightline.monitoring.labels import Label
from tests.adapters.prediction_log.predictions import CLOCK, LOGGED, prediction

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


def label(key: str = "a" * 64, **changes: object) -> Label:
    given = {"instance_key": key, "revision": 1, "outcome": "labelled", "label": 1.0, "known_at": CLOCK}
    return Label(**given | {"recorded_at": LOGGED, "clock": CLOCK, "data_md5": "data"} | changes)


def test_what_was_recorded_is_read_as_it_was(settings):
    given = [label(), label("b" * 64, outcome="cancelled", label=None)]
    assert record_labels(settings, given) == given
    assert [read_history(settings, one.instance_key) for one in given] == [[one] for one in given]
    read = read_labels(settings)
    assert read["known_at"].tolist() == [pd.Timestamp(CLOCK)] * 2
    assert read["outcome"].tolist() == ["labelled", "cancelled"]
    assert read["label"].isna().tolist() == [False, True]


def test_recording_again_changes_nothing(settings):
    record_labels(settings, [label()])
    assert record_labels(settings, [label(recorded_at=LOGGED + HOUR, data_md5="other")]) == []
    assert read_history(settings, "a" * 64) == [label()]


def test_a_correction_keeps_what_was_there(settings):
    record_labels(settings, [label()])
    (corrected,) = record_labels(settings, [label(label=0.0, data_md5="new")])
    assert read_history(settings, "a" * 64) == [label(), corrected]
    assert (corrected.revision, read_labels(settings)["label"].tolist()) == (2, [0.0])


def test_a_label_is_not_read_before_it_is_known(settings):
    record_labels(settings, [label(known_at=CLOCK + HOUR, clock=CLOCK + HOUR), label("b" * 64)])
    assert read_labels(settings, as_of=CLOCK)["instance_key"].tolist() == ["b" * 64]
    assert len(read_labels(settings, as_of=CLOCK + HOUR)) == 2


def test_a_label_is_not_recorded_before_it_is_known(settings):
    with pytest.raises(LogError, match=r"^1 of 2 labels would be recorded before they are known"):
        record_labels(settings, [label(known_at=CLOCK + HOUR), label("b" * 64)])
    assert read_labels(settings).empty


def test_predictions_are_logged_while_many_labels_are_added(log, settings, monkeypatch):
    """Labels of a whole year in one transaction would lock a SQLite file for longer than a write waits."""
    monkeypatch.setattr(prediction_log_labels.time, "sleep", lambda _: log.write([prediction()]))
    given = [label(f"{number:064}") for number in range(2_500)]
    assert record_labels(settings, given) == given
    assert log.count() == 2
    assert len(read_labels(settings)) == 2_500


def test_what_was_broken_off_is_finished_by_doing_it_again(settings, monkeypatch):
    def fail(_: float) -> None:
        raise KeyboardInterrupt

    given = [label(f"{number:064}") for number in range(1_001)]
    with monkeypatch.context() as patch:
        patch.setattr(prediction_log_labels.time, "sleep", fail)
        with pytest.raises(KeyboardInterrupt):
            record_labels(settings, given)
    assert len(read_labels(settings)) == 1_000
    assert record_labels(settings, given) == given[1_000:]


def test_only_the_asked_instances_are_read(settings):
    record_labels(settings, [label(f"{number:064}") for number in range(12)])
    keys = [f"{number:064}" for number in (3, 5)]
    assert read_labels(settings, keys=keys)["instance_key"].tolist() == keys
    assert read_labels(settings, keys=[]).empty


def test_a_row_cannot_be_overwritten(settings):
    """The table itself refuses a second record of a revision, whoever writes it."""
    record_labels(settings, [label()])
    kept = "known_at, recorded_at, clock, data_md5"
    again = f"INSERT INTO labels SELECT instance_key, revision, outcome, 0, {kept} FROM labels"
    engine = make_engine(settings, is_bounded=False)
    try:
        with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
            connection.execute(sa.text(again))
    finally:
        engine.dispose()


def test_several_recorders_at_once_leave_one_record(settings):
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda _: record_labels(settings, [label()]), range(8)))
    assert sorted(map(len, added)) == [0] * 7 + [1]
    assert read_history(settings, "a" * 64) == [label()]


def test_the_schema_is_not_stepped_down_over_labels(settings):
    record_labels(settings, [label()])
    with pytest.raises(LogError, match="labels' table holds 1 rows"):
        migrate(settings, "0002")
    assert len(read_labels(settings)) == 1
