"""One stack for all files here; `make test-stack`. Where a server program is missing, its tests are skipped by name."""

from collections.abc import Iterator

import pytest

from tests.stack.servers import Stack, run_stack


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that stand on it, before `-m` chooses."""
    for item in items:
        if "stack_of_processes" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
def stack_of_processes(isolated_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, with nothing trained yet."""
    with run_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made
