"""Does in a process of its own what may end it."""

from collections.abc import Callable
from multiprocessing import get_context


def exit_code_of(work: Callable[..., None], *args: object) -> int | None:
    """Give 0 if a module's function came to its end, and minus the signal that ended it if one did.

    The process is a fresh one: a fork would have the threads' locks, and the warnings as errors, of this one.
    """
    process = get_context("spawn").Process(target=work, args=args)
    process.start()
    process.join()
    return process.exitcode
