"""A real S3 server of the tests' own: JuiceFS's gateway, which is MinIO's, on a file system in a folder.

It checks signatures and keys, keeps what s3fs notes beside objects, and lacks buckets that nobody made.
`make test-system` and `make test-spark` install it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

import boto3
import pytest

from pipelines.common.servers.processes import Program, running
from tests.support.clones import PROJECT
from tests.support.servers.service_process import free_port

JUICEFS = PROJECT / ".tools" / "juicefs" / "bin" / "juicefs"
START_SECONDS = 120
BUCKET = "team"


@dataclass(frozen=True)
class S3Server:
    """Where it is, and what lets one in."""

    endpoint: str
    credentials: dict[str, str]


@contextmanager
def run_s3(folder: Path) -> Iterator[S3Server]:
    """Run one with an empty bucket until the block ends."""
    if not JUICEFS.exists():
        no = "JuiceFS is not installed (make .tools/juicefs/.installed)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(no)
    folder.mkdir()
    volume, port = f"sqlite3://{folder}/files.db", free_port()
    store = ["--storage", "file", "--bucket", f"{folder}/objects/", "--trash-days", "0", "--no-update"]
    run([JUICEFS, "format", *store, volume, "tests"], check=True, capture_output=True)
    quiet = ["--multi-buckets", "--object-meta", "--no-usage-report", "--no-bgjob", "--cache-dir", f"{folder}/cache"]
    gateway = Program(
        "s3",
        (str(JUICEFS), "gateway", *quiet, "--log", f"{folder}/gateway.log", volume, f"127.0.0.1:{port}"),
        port,
        path="/minio/health/live",
        environment={"MINIO_ROOT_USER": "author", "MINIO_ROOT_PASSWORD": "s3cret-of-the-tests", "HOME": str(folder)},
    )
    with running([gateway], folder / "logs", START_SECONDS):
        credentials = {"AWS_ACCESS_KEY_ID": "author", "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-tests"}
        server = S3Server(gateway.url, credentials | {"AWS_DEFAULT_REGION": "us-east-1"})
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=BUCKET)
        yield server
