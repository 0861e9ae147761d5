"""Jobs over processes: results stay, a run that ended goes on, and a process that is killed is told of."""

import os
from pathlib import Path

import pytest

from flightline.core.errors import TrainingError
from pipelines.common.progress import Stage
from pipelines.retraining.parallel import run_all


def write(file: Path, text: str) -> None:
    if text == "killed":
        os._exit(9)
    file.write_text(text)


def jobs(folder: Path, *texts: str):
    return {text: (folder / text, (folder / text, text)) for text in texts}


def test_each_job_leaves_its_result_and_says_how_far_it_is(tmp_path, capsys):
    run_all(jobs(tmp_path, "a", "b", "c"), write, 2, Stage("fit"))
    assert [(tmp_path / name).read_text() for name in "abc"] == ["a", "b", "c"]
    assert "3 of 3" in capsys.readouterr().out


def test_what_is_there_is_not_made_again(tmp_path, capsys):
    (tmp_path / "a").write_text("of before")
    run_all(jobs(tmp_path, "a", "b"), write, 1, Stage("fit"))
    assert (tmp_path / "a").read_text() == "of before"
    assert "1 of 2 to do in 1 process(es) (1 kept from before)" in capsys.readouterr().out


def test_a_killed_process_is_told_of_and_the_next_run_goes_on(tmp_path):
    with pytest.raises(TrainingError, match="ended without a result, as it does when memory runs out"):
        run_all(jobs(tmp_path, "killed"), write, 2, Stage("fit"))
    assert not (tmp_path / "killed").exists()
