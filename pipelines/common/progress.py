"""What a person sees while a flow runs: a line for each stage, with rows and seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stage:
    """Collects what a stage has to say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._words: list[str] = []
        self.is_reused = False
        self._start = time.perf_counter()

    def say(self, words: str) -> None:
        """Add words to the line that closes the stage."""
        self._words.append(words)

    def note(self, words: str) -> None:
        """Print a line at once, for what takes long within the stage."""
        print(f"{'':14}  {words}, {time.perf_counter() - self._start:.1f} s", flush=True)

    def close(self) -> None:
        """Print the stage's line."""
        if self.is_reused:
            self.say("reused: nothing it depends on has changed")
        print(f"{self.name:14}  {', '.join(self._words)} ({time.perf_counter() - self._start:.1f} s)", flush=True)


_running: ContextVar[Stage | None] = ContextVar("running stage", default=None)


def note_reuse() -> None:
    """Let the line of the running stage end with the word that an earlier result was reused."""
    if stage_now := _running.get():
        stage_now.is_reused = True


@contextmanager
def stage(name: str) -> Iterator[Stage]:
    """Time a stage and print its line when it is done."""
    running = Stage(name)
    token = _running.set(running)
    try:
        yield running
    finally:
        _running.reset(token)
    running.close()
