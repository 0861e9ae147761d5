"""Traces as a real collector receives them, and that nothing of them is loaded where none is named."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.servers.service_process import REPOSITORY, environment_of, running
from tests.support.small_service import INSTANCE, PREDICT

PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector:
    """Takes OTLP over HTTP, as Jaeger, Tempo or an OpenTelemetry collector does."""

    def __init__(self) -> None:
        received: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.received = received
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for path, body in self.received if path == "/v1/traces"]
        return [
            span for request in requests for of in request.resource_spans for s in of.scope_spans for span in s.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.mark.system
def test_a_request_is_one_trace_with_its_parts(tmp_path: Path, collector: Collector) -> None:
    with running(tmp_path, otlp_endpoint=collector.endpoint) as service:
        traceparent = f"00-{PARENT}-00f067aa0ba902b7-01"
        service.ask(PREDICT, {"instances": [INSTANCE] * 3}, traceparent=traceparent, x_request_id="traced")
        assert service.stop() == 0  # stopping sends what is left
    spans = {span.name: span for span in collector.spans() if span.trace_id.hex() == PARENT}
    assert set(spans) == {"request", "features", "predict", "log"}
    request = spans["request"]
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert {spans[part].parent_span_id for part in ("features", "predict")} == {request.span_id}
    attributes = {item.key: item.value for item in request.attributes}
    assert attributes["request.id"].string_value == "traced"
    assert attributes["http.route"].string_value == "/v1/models/{name}:predict"
    assert attributes["http.response.status_code"].int_value == 200
    assert [item.value.int_value for item in spans["predict"].attributes] == [3]


@pytest.mark.system
def test_a_collector_that_is_down_changes_no_answer(tmp_path: Path) -> None:
    with running(tmp_path, otlp_endpoint="http://127.0.0.1:9") as service:
        assert service.ask(PREDICT, {"instances": [INSTANCE]}).status == 200


@pytest.mark.system
@pytest.mark.parametrize(("endpoint", "expected"), [("", "False"), ("http://127.0.0.1:9", "True")])
def test_nothing_of_it_is_imported_where_no_collector_is_named(tmp_path: Path, endpoint: str, expected: str) -> None:
    code = (
        "import sys\n"
        "from flightline.core.settings import Settings\n"
        "from serving.app import create_app\n"
        "from tests.toy_problem import make_project\n"
        "from serving.telemetry.tracing import span, start_tracing, stop_tracing\n"
        "settings = Settings()\n"
        "create_app(make_project(settings))\n"
        "start_tracing(settings)\n"
        "with span('part', rows=1):\n"
        "    print('opentelemetry.sdk.trace' in sys.modules)\n"
        "if len(sys.argv) > 1: stop_tracing()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=environment_of(tmp_path, otlp_endpoint=endpoint),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
