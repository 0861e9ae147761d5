"""Faults in the problem's own code: where each is planted is chosen from the declarations (`inside/survey.py`)."""

from pathlib import Path

from tests.proof.fault import Fault, do_nothing
from tests.proof.planted import PACKAGE


def empty_online_store(copy: Path) -> None:
    """Forget what is served: a key that loses its rows would be stopped for what the store still holds of it."""
    for file in (copy / ".state" / "feast").glob("online.db*"):
        file.unlink()


PROBLEM_FAULTS = (
    Fault(
        "stamped_too_early",
        "A feature table is stamped when what it tells of begins, shortly before it can be known.",
        safeguard="leak",
        package=f"{PACKAGE}.stamped_too_early",
        plant=do_nothing,
    ),
    Fault(
        "stamped_long_before",
        "A feature table is stamped when what it tells of begins, where it takes longest until it is known.",
        safeguard="leak",
        package=f"{PACKAGE}.stamped_long_before",
        plant=do_nothing,
    ),
    Fault(
        "label_at_prediction",
        "The example's own label is offered as a feature, stamped at its prediction time.",
        safeguard="leak",
        package=f"{PACKAGE}.label_at_prediction",
        plant=do_nothing,
    ),
    Fault(
        "label_known_early",
        "The example's own label is offered as a feature, of a group that says it was known by then.",
        safeguard="too good",
        package=f"{PACKAGE}.label_known_early",
        plant=empty_online_store,
    ),
    Fault(
        "key_spelled_otherwise",
        "A key is spelled otherwise in requests than in the feature table, so that nothing joins.",
        safeguard="values",
        says="no row of the fit window has a value of: ",
        package=f"{PACKAGE}.key_spelled_otherwise",
        plant=do_nothing,
    ),
    Fault(
        "constant_column",
        "A feature of the request is made so that it is the same for all of them.",
        safeguard="values",
        package=f"{PACKAGE}.constant_column",
        plant=do_nothing,
    ),
)
