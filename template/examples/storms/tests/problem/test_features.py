"""Each feature and the label, by hand, and from when on it may be used."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from ibis import _

from flightline.adapters import duckdb_engine as engine
from flightline.core.errors import LeakError
from tests.problem.conftest import fix
from tests.support.own_problem import look_for_leaks

OTHER = "2010257N16282"
ROWS = [
    fix("2010-09-14T00", wind=30, latitude=12.0),
    fix("2010-09-14T06", wind=40, latitude=12.5),
    fix("2010-09-14T12", wind="NA", latitude=13.0),
    fix("2010-09-14T18", wind=35, latitude=13.5),
    fix("2010-09-15T06", wind=64, latitude=14.0),
    fix("2010-09-15T12", wind="NA", latitude=14.5),
    fix("2010-09-14T06", storm=OTHER, wind=60),
]


def at(day: int, hour: int) -> datetime:
    return datetime(2010, 9, day, hour, tzinfo=UTC)


@pytest.fixture
def table(project, groups_of):
    def compute(name: str) -> pd.DataFrame:
        return engine.to_frame(project.features.tables[name](groups_of(ROWS)).order_by("event_timestamp"))

    return compute


def test_a_storm_is_as_it_was_at_its_newest_published_fix(table):
    track = table("storm_track")
    track = track[track["storm"] != OTHER].set_index("event_timestamp")
    assert list(track.index[:2]) == [at(14, 3), at(14, 9)]
    assert list(track["last_wind"].dropna()) == [30, 40, 35, 64]
    assert list(track["max_wind"]) == [30, 40, 40, 40, 64, 64]
    assert track.loc[at(14, 21), "wind_change_12h"] == 35 - 40
    assert track["wind_change_12h"].isna().sum() == 5  # the first two, and those that a wind is missing for
    assert track.loc[at(15, 9), "last_latitude"] == 14.0
    assert set(track["first_fix_at"]) == {at(14, 0).timestamp()}


def test_a_basin_counts_the_fixes_of_all_its_storms_and_averages_what_was_measured(table):
    recent = table("basin_recent").set_index("event_timestamp")
    assert list(recent["basin_recent_14d_count"]) == [1, 3, 4, 5, 6, 7]
    assert recent.loc[at(14, 15), "basin_recent_14d_mean_wind"] == pytest.approx((30 + 40 + 60) / 3, abs=0.01)


def test_an_example_is_a_fix_predicted_when_it_is_made(project, groups_of):
    found = engine.to_frame(project.features.examples(groups_of(ROWS), project.problem))
    one = found[found["storm"] != OTHER].set_index("fixed_at").sort_index()
    assert list(one["event_timestamp"][:2]) == [at(14, 0), at(14, 6)]
    assert one["example_id"].iloc[0] == "2010255N12325-2010-09-14T00:00Z"
    # 24 hours after 00:00 there is no fix, after 06:00 one of 64 knots, after 12:00 one without a wind.
    assert list(one["outcome"][:3]) == ["gone", "there", "unmeasured"]
    assert list(one["next_day"][:2]) == ["gone", "hurricane"]
    assert one["next_day"].isna().iloc[2]
    assert one[["outcome", "next_day", "label_known_at"]].iloc[3:].isna().all(axis=None)


@pytest.mark.parametrize(
    ("wind", "expected"), [(33, "depression"), (34, "storm"), (63, "storm"), (64, "hurricane"), (150, "hurricane")]
)
def test_the_class_follows_from_the_wind_a_day_later(project, groups_of, wind, expected):
    groups = groups_of([fix("2010-09-14T00"), fix("2010-09-15T00", wind=wind)])
    found = engine.to_frame(project.features.examples(groups, project.problem)).set_index("fixed_at")
    assert found.loc["2010-09-14T00:00Z", "next_day"] == expected


def test_a_fix_among_its_own_features_is_found(project, tmp_path):
    """Stamped when it is made and not when it is published, it would be."""

    def track_at_once(groups):
        return groups["fixes"].select("storm", event_timestamp=_.at, last_wind=_.wind.cast("float64"))

    with pytest.raises(LeakError, match=r"(?s)3 leak.*track_at_once: "):
        look_for_leaks(project, tmp_path, track_at_once=track_at_once)
