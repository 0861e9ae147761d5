"""Exported days go on to a URL, and no row is lost on the way: whatever breaks off, comes late or is set anew."""

import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType

import pandas as pd
import pytest
import sqlalchemy as sa

from flightline.adapters.files import atomic_write
from flightline.adapters.prediction_log import retention
from flightline.adapters.prediction_log.exports import day_file, remote_folder
from flightline.adapters.prediction_log.exports.day_file import read_export
from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog
from flightline.adapters.prediction_log.partitions import add_days
from flightline.adapters.prediction_log.schema import PREDICTIONS, make_engine
from flightline.core.errors import LogError
from flightline.core.settings import Settings
from tests.adapters.prediction_log.predictions import prediction
from tests.adapters.prediction_log.retention.days import MIDNIGHT, fill, move
from tests.support.waiting import wait_until

DAY_FILE = "2026-03-01.parquet"
DIED = 7
ONLY_READ = {
    *("<dictcomp>", "<genexpr>", "<listcomp>", "canonical", "_add", "_demand_equal", "_digest", "_fetch", "_ids_alike"),
    *("_of_day", "_rows_of_day", "rows_of_file"),
}


def at_url(settings: Settings, folder: Path) -> Settings:
    """Give settings whose exported days go on to a folder, which is made."""
    folder.mkdir(exist_ok=True)
    log_to = settings.prediction_log.model_copy(update={"export_url": folder.as_uri()})
    return settings.model_copy(update={"prediction_log": log_to})


@pytest.fixture
def remote(settings, tmp_path) -> Settings:
    """Settings whose exported days go on to another place."""
    return at_url(settings, tmp_path / "remote")


def test_exported_days_go_on_to_a_url(log, remote, tmp_path):
    before = fill(log, 3)
    (day,) = move(remote)
    assert (day.rows, day.exported, day.deleted) == (3, 3, 3)
    fill(log, 1, MIDNIGHT + timedelta(hours=5))
    late = log.read()
    (day,) = move(remote)
    assert (day.rows, day.exported, day.deleted) == (4, 1, 1)
    assert log.count() == 0
    there = read_export(tmp_path / "remote" / "2026-03-01.parquet")
    assert there.equals(pd.concat([before, late], ignore_index=True))
    assert not list(remote.prediction_exports_dir.glob("*.parquet")), "the disk of a task is not kept"


def test_what_only_this_disk_holds_is_not_deleted(log, remote, tmp_path):
    before = fill(log, 3)
    (tmp_path / "remote").rename(tmp_path / "away")
    with pytest.raises(LogError, match="nothing was deleted that is not in"):
        move(remote)
    assert log.count() == 3
    (tmp_path / "away").rename(tmp_path / "remote")
    move(remote)
    assert read_export(tmp_path / "remote" / "2026-03-01.parquet").equals(before)


