"""What makes a training another one than the last: anything that it follows from, and anything that it made."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flightline.adapters.dvc.data_version import read_data_version
from flightline.core.settings import Settings
from pipelines.rerun.digests import inputs_digest
from pipelines.rerun.last_training import made_digest
from tests.support.clones import make_toy_clone

ASKED = ("--model", "logistic_regression")
PROJECT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings: Settings = make_toy_clone(tmp_path).settings
    (settings.root / "parameters.json").write_text("{}")
    return settings


@pytest.fixture
def made(settings: Settings) -> Any:
    """Stand in for a training's result: the folders that it names, with a file in each, and the files of the stores."""
    state = settings.state_dir
    folders = {name: state / name / "0" for name in ("features", "training_sets", "models", "evaluations")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "file").write_text("content")
    (state / "features" / "current").symlink_to("0")
    (state / "feast").mkdir()
    (state / "feast" / "registry.db").write_bytes(b"registry")
    with closing(sqlite3.connect(state / "feast" / "online.db")) as database:
        database.execute("CREATE TABLE view (value)")
        database.execute("INSERT INTO view VALUES (1)")
        database.commit()
    return SimpleNamespace(
        training_set=SimpleNamespace(folder=folders["training_sets"]),
        model=SimpleNamespace(file=folders["models"] / "file"),
        evaluation=SimpleNamespace(folder=folders["evaluations"]),
    )


def append(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def write_other_version(settings: Settings) -> None:
    pointer, md5 = settings.root / "data.dvc", read_data_version(settings).md5
    pointer.write_text(pointer.read_text().replace(md5, f"{md5[1:-4]}0.dir"))


INPUTS: dict[str, Callable[[Settings], object]] = {
    "a declaration": lambda settings: append(next(settings.feature_repo.glob("*.py"))),
    "a new declaration": lambda settings: (settings.feature_repo / "more.py").touch(),
    "the stores": lambda settings: append(settings.feature_repo / "feature_store.yaml"),
    "the data version": write_other_version,
    "the file of parameters": lambda settings: (settings.root / "parameters.json").write_text('{"model": "x"}'),
    "the lock": lambda settings: (settings.root / "locks").mkdir() or (settings.root / "locks" / "all.txt").touch(),
}


@pytest.mark.parametrize("change", INPUTS)
def test_what_a_training_follows_from(settings, change):
    asked = (*ASKED, "--parameters", str(settings.root / "parameters.json"))
    before = inputs_digest(settings, asked)
    assert inputs_digest(settings, asked) == before
    INPUTS[change](settings)
    assert inputs_digest(settings, asked) != before


def test_options_settings_and_source_are_followed_from_too(settings, tmp_path, monkeypatch):
    before = inputs_digest(settings, ASKED)
    assert inputs_digest(settings, (*ASKED, "--seed", "1")) != before
    assert inputs_digest(settings.model_copy(update={"threads": 7}), ASKED) != before
    shutil.copytree(PROJECT / "serving", tmp_path / "code" / "serving")
    append(tmp_path / "code" / "serving" / "dry_run.py")
    monkeypatch.setattr("pipelines.rerun.digests.PACKAGES", ("flightline", "pipelines", "its_service"))
    (tmp_path / "code" / "serving").rename(tmp_path / "code" / "its_service")
    monkeypatch.syspath_prepend(tmp_path / "code")
    assert inputs_digest(settings, ASKED) != before


def write_online(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.state_dir / "feast" / "online.db")) as database:
        database.execute("UPDATE view SET value = 2")
        database.commit()


def hold_a_journal(settings: Settings) -> None:
    """Leave a row where one lies after a writer was killed: in the journal alone."""
    file = settings.state_dir / "feast" / "online.db"
    left = [file, file.with_name(f"{file.name}-wal")]
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("INSERT INTO view VALUES (2)")
        database.commit()
        contents = [each.read_bytes() for each in left]
    for each, content in zip(left, contents, strict=True):
        each.write_bytes(content)


def point_elsewhere(settings: Settings) -> None:
    current = settings.features_dir / "current"
    shutil.copytree(current.resolve(), settings.features_dir / "1")
    current.unlink()
    current.symlink_to("1")


def rewrite(folder: str) -> Callable[[Settings], object]:
    def change(settings: Settings) -> None:
        file = settings.state_dir / folder / "0" / "file"
        (file.parent / "other").write_bytes(file.read_bytes())
        (file.parent / "other").replace(file)

    return change


MADE: dict[str, Callable[[Settings], object]] = {
    "a value in the online store": write_online,
    "a value in its journal": hold_a_journal,
    "the registry of features": lambda settings: append(settings.state_dir / "feast" / "registry.db"),
    "which tables are the current ones": point_elsewhere,
    **{folder: rewrite(folder) for folder in ("features", "training_sets", "models", "evaluations")},
}


@pytest.mark.parametrize("change", MADE)
def test_what_a_training_made(settings, made, change):
    before = made_digest(settings, made)
    assert made_digest(settings, made) == before is not None
    MADE[change](settings)
    assert made_digest(settings, made) != before


def test_stores_elsewhere_cannot_be_looked_at(settings, made):
    file = settings.feature_repo / "feature_store.yaml"
    file.write_text(file.read_text().replace("type: sqlite", "type: redis"))
    assert made_digest(settings, made) is None
