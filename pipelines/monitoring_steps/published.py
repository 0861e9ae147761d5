"""What monitoring found, where it outlives the task that ran it: files in S3, gauges in CloudWatch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from flightline.adapters.gauges.embedded_metrics import embedded
from flightline.adapters.gauges.prometheus_textfile import Measured
from flightline.adapters.published_folder import publish
from flightline.core.settings import Settings

PREFIX = "flightline_"


def publish_report(settings: Settings, folder: Path, written: Iterable[Path], measured: Sequence[Measured]) -> None:
    """Copy what was written, and log the gauges as CloudWatch reads them, each if the settings say where.

    Parameters
    ----------
    folder
        Holds a folder for each window, and the newest page and decision beside them.
    written
        The files of it that people and scrapers read; nothing else is copied.
    """
    if settings.monitoring_url:
        publish(folder, written, settings.monitoring_url)
    if settings.cloudwatch_namespace:
        for one in measured:
            print(
                embedded(settings.cloudwatch_namespace, {one.name.removeprefix(PREFIX): float(one.value)}, one.labels),
                flush=True,
            )
