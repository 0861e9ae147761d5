"""Starting and ending processes, with a Spark that is a script. That it is a cluster is in tests/spark/."""

import json
import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from flightline.adapters.engines import spark
from flightline.core.errors import EngineError, StartError
from flightline.core.settings import Settings
from tests.support.waiting import wait_until
from tools import spark_cluster
from tools.spark_cluster import find_cluster, is_at_work, main, up

# A master serves that two workers are there; a worker waits.
FAKE = """
import http.server, sys, time
if sys.argv[1].endswith("Worker"):
    time.sleep(600)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"workers": [{"state": "ALIVE"}, {"state": "ALIVE"}, {"state": "DEAD"}],'
                         b' "activeapps": [{"name": "a training"}]}')
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--webui-port") + 1])), Page).serve_forever()
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, isolated_root: Path) -> Settings:
    """A place whose Spark is the script, without Java."""
    monkeypatch.setattr(spark_cluster, "check_packages", lambda: None)
    monkeypatch.setattr(spark_cluster, "check_java", lambda: None)
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "a spärk"))
    write_program(tmp_path / "a spärk", FAKE)
    return Settings(root=isolated_root)


def write_program(home: Path, code: str) -> None:
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "fake.py").write_text(code, encoding="utf-8")
    program = home / "bin" / "spark-class"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{home / "fake.py"}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def folder_of(settings: Settings) -> Path:
    return settings.state_dir / "spark" / "cluster"


def test_it_starts_is_found_and_ends_with_all_it_wrote(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = up(settings)
    assert list(cluster.processes) == ["master", "worker-1", "worker-2"]
    assert all(map(is_at_work, cluster.processes.values()))
    with pytest.raises(StartError, match=f"runs already, at {cluster.master}: `make spark-down` ends it"):
        up(settings)
    assert main(["down"]) == 0
    assert not any(map(is_at_work, cluster.processes.values()))
    assert not folder_of(settings).exists()
    assert main(["down"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Spark at {cluster.master} is ended",
        "a training was at work there and now waits for it: end that, too (Ctrl-C)",
        "no Spark cluster of this clone runs",
    ]


def test_what_died_is_no_hindrance(settings: Settings) -> None:
    first = up(settings)
    for process in first.processes.values():
        process.kill()
    wait_until(lambda: not any(map(is_at_work, first.processes.values())), said="they have ended")
    second = up(settings)
    assert all(map(is_at_work, second.processes.values()))
    second.end()


def test_a_process_of_another_program_is_left_alone(settings: Settings) -> None:
    """As after a restart of the machine: an id that was noted is another's."""
    cluster = up(settings)
    noted = json.loads(cluster.note.read_text(encoding="utf-8"))
    noted["processes"]["worker-1"][0] = os.getpid()
    cluster.note.write_text(json.dumps(noted), encoding="utf-8")
    assert list(find_cluster(settings).processes) == ["master", "worker-2"]
    cluster.end()


@pytest.mark.parametrize("name", ["master", "worker"])
def test_one_that_ends_is_named_with_its_last_lines_and_none_is_left(settings: Settings, name: str) -> None:
    before = set(psutil.Process().children(recursive=True))
    dying = f"import sys\nif '{name}' in sys.argv[1]: sys.exit('Could not bind')\n"
    write_program(Path(os.environ["SPARK_HOME"]), dying + FAKE.replace("ALIVE", "UNKNOWN"))
    with pytest.raises(StartError, match=rf"(?s)Spark's {name}.* ended; its last lines:\n    Could not bind"):
        up(settings)
    assert set(psutil.Process().children(recursive=True)) <= before
    assert not folder_of(settings).exists()


def test_a_port_that_the_setting_names_is_taken_or_refused(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        master = f"spark://127.0.0.1:{taken.getsockname()[1]}"
        chosen = settings.model_copy(update={"spark": settings.spark.model_copy(update={"master": master})})
        with pytest.raises(StartError, match=r"Spark.s master .*: .* with FLIGHTLINE_SPARK__MASTER="):
            up(chosen)
        assert not folder_of(settings).exists()
    cluster = up(chosen)
    cluster.end()
    assert cluster.master == master


def test_without_the_package_it_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> str:
        raise spark.PackageNotFoundError(name)

    monkeypatch.setattr(spark, "version", lacking)
    monkeypatch.setattr(spark_cluster, "check_packages", spark.check_packages)
    with pytest.raises(EngineError, match="run `make spark`"):
        up(settings)
    assert not folder_of(settings).exists()


def test_a_wrong_home_of_spark_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "/nowhere")
    with pytest.raises(StartError, match="there is no /nowhere/bin/spark-class: correct or unset SPARK_HOME"):
        up(settings)
    assert not folder_of(settings).exists()
