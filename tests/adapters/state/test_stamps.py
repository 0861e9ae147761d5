"""What tells two states of files apart, while others write to them."""

import os
from pathlib import Path

from flightline.adapters.state.stamps import stamps


def test_a_file_that_goes_meanwhile_is_one_that_is_not_there(tmp_path: Path, monkeypatch) -> None:
    """As the journal of a SQLite file does at each commit."""
    for name in ("mlflow.db", "mlflow.db-journal"):
        (tmp_path / name).write_text("here")
    alone = [each for each in stamps(tmp_path) if not each[0].endswith("-journal")]
    stat = Path.stat

    def stat_once(file: Path, **how) -> os.stat_result:
        found = stat(file, **how)
        if file.name.endswith("-journal"):
            file.unlink()
        return found

    monkeypatch.setattr(Path, "stat", stat_once)
    assert stamps(tmp_path) == alone


def test_another_content_is_another_state(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = stamps(tmp_path)
    assert stamps(tmp_path) == before
    (tmp_path / "a").write_text("22")
    assert stamps(tmp_path) != before
