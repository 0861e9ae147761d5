"""Faults that show only as time goes by, each planted into a trained copy that lives through some hours."""

from tests.proof.catalogue.fault import SIMULATE, Fault

SIMULATION_FAULTS = (
    Fault(
        "labels_before_known",
        "The label flow takes the newest examples there are, and does not look at when each label became known.",
        safeguard="early",
        says="though known only at 2013-03-29T",
        commands=(SIMULATE,),
        is_trained=True,
    ),
    Fault(
        "materialisation_with_gaps",
        "Each materialisation begins ten minutes after the last one ended, and skips what became known in between.",
        safeguard="parity",
        says="departures_3h_count: logged ",
        commands=(SIMULATE,),
        is_trained=True,
    ),
    Fault(
        "materialisation_stopped",
        "The job that materialises has died, and the service goes on with what it loaded last.",
        safeguard="lag",
        says="origin_departures was materialised more than 2 h before",
        commands=(SIMULATE,),
        is_trained=True,
    ),
)
