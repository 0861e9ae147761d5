"""Gauges as Prometheus reads them."""

import os
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flightline.adapters.gauges.prometheus_textfile import Measured, write_gauges

pytestmark = pytest.mark.slow


def test_what_is_written_is_what_prometheus_reads(tmp_path):
    file = write_gauges(
        tmp_path / "new" / "gauges.prom",
        [
            Measured("monitor_loss", "Loss.", 0.5, {"bound": "value"}),
            Measured("monitor_loss", "Loss.", 0.4, {"bound": "lower"}),
            Measured("monitor_rows", "Rows.", 7),
        ],
    )
    read = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }
    assert read == {("monitor_loss", ("value",)): 0.5, ("monitor_loss", ("lower",)): 0.4, ("monitor_rows", ()): 7.0}


def test_writing_again_replaces_the_file(tmp_path):
    for value in (1, 2):
        file = write_gauges(tmp_path / "gauges.prom", [Measured("monitor_rows", "Rows.", value)])
    assert "monitor_rows 2.0" in file.read_text()
    assert [one.name for one in tmp_path.iterdir()] == ["gauges.prom"]


def test_labels_are_told_apart_by_name_not_by_place(tmp_path):
    values = [
        Measured("monitor_loss", "Loss.", 0.5, {"bound": "value", "model": "a"}),
        Measured("monitor_loss", "Loss.", 0.4, {"model": "b", "bound": "lower"}),
    ]
    file = write_gauges(tmp_path / "gauges.prom", values)
    assert 'monitor_loss{bound="lower",model="b"} 0.4' in file.read_text()


def test_other_label_names_are_refused_and_the_old_file_stays(tmp_path):
    file = write_gauges(tmp_path / "gauges.prom", [Measured("monitor_rows", "Rows.", 7)])
    values = [Measured("monitor_rows", "Rows.", 1), Measured("monitor_rows", "Rows.", 2, {"bound": "lower"})]
    with pytest.raises(ValueError, match=r"monitor_rows got labels \['bound'\], expected \[\]"):
        write_gauges(file, values)
    assert "monitor_rows 7.0" in file.read_text()
    assert [one.name for one in tmp_path.iterdir()] == ["gauges.prom"]


AFTER_FEAST = (
    "import os, pathlib, sys\n"
    "import feast.metrics\n"
    "from flightline.adapters.gauges.prometheus_textfile import Measured, write_gauges\n"
    "os.environ.pop('PROMETHEUS_MULTIPROC_DIR')\n"
    "os.environ.pop('PROMETHEUS_MULTIPROCESS_DIR')\n"
    "write_gauges(pathlib.Path(sys.argv[1]), [Measured('monitor_rows', 'Rows.', 7)])\n"
)


def test_they_are_none_of_the_process_own_metrics(tmp_path):
    """Feast, imported first, makes prometheus_client keep values in a folder, which may be gone."""
    file = tmp_path / "gauges.prom"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROMETHEUS_MULTI")}
    told = subprocess.run(
        [sys.executable, "-c", AFTER_FEAST, str(file)], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert "monitor_rows 7.0" in file.read_text()
