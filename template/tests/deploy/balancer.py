"""What the load balancer does, for tests: TLS under the public name, shares by the listener, and metrics.

It is reached as a proxy (HTTPS_PROXY), which is how a client is sent elsewhere without knowing it:
whoever asks for the public name gets here.
"""

import http.client
import random
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import boto3

from template.tests.deploy.stand_in import StandIn


class Balancer(ThreadingHTTPServer):
    """Answers for the load balancer of an environment."""

    daemon_threads = True

    def __init__(self, host: str, certificate: tuple[Path, Path], stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host, self.stand_in = host, stand_in
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.elbv2, self.cloudwatch = boto3.client("elbv2"), boto3.client("cloudwatch")
        self.names: dict[str, str] = {}
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    @property
    def proxy(self) -> str:
        """Its address as a proxy."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> "Balancer":
        """Begin to answer."""
        self._thread.start()
        return self

    def listeners(self) -> list[dict[str, Any]]:
        """Give the listeners of the one load balancer."""
        (balancer,) = self.elbv2.describe_load_balancers()["LoadBalancers"]
        return self.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]

    def choose(self) -> tuple[str, str]:
        """Give the track that answers next, by the listener's weights, and the address of one of its tasks."""
        (listener,) = self.listeners()
        groups = listener["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
        weights = {one["TargetGroupArn"].split("/")[1].rsplit("-", 1)[-1]: one["Weight"] for one in groups}
        (track,) = random.choices(list(weights), list(weights.values()))
        addresses = self.stand_in.addresses(track)
        return track, random.choice(addresses) if addresses else ""

    def count(self, track: str, status: int, seconds: float) -> None:
        """Put into CloudWatch what a load balancer would."""
        (balancer,) = self.elbv2.describe_load_balancers()["LoadBalancers"]
        groups = self.elbv2.describe_target_groups()["TargetGroups"]
        (group,) = (one["TargetGroupArn"] for one in groups if one["TargetGroupName"].endswith(f"-{track}"))
        dimensions = [
            {"Name": "LoadBalancer", "Value": balancer["LoadBalancerArn"].split("loadbalancer/")[1]},
            {"Name": "TargetGroup", "Value": group.split(":")[-1]},
        ]
        told: dict[str, float] = {"RequestCount": 1, "TargetResponseTime": seconds}
        if status >= 500:
            told["HTTPCode_Target_5XX_Count"] = 1
        data: Any = [{"MetricName": name, "Value": value, "Dimensions": dimensions} for name, value in told.items()]
        self.cloudwatch.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=data)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Balancer

    def do_CONNECT(self) -> None:
        """Open a tunnel to itself, if the public name is asked for."""
        if self.path != f"{self.server.host}:443":
            self.send_error(403, f"this is {self.server.host}")
            return
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def finish(self) -> None:
        """Close the tunnel too, which the server does not know of."""
        super().finish()
        self.connection.close()

    def do_GET(self) -> None:
        """Hand a request on to a task, as it came."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        track, address = self.server.choose()
        started = monotonic()
        status, headers, answer = 503, [], b"no task takes requests"
        if address:
            connection = http.client.HTTPConnection(address, 8000, timeout=60)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                found = connection.getresponse()
                status, headers, answer = found.status, found.getheaders(), found.read()
            except OSError as err:
                status, answer = 502, str(err).encode()
            finally:
                connection.close()
        self.server.count(track, status, monotonic() - started)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *given: object) -> None:
        """Say nothing."""
