"""Faults that monitoring must name, each planted into the log of a trained copy."""

from tests.proof.catalogue.fault import FILL_BROKEN, FILL_LATE, FILL_LOG, LABELS, MONITOR, STATUS, Fault
from tests.proof.catalogue.service_faults import do_nothing

MONITORING_FAULTS = (
    Fault(
        "four_columns_broken",
        "One night temperatures turn to Celsius, wind gauges stick, a carrier is renamed, the pressure goes null.",
        safeguard="data faults",
        says=(
            "data fault, pressure missing from 2013-03-26",
            "data fault, wind_speed stuck from 2013-03-26",
            "data fault, carrier unseen from 2013-03-26",
            "data fault, temp ",
        ),
        commands=(FILL_BROKEN, MONITOR),
        plant=do_nothing,
        is_trained=True,
    ),
    Fault(
        "late_twice_as_often",
        "Flights of the same features come late twice as often as before.",
        safeguard="labelled",
        says="calibration BREACHED: labels are +",
        commands=(FILL_LATE, LABELS, MONITOR),
        plant=do_nothing,
        is_trained=True,
    ),
    Fault(
        "monitor_switched_off",
        "Nothing runs the monitor any more.",
        safeguard="overdue",
        says="it never ran; run `make monitor`",
        commands=(FILL_LOG, STATUS),
        plant=do_nothing,
        is_trained=True,
    ),
)
