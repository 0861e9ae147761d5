"""A step is a task where a flow runs, and its plain function elsewhere."""

import pytest

from pipelines.common.step import is_in_flow, step
from tests.support.small_training_set import run_in_flow


@step(retries=1)
def fail_at_first(tries: list[bool]) -> list[bool]:
    """Fail, and say whether a flow ran; work when it is tried again."""
    tries.append(is_in_flow())
    if len(tries) == 1:
        raise OSError("busy")
    return tries


@pytest.mark.slow
def test_in_a_flow_it_is_tried_again(server: None) -> None:
    assert run_in_flow(lambda: fail_at_first([])) == [True, True]


def test_elsewhere_it_fails_at_once() -> None:
    tries: list[bool] = []
    with pytest.raises(OSError, match="busy"):
        fail_at_first(tries)
    assert tries == [False]
