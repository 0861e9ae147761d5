"""The event clock's file: what is read, what is refused, and that half a file is never read."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from flightline.adapters.event_clock import ensure_clock, read_clock, set_clock
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
    "content", ["", "{", "[]", "{}", "null", '{"now": 5}', '{"now": "noon"}', '{"now": "2013-12-31T12:00:00"}', "\x00"]
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
