"""The folder the service loads from: atomic, verified, and made for this problem."""

import json
from pathlib import Path

import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from flightline.adapters.model_store.manifest import ModelManifest
from flightline.adapters.model_store.model_file import save_model
from flightline.adapters.model_store.served_model import ServedModel, load_served_model, switch_served_model
from flightline.core.errors import ModelFileError
from flightline.core.settings import Settings
from tests.support.small_service import put_signed
from tests.toy_problem import PROBLEM, make_project

VALID = {
    "name": PROBLEM.model_name,
    "version": "1",
    "run_id": "run",
    "feature_service": PROBLEM.feature_service,
    "columns": (("a", "float64"), ("b", "str")),
}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    file = tmp_path_factory.mktemp("model") / "model.skops"
    return file, save_model(Pipeline([("scale", StandardScaler())]), file)


def put(folder: Path, model_file: tuple[Path, str], **changes: object) -> ModelManifest:
    manifest = ModelManifest(**(VALID | {"sha256": model_file[1]} | changes))
    put_signed(settings_of(folder), manifest, model_file[0], folder)
    return manifest


def settings_of(folder: Path) -> Settings:
    """Give a root beside the folder, which holds the key."""
    return Settings(root=folder.parent / f"{folder.name}-root")


def load(folder: Path) -> ServedModel | None:
    return load_served_model(folder, make_project(settings_of(folder)))


def test_an_empty_folder_serves_no_model(tmp_path: Path) -> None:
    assert load(tmp_path / "absent") is None


def test_what_was_written_is_loaded(tmp_path: Path, model_file: tuple[Path, str]) -> None:
    manifest = put(tmp_path, model_file)
    served = load(tmp_path)
    assert served is not None
    assert served.manifest == manifest
    assert isinstance(served.pipeline[0], StandardScaler)


def test_the_newest_write_is_current_until_switched_back(tmp_path: Path, model_file: tuple[Path, str]) -> None:
    put(tmp_path, model_file)
    put(tmp_path, model_file, version="2")
    assert load(tmp_path).manifest.version == "2"
    switch_served_model(tmp_path, "1")
    assert load(tmp_path).manifest.version == "1"


def test_only_whole_things_are_left(tmp_path: Path, model_file: tuple[Path, str]) -> None:
    put(tmp_path, model_file)
    put(tmp_path, model_file)
    found = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*"))
    assert found == [
        "1",
        "1/approval.intoto.json",
        "1/model.intoto.json",
        "1/model.json",
        "1/model.skops",
        "current.json",
    ]


def test_refuses_to_write_another_file_than_the_manifest_speaks_of(
    tmp_path: Path, model_file: tuple[Path, str]
) -> None:
    put(tmp_path, model_file)
    with pytest.raises(ModelFileError, match=r"has sha256 .*, expected 0000"):
        put(tmp_path, model_file, version="2", sha256="0" * 64)
    assert load(tmp_path).manifest.version == "1"
    assert not (tmp_path / "2").exists()


def test_refuses_to_switch_to_a_version_that_is_not_there(tmp_path: Path, model_file: tuple[Path, str]) -> None:
    put(tmp_path, model_file)
    for version in ("7", "../1", ""):
        with pytest.raises(ModelFileError):
            switch_served_model(tmp_path, version)
    assert load(tmp_path).manifest.version == "1"


def test_a_broken_copy_is_replaced(tmp_path: Path, model_file: tuple[Path, str]) -> None:
    put(tmp_path, model_file)
    (tmp_path / "1" / "model.skops").write_bytes(b"cut")
    with pytest.raises(ModelFileError, match="was altered"):
        load(tmp_path)
    put(tmp_path, model_file)
    assert load(tmp_path) is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_service": "other_v1"}, "expected"),
        ({"columns": (("a", "float64"), ("a", "str"))}, "takes columns twice: a"),
    ],
)
def test_refuses_a_model_made_for_something_else(
    tmp_path: Path, model_file: tuple[Path, str], changes: dict[str, object], message: str
) -> None:
    put(tmp_path, model_file, **changes)
    with pytest.raises(ModelFileError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("columns", []),
        ("columns", [["a", "category"]]),
        ("columns", "a"),
        ("sha256", "abc"),
        ("version", "2"),
        ("version", "../1"),
        ("extra", 1),
        ("run_id", None),
    ],
)
def test_refuses_a_manifest_that_is_not_one(
    tmp_path: Path, model_file: tuple[Path, str], field: str, value: object
) -> None:
    put(tmp_path, model_file)
    file = tmp_path / "1" / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(ModelFileError) as caught:
        load(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", '{"version": "../../etc"}', '{"version": 1}', '{"version": "9"}'])
def test_refuses_a_current_that_names_no_version(tmp_path: Path, model_file: tuple[Path, str], content: str) -> None:
    put(tmp_path, model_file)
    (tmp_path / "current.json").write_text(content)
    with pytest.raises(ModelFileError):
        load(tmp_path)
