"""Feast's registry as a file: whether it can be read at all."""

from pathlib import Path


def is_registry(file: Path) -> bool:
    """Say whether a file can be read as a registry of Feast."""
    from feast.protos.feast.core.Registry_pb2 import Registry
    from google.protobuf.message import DecodeError

    try:
        Registry.FromString(file.read_bytes())
    except DecodeError:
        return False
    return True
