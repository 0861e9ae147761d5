"""The service's image, run as docs/operations.md says: read-only, without capabilities, as an ordinary user."""

import http.client
import json
import threading

from flightline.core.settings import Settings
from tests.images.conftest import ROOT
from tests.images.containers import HARDENED, KEY, KEYS, STATE, container, volume
from tests.support.small_service import INSTANCE, PREDICT, STATUS
from tests.support.waiting import wait_until
from tools.images.build import SERVICE_WITH_MODEL, build_with_model


def mounted(volume: str) -> tuple[str, ...]:
    return ("--volume", f"{volume}:{STATE}", *KEYS)


def predicted(service) -> list[dict]:
    answer = service.ask(PREDICT, {"instances": [INSTANCE]})
    assert answer.status == 200, answer.body
    return answer.json()["predictions"]


def test_it_gets_ready_and_predicts(docker, service_image, stored):
    with container(docker, service_image, *mounted(stored)) as running:
        running.wait_until_ready()
        assert predicted(running.service)[0]["sold_out"] is True
        wait_until(lambda: running.inspect("{{.State.Health.Status}}") == "healthy", said=running.logs)


def test_it_has_no_rights_and_writes_nowhere_else(docker, service_image, stored):
    with container(docker, service_image, *mounted(stored)) as running:
        running.wait_until_ready()
        status = dict(line.split(":", 1) for line in running.execute("cat", "/proc/1/status").stdout.splitlines())
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Uid"].split()[0] == "10001"
        for place in ("/srv/flightline/serving", "/opt/venv", "/usr/bin", "/etc", "/"):
            assert running.execute("touch", f"{place}/new").returncode != 0, place


def test_without_a_key_it_refuses_to_start(docker, service_image):
    with container(docker, service_image) as running:
        wait_until(lambda: running.inspect("{{.State.Status}}") == "exited", said=running.logs)
        assert running.inspect("{{.State.ExitCode}}") == "1"
        assert "no valid API key" in running.logs()


def test_a_caller_without_the_key_is_refused(docker, service_image, stored):
    with container(docker, service_image, *mounted(stored)) as running:
        running.wait_until_ready()
        running.service.key = None
        assert running.service.ask(STATUS).status == 401


def test_sigterm_lets_a_request_under_way_finish(docker, service_image, stored):
    with container(docker, service_image, *mounted(stored)) as running:
        running.wait_until_ready()
        body = json.dumps({"instances": [INSTANCE]}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", running.service.port, timeout=120)
        connection.putrequest("POST", PREDICT)
        for name, value in {"x-api-key": KEY, "content-type": "application/json", "content-length": len(body)}.items():
            connection.putheader(name, str(value))
        connection.endheaders(body[:20])
        stopping = threading.Thread(target=docker.run, args=("stop", "--time", "60", running.name))
        stopping.start()
        wait_until(lambda: "Shutting down" in running.logs(), said=running.logs)
        connection.send(body[20:])
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert len(json.loads(answer.read())["predictions"]) == 1
        stopping.join(timeout=120)
        assert running.inspect("{{.State.ExitCode}}") == "0"


def test_killed_it_comes_back_with_all_it_logged(docker, service_image, stored):
    with container(docker, service_image, *mounted(stored)) as running:
        running.wait_until_ready()
        (answered,) = predicted(running.service)
        docker.run("kill", running.name)
        docker.run("start", running.name)
        running.wait_until_ready()
        assert len(predicted(running.service)) == 1
        count = (
            "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("
            "'SELECT count(*) FROM predictions WHERE prediction_id = ?', sys.argv[2:]).fetchone()[0])"
        )
        file = f"{STATE}/prediction_log/predictions.db"
        assert running.execute("python", "-c", count, file, answered["prediction_id"]).stdout.strip() == "1"


def test_with_a_model_inside_it_needs_no_other(docker, service_image, stored_root):
    build_with_model(docker, stored_root / ".state" / "serving", Settings(root=stored_root))
    with volume(docker, service_image, stored_root, "clock.json", "feast") as without_model:
        with container(docker, service_image, *mounted(without_model)) as running:
            wait_until(lambda: running.service.ask("/health/ready").status == 503, said=running.logs)
            assert "not ready" in running.logs()
        with container(docker, SERVICE_WITH_MODEL.name, *mounted(without_model)) as running:
            running.wait_until_ready()
            assert predicted(running.service)[0]["sold_out"] is True


def test_the_hardening_is_what_the_docs_say():
    told = (ROOT / "docs" / "operations.md").read_text()
    assert [option for option in HARDENED if option.startswith("--") and option not in told] == []
