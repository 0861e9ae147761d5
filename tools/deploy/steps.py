"""Steps that a person can follow: announced first, then each with its seconds, and an error that says what to do."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from tools.terraform.terraform import TerraformError

PAUSE_SECONDS, SHOWN_SECONDS = 3, 30


class DeployError(Exception):
    """A deployment cannot go on; the message says what was found and what to do."""


class StepError(DeployError):
    """A step failed; the message names it."""


class Steps:
    """Prints what a command will do, and each step of it as it is done.

    Parameters
    ----------
    command
        What it is called on the screen, such as "deploy staging".
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self._done = 0

    def announce(self, lines: Sequence[str]) -> None:
        """Say what will be done before anything is."""
        print(f"{self.command}: this will", flush=True)
        for line in lines:
            print(f"  - {line}", flush=True)

    def say(self, line: str) -> None:
        """Print a line of the command's own."""
        print(f"{self.command}: {line}", flush=True)

    @contextmanager
    def step(self, name: str, remedy: str) -> Iterator[Callable[[str], None]]:
        """Run a step, time it and print its line.

        Parameters
        ----------
        remedy
            What to do if it fails.

        Yields
        ------
        Callable
            Takes words for the line.

        Raises
        ------
        StepError
            If Terraform, AWS or the step itself fails.
        """
        self._done += 1
        words: list[str] = []
        started = time.monotonic()
        print(f"  {self._done:2} {name} ...", flush=True)
        try:
            yield words.append
        except (TerraformError, DeployError, ClientError, BotoCoreError, OSError) as err:
            seconds = time.monotonic() - started
            raise StepError(f"step {self._done} ({name}) failed after {seconds:.0f} s: {err}\n  do: {remedy}") from err
        print(f"     {', '.join(words) or 'done'} ({time.monotonic() - started:.1f} s)", flush=True)


def wait_until(look: Callable[[], str | None], seconds: float, what: str) -> None:
    """Look again and again until nothing is missing.

    Parameters
    ----------
    look
        Gives what is still missing, or None; raises where waiting is no use.
    what
        What is waited for, for the message.

    Raises
    ------
    DeployError
        With what was missing last, when the time is over.
    """
    started = last_shown = time.monotonic()
    missing = look()
    while missing is not None:
        now = time.monotonic()
        if now - started > seconds:
            raise DeployError(f"{what}: not so after {seconds:.0f} s: {missing}")
        if now - last_shown > SHOWN_SECONDS:
            print(f"     {now - started:.0f} s: {missing}", flush=True)
            last_shown = now
        time.sleep(PAUSE_SECONDS)
        missing = look()
