"""What a person sees while a flow runs: a line for each stage, with rows and seconds.

On a terminal a bar (rich, https://rich.readthedocs.io) stands below the lines while a stage runs; elsewhere there are
the lines alone.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

Line = tuple[str, str]
Advance = Callable[[int, int], None]


class Stage:
    """Collects what a stage has to say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._words: list[str] = []
        self.is_reused = False
        self._start = time.perf_counter()
        self.advance: Advance = _nothing

    def say(self, words: str) -> None:
        """Add words to the line that closes the stage."""
        self._words.append(words)

    def note(self, words: str, done: int = 0, of: int = 0) -> None:
        """Print a line at once, for what takes long within the stage; the bar shows how many are done of how many."""
        print(f"{'':14}  {words}, {time.perf_counter() - self._start:.1f} s", flush=True)
        if of:
            self.advance(done, of)

    def close(self) -> None:
        """Print the stage's line."""
        if (closed := _closed.get()) is not None:
            closed.append((self.name, ", ".join(self._words)))
        if self.is_reused:
            self.say("reused: nothing it depends on has changed")
        print(f"{self.name:14}  {', '.join(self._words)} ({time.perf_counter() - self._start:.1f} s)", flush=True)


_closed: ContextVar[list[Line] | None] = ContextVar("lines of closed stages", default=None)
_running: ContextVar[Stage | None] = ContextVar("running stage", default=None)


@contextmanager
def collected() -> Iterator[list[Line]]:
    """Collect the lines of the stages that are closed in the block, as name and words, without what was reused."""
    lines: list[Line] = []
    token = _closed.set(lines)
    try:
        yield lines
    finally:
        _closed.reset(token)


def note_reuse() -> None:
    """Let the line of the running stage end with the word that an earlier result was reused."""
    if stage_now := _running.get():
        stage_now.is_reused = True


@contextmanager
def stage(name: str) -> Iterator[Stage]:
    """Time a stage and print its line when it is done."""
    running, is_outermost = Stage(name), _running.get() is None
    token = _running.set(running)
    try:
        with bar(name) if is_outermost else nullcontext(_nothing) as running.advance:
            yield running
    finally:
        _running.reset(token)
    running.close()


@contextmanager
def bar(name: str) -> Iterator[Advance]:
    """Show a bar and the time so far below what is printed, and take it away at the end; nothing without a terminal.

    Yields
    ------
    callable
        Takes how many are done, and of how many; before its first call the bar only shows that work goes on.
    """
    if not sys.stdout.isatty():
        yield _nothing
        return
    from rich.console import Console  # a run without a terminal does not wait for it
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:14}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(compact=True))
    console = Console(soft_wrap=True, highlight=False)  # what is printed meanwhile stays as it is
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _nothing(done: int, of: int) -> None:
    """Advance a bar that is not there."""
