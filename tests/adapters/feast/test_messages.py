"""The message of a registry, without Feast and before it."""

import subprocess
import sys

USE = """
import sys
from flightline.adapters.feast.messages import registry_message
Registry = registry_message()
print("feast" in sys.modules)
from flightline.adapters.feast import registry
import feast
from feast.infra.registry.file import RegistryProto
print(RegistryProto is Registry is registry_message())
"""


def test_it_needs_no_feast_and_is_feasts_own() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", USE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
