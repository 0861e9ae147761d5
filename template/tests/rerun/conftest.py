"""The server that these flows run on."""

from tests.pipelines.conftest import prefect_api, server  # noqa: F401  # fixtures
