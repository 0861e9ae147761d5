"""The images of tests/images, beside stand-ins for what a registry would hold; `make test-containers`."""

from pathlib import Path

import pytest

from tests.images import conftest as of_images

# Fixtures, which pytest finds by these names.
docker, service_image, flows_image = of_images.docker, of_images.service_image, of_images.flows_image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests as those that need Docker."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.docker)
