"""The event clock's file: what is read, what is refused, and that half a file is never read."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from flightline.adapters.event_clock import (
    changed_first_clock,
    ensure_clock,
    follows_the_day,
    move_clock,
    read_clock,
    set_clock,
)
from flightline.core.errors import ClockError
from flightline.core.settings import Settings

NOON = datetime(2013, 12, 31, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, clock="set")


def test_reads_back_in_utc_what_was_set_in_another_zone(settings: Settings) -> None:
    set_clock(settings, datetime(2013, 12, 31, 7, tzinfo=timezone(timedelta(hours=-5))))
    clock = read_clock(settings)
    assert clock == NOON
    assert clock.utcoffset() == timedelta(0)


def test_leaves_no_unfinished_file(settings: Settings) -> None:
    set_clock(settings, NOON)
    assert [file.name for file in settings.state_dir.iterdir()] == ["clock.json"]


def test_a_clock_never_set_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(ClockError, match="has not been set: run `make train`"):
        read_clock(settings)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '"real"',
        '{"now": 5}',
        '{"now": "noon"}',
        '{"now": "2013-12-31T12:00:00"}',
        "\x00",
        '{"now": "2013-12-31T12:00:00Z", "first_clock": "noon"}',
    ],
)
def test_refuses_a_file_without_a_moment(settings: Settings, content: str) -> None:
    set_clock(settings, NOON)
    settings.clock_file.write_text(content, encoding="utf-8")
    with pytest.raises(ClockError, match=r"clock\.json does not hold a moment"):
        read_clock(settings)


def test_refuses_what_cannot_be_read_and_names_no_path(settings: Settings) -> None:
    settings.clock_file.mkdir(parents=True)
    with pytest.raises(ClockError, match=r"clock\.json cannot be read") as caught:
        read_clock(settings)
    assert str(settings.root) not in str(caught.value)


def test_refuses_a_moment_without_a_zone(settings: Settings) -> None:
    with pytest.raises(ClockError, match="without a time zone"):
        set_clock(settings, NOON.replace(tzinfo=None))
    assert not settings.clock_file.exists()


def test_the_real_clock_moves_and_cannot_be_set(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, clock="real")
    assert abs(read_clock(settings) - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(ClockError, match="cannot be set"):
        set_clock(settings, NOON)


def test_ensure_sets_the_first_moment_once(settings: Settings) -> None:
    assert ensure_clock(settings, NOON) == NOON
    assert ensure_clock(settings, NOON + timedelta(days=1)) == NOON


DAY = timedelta(days=1)


def test_it_moves_forward_only_and_says_how_to_begin_anew(settings: Settings) -> None:
    ensure_clock(settings, NOON)
    move_clock(settings, NOON + DAY, NOON)
    move_clock(settings, NOON + DAY, NOON)  # where it stands
    with pytest.raises(ClockError, match=r"stands at 2014-01-01T12:00:00\+00:00 and moves forward only.*rm -r \.state"):
        move_clock(settings, NOON, NOON)
    assert read_clock(settings) == NOON + DAY


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (NOON.replace(year=2014, tzinfo=None), "without a time zone"),
        (datetime.now(UTC) + DAY, "still to come"),
    ],
)
def test_a_moment_it_cannot_stand_at_changes_nothing(settings: Settings, moment: datetime, said: str) -> None:
    ensure_clock(settings, NOON)
    with pytest.raises(ClockError, match=said):
        move_clock(settings, moment, NOON)
    assert read_clock(settings) == NOON


def test_the_first_move_sets_it_and_training_keeps_it(settings: Settings) -> None:
    move_clock(settings, NOON + DAY, NOON)
    assert ensure_clock(settings, NOON) == NOON + DAY


def test_real_lasts_for_all_who_read_the_file(settings: Settings) -> None:
    ensure_clock(settings, NOON)
    assert not follows_the_day(settings)
    move_clock(settings, None, NOON)
    other = Settings(root=settings.root)  # another process, with no variable set
    assert follows_the_day(other)
    first, second = ensure_clock(other, NOON), read_clock(other)
    assert NOON < first <= second
    with pytest.raises(ClockError, match="moves forward only"):
        move_clock(settings, NOON + DAY, NOON)


def test_real_is_no_way_back_from_the_future(settings: Settings) -> None:
    set_clock(settings, datetime.now(UTC) + DAY)
    with pytest.raises(ClockError, match="moves forward only"):
        move_clock(settings, None, NOON)


def test_the_setting_wins_over_the_file(settings: Settings, tmp_path: Path) -> None:
    ensure_clock(settings, NOON)
    real = Settings(root=tmp_path, clock="real")
    assert follows_the_day(real)
    assert read_clock(real) > NOON
    with pytest.raises(ClockError, match="FLIGHTLINE_CLOCK=real wins"):
        move_clock(real, NOON + DAY, NOON)
    assert changed_first_clock(real, NOON + DAY) is None


def test_containers_with_files_of_their_own_are_not_moved(tmp_path: Path) -> None:
    with pytest.raises(ClockError, match="in the profile stack"):
        move_clock(Settings(root=tmp_path, profile="stack"), NOON, NOON)


def test_another_first_clock_moves_nothing_and_is_said(settings: Settings) -> None:
    lines: list[str] = []
    ensure_clock(settings, NOON, lines.append)
    assert lines == []
    assert ensure_clock(settings, NOON + DAY, lines.append) == NOON
    (line,) = lines
    assert "stands at 2013-12-31T12:00:00+00:00; move it by `make clock TO=2014-01-01T12:00Z`" in line
    assert "rm -r .state" in (changed_first_clock(settings, NOON - DAY) or "")
    move_clock(settings, NOON + DAY, NOON + DAY)  # as the line said: it is said no more
    assert changed_first_clock(settings, NOON + DAY) is None


def test_a_move_that_is_no_persons_keeps_the_first_clock(settings: Settings) -> None:
    ensure_clock(settings, NOON)
    set_clock(settings, NOON + DAY)
    assert changed_first_clock(settings, NOON + DAY) is not None


def test_a_file_of_before_takes_the_first_clock_it_meets(settings: Settings) -> None:
    settings.state_dir.mkdir()
    settings.clock_file.write_text('{"now": "2013-12-31T12:00:00+00:00"}\n', encoding="utf-8")
    assert read_clock(settings) == NOON
    assert changed_first_clock(settings, NOON + DAY) is None
    assert ensure_clock(settings, NOON - DAY) == NOON
    assert changed_first_clock(settings, NOON) is not None


def test_a_file_that_was_read_long_after_it_was_written_is_read_anew_when_it_is_another(settings: Settings) -> None:
    for moment in (NOON, NOON + timedelta(hours=1)):
        set_clock(settings, moment)
        os.utime(settings.clock_file, (0, 0))
        assert read_clock(settings) == read_clock(settings) == moment


def test_a_file_written_just_now_may_be_written_again_without_another_time(settings: Settings) -> None:
    set_clock(settings, NOON)
    assert read_clock(settings) == NOON
    written = settings.clock_file.stat()
    settings.clock_file.write_text(settings.clock_file.read_text().replace("T12", "T13"))
    os.utime(settings.clock_file, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert read_clock(settings) == NOON + timedelta(hours=1)
