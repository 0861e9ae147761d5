import logging

import pytest

from flightline.errors import ContractError
from pipelines.command import run_command


def test_success_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: print("done")) == 0
    assert capsys.readouterr().out == "done\n"


def test_an_error_of_this_project_is_one_message_and_one(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        try:
            raise ContractError("x.csv:2 is broken")
        except ContractError:
            logging.getLogger("prefect.task_runs").exception("Task run failed")
            logging.getLogger("prefect.flow_runs").error("Finished in state Failed('x.csv:2 is broken')")
            raise

    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        assert run_command(fail) == 1
    finally:
        logging.getLogger().removeHandler(handler)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "ContractError: x.csv:2 is broken\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0)


def test_the_filter_does_not_stay() -> None:
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        run_command(lambda: None)
        assert handler.filters == []
    finally:
        logging.getLogger().removeHandler(handler)
