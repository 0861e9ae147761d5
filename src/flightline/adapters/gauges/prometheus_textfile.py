"""Gauges as a file for Prometheus' node exporter: what ended long ago can still be asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


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
    """

    name: str
    meaning: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


class _Gauges(Collector):
    """What was measured, as families of gauges.

    A collector rather than ``Gauge``s: those keep their values where the process keeps its own metrics,
    which Feast moves to a folder of its own when it is imported first.
    """

    def __init__(self, measured: Sequence[Measured]) -> None:
        self._measured = measured

    def collect(self) -> Iterable[GaugeMetricFamily]:
        labels: dict[str, tuple[str, ...]] = {}
        families: dict[str, GaugeMetricFamily] = {}
        for one in self._measured:
            if one.name not in families:
                labels[one.name] = tuple(one.labels)
                families[one.name] = GaugeMetricFamily(one.name, one.meaning, labels=labels[one.name])
            names = labels[one.name]
            if set(one.labels) != set(names):
                raise ValueError(
                    f"gauge {one.name} got labels {sorted(one.labels)}, expected {sorted(names)} as before"
                )
            families[one.name].add_metric([one.labels[name] for name in names], one.value)
        return families.values()


def write_gauges(file: Path, measured: Sequence[Measured]) -> Path:
    """Write gauges in Prometheus' text format; a reader sees the old file or the new one.

    Raises
    ------
    ValueError
        If values of one gauge have other label names; the old file stays.
    """
    registry = CollectorRegistry()
    registry.register(_Gauges(measured))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(file), registry)
    return file
