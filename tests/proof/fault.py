"""What a fault is, and the commands that faults and control are tried with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.proof.execution.commands import Command
from tests.proof.execution.copies import apply_patch

SMALL = "tests.proof.planted.small"
TRAIN: Command = ("-m", "pipelines.training", "--model", "hist_gradient_boosting", "--seed", "0")
TRAIN_ANOTHER: Command = ("-m", "pipelines.training", "--model", "hist_gradient_boosting", "--seed", "1")
DATA: Command = ("-m", "pipelines.commands.data")
INGEST: Command = ("-m", "pipelines.ingest", "--folder", "incoming")
STATUS: Command = ("-m", "pipelines.rerun.status")
# The process has imported all libraries before (`forked.py`), of which pytest warns.
PYTEST: Command = ("-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
GATE_TESTS: Command = (*PYTEST, "tests/promotion/test_gate.py")
SIGNATURE_TESTS: Command = (*PYTEST, "tests/adapters/model_store/test_signatures.py")
SIGN_UNSEEN: Command = ("-m", "tests.proof.inside.sign_unseen")
APPLY: Command = ("-m", "tests.proof.inside.apply_declarations")
RENAME: Command = ("-m", "tests.proof.inside.renamed_categories")
ASK: Command = ("-m", "tests.proof.inside.ask_service")
START_OPEN: Command = (*ASK, "--host", "0.0.0.0")
SIMULATE: Command = ("-m", "pipelines.simulation", "--from", "{start}", "--to", "{end}")
FILL_LOG: Command = ("-m", "tests.proof.inside.fill_log")
FILL_BROKEN: Command = (*FILL_LOG, "--shift", "broken")
FILL_SHIFTED: Command = (*FILL_LOG, "--shift", "labels")
LABELS: Command = ("-m", "pipelines.labels")
PARITY: Command = ("-m", "pipelines.parity")
MONITOR: Command = ("-m", "pipelines.monitoring")


@dataclass(frozen=True)
class Fault:
    """Something done wrong, and what must stop it.

    Parameters
    ----------
    name
        Of its row, of its patch if it is one, and of what was chosen for it in `choices.json`.
    mistake
        What a person would have done, in one sentence.
    safeguard
        Name of the safeguard that must stop it.
    says
        Words that the safeguard must use: it has to point at the culprit. In braces, words that depend on the
        problem (`inside/survey.py`).
    commands
        What is run with the fault in place, up to the first that fails.
    before
        What is run in the clean copy first; must succeed.
    plant
        Puts the fault into a copy, and may give more words that the safeguard must use; None applies the patch of
        this name.
    package
        The problem package of the copy: where the fault lies, if it lies in the problem.
    is_first
        Whether no model may be registered yet.
    """

    name: str
    mistake: str
    safeguard: str
    says: str | tuple[str, ...] = ()
    commands: tuple[Command, ...] = (TRAIN,)
    before: tuple[Command, ...] = ()
    plant: Callable[[Path], Sequence[str] | None] | None = None
    package: str = SMALL
    is_first: bool = False

    def put_into(self, copy: Path) -> tuple[str, ...]:
        """Plant it, and give the words that only now are known."""
        if self.plant is None:
            apply_patch(copy, self.name)
            return ()
        return tuple(self.plant(copy) or ())


def do_nothing(copy: Path) -> None:
    """Alter nothing: the fault lies in the command, or in the problem package."""
