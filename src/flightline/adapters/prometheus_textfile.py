"""Gauges as a file for Prometheus' node exporter: what ended long ago can still be asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile


@dataclass(frozen=True)
class Measured:
    """One value of a gauge.

    Parameters
    ----------
    name
        Of the gauge; values of one gauge have the same label names.
    meaning
        Its help text.
    value
        NaN is written as such.
    labels
        Prometheus labels.
    """

    name: str
    meaning: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def write_gauges(file: Path, measured: Sequence[Measured]) -> Path:
    """Write gauges in Prometheus' text format; a reader sees the old file or the new one."""
    registry, gauges = CollectorRegistry(), {}
    for one in measured:
        if one.name not in gauges:
            gauges[one.name] = Gauge(one.name, one.meaning, tuple(one.labels), registry=registry)
        gauge = gauges[one.name].labels(**one.labels) if one.labels else gauges[one.name]
        gauge.set(one.value)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(file), registry)
    return file
