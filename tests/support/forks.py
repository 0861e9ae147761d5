"""Does in a fork of this process what may end it."""

from collections.abc import Callable
from multiprocessing import get_context


def exit_code_of(work: Callable[[], None]) -> int | None:
    """Give 0 if the work came to its end, and minus the signal that ended it if one did."""
    process = get_context("fork").Process(target=work)
    process.start()
    process.join()
    return process.exitcode
