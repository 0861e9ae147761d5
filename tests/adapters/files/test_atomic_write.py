"""A file, a folder and a link: the former one or the new one, and nothing beside it."""

import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from flightline.adapters.files.atomic_write import atomic_write


def _write_file(path: Path, text: str) -> None:
    path.write_text(text)


def _write_folder(path: Path, text: str) -> None:
    path.mkdir()
    (path / f"{text[:3]}.txt").write_text(text)


def _read(path: Path) -> object:
    return sorted(file.name for file in path.iterdir()) if path.is_dir() else path.read_text()


@pytest.mark.parametrize("is_durable", [False, True])
@pytest.mark.parametrize(("write", "former", "new"), [
    (_write_file, "old", "new"),
    (_write_folder, ["old.txt"], ["new.txt"]),
])  # fmt: skip
def test_the_former_target_is_there_until_the_new_one_is_whole(write, former, new, is_durable: bool, tmp_path: Path):
    target = tmp_path / "made" / "target.txt"
    with atomic_write(target, is_durable=is_durable) as unfinished:
        write(unfinished, "old")
        assert not target.exists()
    with atomic_write(target, is_durable=is_durable) as unfinished:
        assert unfinished.name == target.name
        write(unfinished, "new")
        assert _read(target) == former
    assert _read(target) == new
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("write", [_write_file, _write_folder])
def test_an_error_leaves_the_former_target_alone(write, tmp_path: Path):
    target = tmp_path / "target"
    write(target, "old")
    before = _read(target)

    def break_off() -> None:
        with atomic_write(target) as unfinished:
            write(unfinished, "new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert _read(target) == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_replaced_and_what_it_pointed_at_is_not(tmp_path: Path):
    for name in ("one", "two"):
        _write_folder(tmp_path / name, name)
        with atomic_write(tmp_path / "current") as unfinished:
            unfinished.symlink_to(name, target_is_directory=True)
        assert (tmp_path / "current" / f"{name}.txt").is_file()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["current", "one", "two"]


def test_rights_are_those_it_was_written_with(tmp_path: Path):
    with atomic_write(tmp_path / "private") as unfinished:
        unfinished.touch(mode=0o600)
        unfinished.write_text("secret")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


@pytest.mark.parametrize(("write", "file"), [(_write_file, "target"), (_write_folder, "target/aaa.txt")])
def test_writers_at_once_do_not_disturb_each_other(tmp_path: Path, write: Callable[[Path, str], None], file: str):
    target, texts, failed = tmp_path / "target", ["aaa" + letter * 100_000 for letter in "abcd"], []

    def write_often(text: str) -> None:
        try:
            for _ in range(40):
                with atomic_write(target) as unfinished:
                    write(unfinished, text)
        except OSError as err:
            failed.append(err)

    threads = [threading.Thread(target=write_often, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with suppress(FileNotFoundError):
            assert (tmp_path / file).read_text() in texts
    assert not failed
    assert (tmp_path / file).read_text() in texts
    assert list(tmp_path.iterdir()) == [target]
