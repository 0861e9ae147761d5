"""One cloud for all files here, which run in the order of their names, in one process; `make test-infra`."""

from collections.abc import Iterator

import pytest

from template.tests.infra.emulated.cloud import Cloud, emulated

collect_ignore = ["emulated"]  # two of them run in moto's environment, not in this one


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The emulated AWS with account and staging applied."""
    with emulated(tmp_path_factory.mktemp("cloud")) as made:
        made.apply()
        yield made
