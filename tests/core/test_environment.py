import pytest

from flightline.core.environment import read_settings
from flightline.core.errors import SettingsError
from flightline.core.project import open_project


def test_an_unknown_engine_is_named_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_ENGINE", "flink")
    for read in (read_settings, open_project):
        with pytest.raises(SettingsError, match=r"^FLIGHTLINE_ENGINE: .*'duckdb' or 'spark', got 'flink'$"):
            read()


def test_each_wrong_variable_is_named_and_none_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_THREADS", "s3cret")
    monkeypatch.setenv("FLIGHTLINE_PREDICTION_LOG__RETENTION_DAYS", "s3cret")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    said = str(caught.value)
    assert {part.split(":")[0] for part in said.split("; ")} == {
        "FLIGHTLINE_THREADS",
        "FLIGHTLINE_PREDICTION_LOG__RETENTION_DAYS",
    }
    assert "s3cret" not in said
