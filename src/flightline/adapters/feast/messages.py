"""Feast's messages without Feast, whose package imports every store it knows: half a second for one file."""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feast.protos.feast.core.Registry_pb2 import Registry


def registry_message() -> "type[Registry]":
    """Give the class of a registry's message; Feast itself is imported by whoever needs it, later."""
    if "feast" in sys.modules:
        from feast.protos.feast.core.Registry_pb2 import Registry

        return Registry
    found = find_spec("feast")
    package = ModuleType("feast")
    package.__path__ = list(found.submodule_search_locations or ()) if found else []
    sys.modules["feast"] = package
    try:
        from feast.protos.feast.core.Registry_pb2 import Registry
    finally:
        del sys.modules["feast"]
    return Registry
