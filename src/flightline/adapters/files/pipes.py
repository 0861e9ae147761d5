"""What a command prints into a pipe whose reader may leave: `make status | head -3`."""

import io
import os
import stat
import sys
from typing import Any


def outlive_reader() -> None:
    """Let this program go on, in silence, when who reads its output has left; without a pipe nothing changes.

    Python would raise BrokenPipeError at some later line: in the middle of a training, or as the program ends.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        buffer = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)  # PYTHONUNBUFFERED: there is no buffer
        if isinstance(raw, io.FileIO) and stat.S_ISFIFO(os.fstat(raw.fileno()).st_mode):
            stream.flush()
            pipe = io.BufferedWriter(_Pipe(raw.fileno(), "wb", closefd=False))
            by_line = stream.line_buffering or stream.write_through
            setattr(sys, name, io.TextIOWrapper(pipe, stream.encoding, stream.errors, line_buffering=by_line))


class _Pipe(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(memoryview(data))
