"""A command whose output is piped to one that ends first, as in `make status | head`."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from pathlib import Path
from flightline.adapters.files.pipes import outlive_reader
outlive_reader()
for number in range(3000):
    print(number, "x" * 100)
    print(number, "x" * 100, file=sys.stderr)
Path(sys.argv[1]).write_text("all of it was done")
"""


@pytest.mark.parametrize("options", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_a_reader_that_leaves_does_not_end_the_work(tmp_path: Path, options: tuple[str, ...]) -> None:
    command = [sys.executable, *options, "-c", CODE, str(tmp_path / "done")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0 %s\n" % (b"x" * 100)
        process.stdout.close()
        assert process.wait() == 0
    assert (tmp_path / "done").read_text() == "all of it was done"


def test_a_reader_that_stays_gets_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "done")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [len(text.splitlines()) for text in (done.stdout, done.stderr)] == [3000, 3000]