def test_a_copy_that_was_broken_off_replaces_no_whole_file(log, remote, tmp_path, monkeypatch):
    fill(log, 600)
    move(remote)
    log.write([prediction(logged_at=MIDNIGHT + timedelta(hours=5))])

    def cut_short(source: str, target: str, **_: object) -> None:
        content = Path(source).read_bytes()
        Path(target).write_bytes(content[: len(content) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(remote_folder.RemoteFolder, "fetch", take(tmp_path / "remote"))
        patch.setattr(remote_folder.fs, "copy_files", cut_short)
        with pytest.raises(KeyboardInterrupt):
            move(remote)
    assert len(read_export(tmp_path / "remote" / DAY_FILE)) == 600
    move(remote)
    assert len(read_export(tmp_path / "remote" / DAY_FILE)) == 601
    assert log.count() == 0


def take(folder: Path) -> Callable:
    return lambda _, file: shutil.copy(folder / file.name, file)


def test_a_file_that_reads_back_changed_is_kept_here(log, remote, tmp_path, monkeypatch):
    fill(log, 3)
    move(remote)
    log.write([prediction(logged_at=MIDNIGHT + timedelta(hours=5))])
    with monkeypatch.context() as patch:
        patch.setattr(remote_folder, "_digest", lambda _: object())
        with pytest.raises(LogError, match="reads back changed"):
            move(remote)
    assert log.count() == 1
    (tmp_path / "remote" / DAY_FILE).unlink()  # and what was there is gone
    move(remote)
    assert len(read_export(tmp_path / "remote" / DAY_FILE)) == 4


def test_days_of_before_there_was_a_url_go_on_to_it(log, settings, tmp_path):
    before = fill(log, 3)
    move(settings)
    other = settings.prediction_exports_dir / "notes.parquet"
    other.write_bytes(b"of somebody")
    assert move(at_url(settings, tmp_path / "remote")) == []
    assert read_export(tmp_path / "remote" / DAY_FILE).equals(before)
    assert list(settings.prediction_exports_dir.glob("*.parquet")) == [other]


def test_rows_that_differ_between_here_and_the_url_stay_in_both(log, settings, remote, tmp_path):
    made = prediction(logged_at=MIDNIGHT)
    for place, value in ((remote, 0.25), (settings, 0.5)):
        log.write([replace(made, prediction=value)])
        move(place)
    log.write([prediction(logged_at=MIDNIGHT)])
    with pytest.raises(LogError, match=r"differs in 1 predictions, such as .* move one of the two away"):
        move(remote)
    assert log.count() == 1
    for folder, value in ((tmp_path / "remote", 0.25), (settings.prediction_exports_dir, 0.5)):
        assert read_export(folder / DAY_FILE)["prediction"].tolist() == [value]


def test_the_url_of_the_folder_itself_is_refused(log, settings):
    before = fill(log, 3)
    move(settings)
    log.write([prediction(logged_at=MIDNIGHT + timedelta(hours=5))])
    with pytest.raises(LogError, match="names the folder where files lie before they go on"):
        move(at_url(settings, settings.prediction_exports_dir))
    assert read_export(settings.prediction_exports_dir / DAY_FILE).equals(before)
    assert log.count() == 1


@dataclass
class Places:
    """A log, the settings under which its days are moved, and all that was ever written to it."""

    log: PredictionLog
    local: Settings
    remote: Settings
    other: Settings
    written: list[LoggedPrediction] = field(default_factory=list)

    def write(self, rows: int) -> None:
        seconds = range(len(self.written), len(self.written) + rows)
        made = [prediction(logged_at=MIDNIGHT + timedelta(seconds=n), prediction=n / 7) for n in seconds]
        self.log.write(made)
        self.written += made

    def write_again(self) -> None:
        """Bring back into the log what a run that was broken off while it deleted leaves in it."""
        self.log.write(self.written[1:3])

    def files(self) -> list[Path]:
        folders = [self.local.prediction_exports_dir]
        folders += [Path(each.prediction_log.export_url.removeprefix("file://")) for each in (self.remote, self.other)]
        return [folder / DAY_FILE for folder in folders if (folder / DAY_FILE).exists()]

    def ids(self) -> list[list[str]]:
        return [read_export(file)["prediction_id"].tolist() for file in self.files()] + [
            self.log.read(columns=["prediction_id"])["prediction_id"].tolist()
        ]

    def check_all_are_here(self) -> None:
        found = self.ids()
        assert {one for place in found for one in place} == {row.prediction_id for row in self.written}
        assert all(len(place) == len(set(place)) for place in found)

    def clear(self) -> None:
        engine = make_engine(self.local, is_bounded=False)
        with engine.begin() as connection:
            connection.execute(sa.delete(PREDICTIONS))
            add_days(connection, MIDNIGHT.date(), 1)
        engine.dispose()
        for file in self.files():
            file.unlink()
        self.written.clear()


def nothing_yet(places: Places) -> Settings:
    places.write(5)
    return places.remote


def url_set_after_a_run_that_broke_off(places: Places) -> Settings:
    places.write(5)
    move(places.local)
    places.write_again()
    return places.remote


def url_set_before_a_late_row(places: Places) -> Settings:
    places.write(5)
    move(places.local)
    places.write(1)
    return places.remote


def url_set_after_both(places: Places) -> Settings:
    url_set_before_a_late_row(places)
    places.write_again()
    return places.remote


def url_with_a_late_row(places: Places) -> Settings:
    places.write(5)
    move(places.remote)
    places.write(1)
    places.write_again()
    return places.remote


def url_changed_and_back(places: Places) -> Settings:
    url_with_a_late_row(places)
    move(places.other)
    places.write(1)
    places.write_again()
    return places.remote


def url_taken_away(places: Places) -> Settings:
    url_with_a_late_row(places)
    return places.local


def url_taken_away_and_set_again(places: Places) -> Settings:
    move(url_taken_away(places))
    places.write(1)
    places.write_again()
    return places.remote


SEQUENCES = (
    nothing_yet,
    url_set_after_a_run_that_broke_off,
    url_set_before_a_late_row,
    url_set_after_both,
    url_with_a_late_row,
    url_changed_and_back,
    url_taken_away,
    url_taken_away_and_set_again,
)


@pytest.mark.slow
@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda each: each.__name__)
def test_a_run_that_dies_anywhere_loses_no_row(
    log, settings, tmp_path, monkeypatch, sequence: Callable[[Places], Settings]
):
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(retention, "_ROWS_IN_DELETE", 2)
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(remote_folder.fs, "copy_files", copy_in_halves)
    places = Places(log, settings, at_url(settings, tmp_path / "remote"), at_url(settings, tmp_path / "other"))
    line, has_died = SEQUENCES.index(sequence), True  # so that together they die at many lines
    while has_died:
        places.clear()
        last = sequence(places)
        has_died = dies(last, line)
        dies(last, (7 * line) % 200)  # and what goes on from there dies too
        places.check_all_are_here()
        move_alone(last)
        places.check_all_are_here()
        assert log.count() == 0
        assert settings.prediction_exports_dir.joinpath(DAY_FILE).exists() == (last is settings)
        line += 37
    assert line > 50


def copy_in_halves(source: str, target: str, **_: object) -> None:
    """Copy as pyarrow does between folders, so that it can be broken off in the midst of it."""
    with Path(source).open("rb") as here, Path(target).open("wb") as there:
        content = here.read()
        there.write(content[: len(content) // 2])
        there.flush()
        there.write(content[len(content) // 2 :])


def dies(settings: Settings, line: int) -> bool:
    """Move days in a process that ends before such a line of ours is run, by their number; False if it was done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a fork beside threads may wait for ever
        child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, DIED)
        return code == DIED
    try:
        sys.settrace(_ends_at(line))
        move_alone(settings)
    except BaseException:  # noqa: BLE001 a forked process must not go on with the tests
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _ends_at(line: int) -> Callable:
    files, left = {module.__file__ for module in (retention, day_file, remote_folder, atomic_write)} | {__file__}, line

    def trace(frame: FrameType, event: str, _: object) -> Callable | None:
        nonlocal left
        if frame.f_code.co_filename not in files or frame.f_code.co_name in ONLY_READ:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os._exit(DIED)
        return trace

    return trace


def move_alone(settings: Settings) -> None:
    """Move days as soon as PostgreSQL has seen that who held the lock is gone."""

    def is_moved() -> bool:
        try:
            move(settings)
        except LogError as err:
            if "under way" not in str(err):
                raise
            return False
        return True

    wait_until(is_moved)
