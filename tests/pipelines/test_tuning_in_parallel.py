"""A search finds the same however its fits are spread, and whatever ends in between. On Dask: tests/dask/."""

from functools import wraps
from itertools import count

import pytest

from pipelines import tuning
from tests.support.models.small_search import KILLED, TRIALS, found, lose_a_worker, trials_of
from tests.support.small_training_set import write_training_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def training_set(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("training set") / "a sêt", "classification")


@pytest.fixture(scope="module")
def expected(training_set, tmp_path_factory):
    """What one process finds in one call."""
    result = found(tmp_path_factory.mktemp("one process"), training_set, threads=1)
    states = {state.name for _, _, state in result[1:]}
    assert states == {"COMPLETE", "PRUNED"}, "the search gives up some trials"
    assert len(result) == TRIALS + 1
    return result


def test_two_processes_find_what_one_finds(training_set, expected, tmp_path):
    assert found(tmp_path, training_set, threads=2) == expected


def test_two_calls_find_what_one_finds(training_set, expected, tmp_path):
    assert found(tmp_path, training_set, 8, 4, threads=1) == expected


def test_a_killed_process_changes_nothing(training_set, expected, tmp_path, monkeypatch):
    (training_set.folder / KILLED).unlink(missing_ok=True)
    with monkeypatch.context() as patched:
        lose_a_worker(patched)
        lost = found(tmp_path, training_set, threads=2)
    assert (training_set.folder / KILLED).exists()
    assert lost == expected


def test_a_call_that_was_ended_is_gone_on_with_as_if_it_had_not_been(training_set, expected, tmp_path, monkeypatch):
    fit, fits = tuning.fit_fold, count()

    @wraps(fit)
    def ended(*arguments):
        if next(fits) == 17:  # in the second four
            raise KeyboardInterrupt
        return fit(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tuning, "fit_fold", ended)
        with pytest.raises(KeyboardInterrupt):
            found(tmp_path, training_set, threads=1)
    begun = trials_of(tmp_path, training_set)
    assert begun == expected[1:][: len(begun)]
    assert 0 < len(begun) < TRIALS
    assert found(tmp_path, training_set, TRIALS - len(begun), threads=1) == expected
