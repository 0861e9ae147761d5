"""One stack for all files here; `make test-stack`. Where a server program is missing, its tests are skipped by name."""

import json
from collections.abc import Iterator

import pandas as pd
import pytest

from tests.stack.composed import PROJECT
from tests.stack.embedded import Embedded, run_embedded
from tests.stack.servers import Stack, demand_programs, run_stack
from tests.support.waiting import wait_until

MODEL = "logistic_regression"
ASKED = 200


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that stand on it, before `-m` chooses."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
def embedded_training(isolated_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """The stack's first training, without any server; begun first: it has the time that others wait in."""
    demand_programs()
    with run_embedded(tmp_path_factory.mktemp("embedded"), MODEL) as made:
        yield made


@pytest.fixture(scope="session")
def stack(embedded_training: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, with nothing trained yet."""
    with run_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture(scope="session")
def trained(stack: Stack) -> Stack:
    """The stack after a first training on the whole year, by the deployment."""
    stack.finish(stack.ask_for("training", model=MODEL))
    wait_until(stack.service.is_ready, 600, lambda: stack.log("service"))
    return stack


@pytest.fixture(scope="session")
def embedded(embedded_training: Embedded) -> Embedded:
    """The embedded place, when its training is over."""
    embedded_training.wait()
    return embedded_training


@pytest.fixture(scope="session")
def instances(trained: Stack) -> list[dict]:
    """Real requests: the examples that the clock has not reached yet."""
    examples = pd.read_parquet(trained.flows.features_dir / "current" / "examples" / "examples.parquet")
    coming = examples[examples["event_timestamp"] >= pd.Timestamp(PROJECT.problem.first_clock)].head(ASKED)
    columns = [*PROJECT.problem.entity_keys, *PROJECT.problem.request_columns]
    return json.loads(coming[columns].to_json(orient="records", date_format="iso"))
