"""Faults that monitoring must name, each planted into the log of a trained copy."""

from tests.proof.fault import FILL_BROKEN, FILL_LOG, FILL_SHIFTED, LABELS, MONITOR, STATUS, Fault, do_nothing

MONITORING_FAULTS = (
    Fault(
        "columns_broken",
        "One night a number changes its unit, another sticks, a third goes null, and a category is renamed.",
        safeguard="data anomalies",
        commands=(FILL_BROKEN, MONITOR),
        plant=do_nothing,
    ),
    Fault(
        "labels_shifted",
        "At the same features, labels are higher than they ever were.",
        safeguard="labelled",
        says="{shifted}",
        commands=(FILL_SHIFTED, LABELS, MONITOR),
        plant=do_nothing,
    ),
    Fault(
        "monitor_switched_off",
        "Nothing runs the monitor any more.",
        safeguard="overdue",
        says="it never ran; run `make monitor`",
        commands=(FILL_LOG, STATUS),
        plant=do_nothing,
    ),
)
