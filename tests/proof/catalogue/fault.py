"""What a fault is, and the commands that faults and control are tried with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.proof.commands import Command
from tests.proof.copies import apply_patch

TRAIN: Command = ("-m", "pipelines.training", "--model", "hist_gradient_boosting", "--seed", "0")
TRAIN_ANOTHER: Command = ("-m", "pipelines.training", "--model", "logistic_regression", "--seed", "0")
DATA: Command = ("-m", "pipelines.commands.data")
INGEST: Command = ("-m", "pipelines.ingest", "--folder", "incoming")
STATUS: Command = ("-m", "pipelines.commands.champion", "status")
GATE_TESTS: Command = ("-m", "pytest", "-p", "no:cacheprovider", "tests/promotion/test_gate.py")
SIGNATURE_TESTS: Command = ("-m", "pytest", "-p", "no:cacheprovider", "tests/adapters/model_store/test_signatures.py")
# What somebody with the signing key could do, and nobody else.
SIGN_UNSEEN: Command = (
    "-c",
    "from tests.support.small_registry import sign_unseen; from flightline.core.settings import Settings;"
    "sign_unseen(Settings(), '1')",
)
APPLY: Command = (
    "-c",
    "from flightline.adapters.feast.feature_store import apply; "
    "from flightline.core.settings import Settings; apply(Settings())",
)
ASK: Command = ("-m", "tests.proof.inside.ask_service")
SIMULATE: Command = ("-m", "pipelines.simulation", "--from", "2013-03-28T20:00:00Z", "--to", "2013-03-29")
FILL_LOG: Command = ("-m", "tests.proof.inside.fill_log")
FILL_BROKEN: Command = (*FILL_LOG, "--shift", "broken")
FILL_LATE: Command = (*FILL_LOG, "--shift", "late")
LABELS: Command = ("-m", "pipelines.labels")
MONITOR: Command = ("-m", "pipelines.monitoring")
START_OPEN: Command = ("-m", "tests.proof.inside.ask_service", "--host", "0.0.0.0")


@dataclass(frozen=True)
class Fault:
    """Something done wrong, and what must stop it.

    Parameters
    ----------
    name
        Of its row, and of its patch if it is one.
    mistake
        What a person would have done, in one sentence.
    safeguard
        Name of the safeguard that must stop it.
    says
        Words that the safeguard must use: it has to point at the culprit.
    commands
        What is run with the fault in place, up to the first that fails.
    before
        What is run in the clean copy first; must succeed.
    plant
        Puts the fault into a copy; None applies the patch of this name.
    is_trained
        Whether it is planted into a copy in which a model was trained and promoted.
    """

    name: str
    mistake: str
    safeguard: str
    says: str | tuple[str, ...]
    commands: tuple[Command, ...] = (TRAIN,)
    before: tuple[Command, ...] = ()
    plant: Callable[[Path], None] | None = None
    is_trained: bool = False

    def put_into(self, copy: Path) -> None:
        """Plant it."""
        (self.plant or partial(apply_patch, name=self.name))(copy)
