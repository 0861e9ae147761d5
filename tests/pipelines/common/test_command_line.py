import logging
import sys
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flightline.core.errors import ContractError
from pipelines.common.command_line import run_command


def _report(logger: str, message: str, error: Any) -> None:
    """Report as Prefect does, but to the terminal only."""
    logging.getLogger().handle(logging.LogRecord(logger, logging.ERROR, __file__, 1, message, None, error))


def test_success_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: print("done")) == 0
    assert capsys.readouterr().out == "done\n"


def test_an_error_of_this_project_is_one_message_and_one(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        try:
            raise ContractError("x.csv:2 is broken")
        except ContractError:
            _report("prefect.task_runs", "Task run failed", sys.exc_info())
            _report("prefect.flow_runs", "Finished in state Failed('x.csv:2 is broken')", None)
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


def test_a_prefect_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert run_command(lambda: pytest.fail("nothing begins")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("StartError: no Prefect server answers at PREFECT_API_URL=http://127.0.0.1:9/api (")
