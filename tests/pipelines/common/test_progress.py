"""What a stage shows: a bar on a terminal, and plain lines elsewhere."""

import os
import pty
import re
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pipelines.common.progress import stage
with stage("fit") as progress:
    progress.note("[half] of " + "it " * 40, 1, 2)
    with stage("inner") as inner:
        inner.say("as in a flow")
    progress.say("done")
    imported = "rich.progress" in sys.modules
print("imported", imported)
"""
LINES = [
    rf"{'':14}  \[half\] of {'it ' * 40}, \d\.\d s",
    r"inner           as in a flow \(\d\.\d s\)",
    r"fit             done \(\d\.\d s\)",
]


def on_terminal(kind: str) -> str:
    """Run the script on a pseudo terminal, and give all that it wrote."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": kind, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=theirs, env=environment)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 4096):
            written += part
    except OSError:  # what Linux gives when nobody writes any more
        pass
    os.close(ours)
    assert program.wait() == 0
    return written.decode().replace("\r\n", "\n")


def plain(written: str) -> list[str]:
    """Give the lines that stay: without what was cleared, escape codes and the bar."""
    lines = [line.rpartition("\x1b[2K")[2] for line in written.split("\n")]
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line) for line in lines if line and "━" not in line]


def test_a_terminal_shows_a_bar_that_goes_and_the_same_lines():
    written = on_terminal("xterm")
    assert "━" in written
    assert "\x1b[?25l" in written  # the cursor is hidden, and comes back
    assert written.index("\x1b[?25h") < written.index("fit             done")
    for line, expected in zip(plain(written), [*LINES, "imported True"], strict=True):
        assert re.fullmatch(expected, line)


@pytest.mark.parametrize("kind", ["pipe", "dumb"])
def test_elsewhere_there_are_plain_lines_alone(kind: str):
    if kind == "dumb":
        written = on_terminal("dumb")
    else:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        written = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    assert "\x1b" not in written
    expected = [*LINES, f"imported {kind == 'dumb'}"]
    for line, pattern in zip(written.splitlines(), expected, strict=True):
        assert re.fullmatch(pattern, line)
