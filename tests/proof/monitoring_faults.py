"""Faults that monitoring must name, each planted into the log of a trained copy."""

from tests.proof.fault import FILL_BROKEN, FILL_LOG, MONITOR, STATUS, Fault
from tests.proof.service_faults import do_nothing

MONITORING_FAULTS = (
    Fault(
        "celsius_and_null",
        "From one day to the next the temperature comes in Celsius, and the air pressure not at all.",
        safeguard="data faults",
        says="the data is broken: pressure missing since 2013-03-26, temp ",
        commands=(FILL_BROKEN, MONITOR),
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
