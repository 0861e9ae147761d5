"""Where the project runs: what the environment may set, what is refused, and that nothing lies outside the root."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from flightline.core.settings import Settings


def test_the_environment_sets_a_field(monkeypatch, tmp_path):
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(tmp_path))
    monkeypatch.setenv("FLIGHTLINE_SERVING__PORT", "9000")
    settings = Settings()
    assert (settings.root, settings.serving.port) == (tmp_path, 9000)


def test_what_is_passed_goes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FLIGHTLINE_THREADS", "7")
    assert Settings(root=tmp_path, threads=1).threads == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"root": "relative/path"},
        {"profile": "azure"},
        {"clock": "yesterday"},
        {"threads": 0},
        {"serving": {"port": 0}},
        {"serving": {"port": 65536}},
        {"serving": {"max_instances": 0}},
        {"prediction_log": {"synchronous": "OFF"}},
        {"prediction_log": {"busy_timeout_seconds": 0}},
        {"prediction_log": {"retention_days": 0}},
        {"pages": {"mlflow_port": 0}},
        {"pages": {"start_seconds": 0}},
        {"thread": 2},
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(tmp_path, changes):
    with pytest.raises(ValidationError):
        Settings(**{"root": tmp_path, **changes})


def test_settings_cannot_be_changed_afterwards(tmp_path):
    settings = Settings(root=tmp_path)
    with pytest.raises(ValidationError, match="frozen"):
        settings.threads = 8
    with pytest.raises(ValidationError, match="frozen"):
        settings.serving.port = 1


def test_every_path_lies_inside_the_root(tmp_path):
    settings = Settings(root=tmp_path)
    values = [getattr(settings, name) for name, item in vars(Settings).items() if isinstance(item, property)]
    paths = [value for value in values if isinstance(value, Path)]
    assert len(paths) >= 5
    assert all(path.is_relative_to(tmp_path) for path in paths)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", "sqlite:///{root}/.state/mlflow/mlflow.db"), ("http://mlflow:5000", "http://mlflow:5000")],
)
def test_the_tracking_uri_is_a_local_file_unless_set(tmp_path, given, expected):
    settings = Settings(root=tmp_path, mlflow_tracking_uri=given)
    assert settings.tracking_uri == expected.format(root=tmp_path)


def test_building_settings_makes_no_folder(tmp_path):
    assert Settings(root=tmp_path).state_dir.exists() is False
    assert list(tmp_path.iterdir()) == []


URL = "postgresql://me:hunter2@db/log"


# pydantic shows the beginning of what it was given, so the password comes early.
@pytest.mark.parametrize(
    "given",
    [
        {"prediction_log": {"url": "a:hunter2@b"}, "root": "relative"},
        {"prediction_log": {"url": "a:hunter2@b", "synchronous": "OFF"}},
        {"prediction_log": "a:hunter2@b"},
        {"prediction_log": {"url": ["a:hunter2@b"]}},
    ],
    ids=str,
)
def test_a_password_is_in_no_error(given):
    with pytest.raises(ValidationError) as caught:
        Settings(**given)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_in_no_repr(tmp_path):
    settings = Settings(root=tmp_path, prediction_log={"url": URL})
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.prediction_log.url.get_secret_value() == URL


def described(model: type[BaseModel]) -> dict[str, str | None]:
    fields = {name: field.description for name, field in model.model_fields.items()}
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            fields |= described(field.annotation)
    return fields


def test_every_field_is_described():
    assert [name for name, description in described(Settings).items() if not description] == []
