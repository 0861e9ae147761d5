"""Servers started beside each other: what comes up, what is said when one does not, and that nothing is left."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flightline.adapters.ports import check_port, free_port
from flightline.core.errors import StartError
from pipelines.common.servers.processes import Program, Running, answers, ending_on_signals, running
from tests.support.waiting import wait_until

LONG = 600
SERVE = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
# Starts a server as a child, as MLflow does, and does not pass on what it is told.
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SERVE!r}, sys.argv[1]])"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


def program(code: str = SERVE, port: int | None = None, name: str = "Server", path: str = "/") -> Program:
    return Program(name, (sys.executable, "-c", code, str(port)), port, "FLIGHTLINE_PAGES__PORT", path)


def group_is_empty(one: Running) -> bool:
    try:
        os.killpg(one.process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_programs_answer_inside_the_block_and_are_gone_after_it(tmp_path: Path) -> None:
    programs = [program(port=free_port(), name="One"), program(PARENT, free_port(), name="Two")]
    with running(programs, tmp_path, LONG) as started:
        assert all(answers(one.url) for one in programs)
    assert [group_is_empty(one) for one in started] == [True, True]
    assert not any(answers(one.url) for one in programs)


def test_they_are_gone_after_an_error_too(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="in the block"),
        running([program(port=free_port())], tmp_path, LONG) as started,
    ):
        raise ValueError("in the block")
    assert group_is_empty(started[0])


def test_one_that_does_not_listen_to_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.common.servers.processes.STOP_SECONDS", 1.0)
    with running([program(DEAF)], tmp_path, LONG) as started:
        wait_until(lambda: "deaf" in started[0].log.read_text(), said=started[0].log.read_text)
    assert started[0].process.returncode == -signal.SIGKILL


def test_a_taken_port_is_named_with_the_setting_that_moves_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(StartError, match=rf"Server cannot listen on 127.0.0.1:{port}.*FLIGHTLINE_PAGES__PORT="),
            running([program(port=port)], tmp_path, LONG),
        ):
            pass
    assert list(tmp_path.iterdir()) == []  # nothing was started
    check_port("Server", "127.0.0.1", port, "FLIGHTLINE_PAGES__PORT")  # free again


def test_a_program_that_dies_is_reported_and_the_others_stop(tmp_path: Path) -> None:
    other = program(port=free_port(), name="Other")
    dying = program("import sys; print('cannot open the store'); sys.exit(3)", free_port(), name="Dying")
    with (
        pytest.raises(StartError, match=r"(?s)Dying ended with exit code 3.*cannot open the store"),
        running([other, dying], tmp_path, LONG),
    ):
        pass
    assert not answers(other.url)


def test_one_that_answers_with_an_error_does_not_count_as_up(tmp_path: Path) -> None:
    with (
        pytest.raises(StartError, match=r"no answer within 2 s: Server \(log: "),
        running([program(port=free_port(), path="/not-there")], tmp_path, 2),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_block_and_a_second_one_disturbs_nothing(number: signal.Signals) -> None:
    done = []

    def interrupted_twice() -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            done.append("cleaned up")

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        interrupted_twice()
    assert done == ["cleaned up"]
    assert signal.getsignal(number) == before


def test_a_proxy_in_the_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with running([program(port=free_port())], tmp_path, LONG) as started:
        assert started[0].is_up


def test_no_program_outlives_a_parent_that_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import sys, time\n"
        "from pathlib import Path\nfrom pipelines.common.servers.processes import ending_on_signals, running\n"
        "from tests.pipelines.common.servers.test_processes import program\n"
        f"with ending_on_signals(), running([program(port={port})], Path({str(tmp_path)!r}), {LONG}):\n"
        "    print('up', flush=True)\n    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[4], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=LONG)
    assert not answers(f"http://127.0.0.1:{port}")
