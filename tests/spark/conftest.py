"""One session of Spark for all of these tests: a JVM takes seconds to start. They run by `make test-spark` alone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import ibis
import pytest

from flightline.adapters.engines import open_engine
from flightline.core.settings import Settings
from tests.support.servers.s3_server import BUCKET, run_s3
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
OPTIONS = {
    "spark.driver.memory": "1g",
    # Small tables: what a large one gains by compiled stages and many parts, these lose.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
}


def on_spark(root: Path) -> Settings:
    """Give the settings of a place whose engine is Spark on this machine."""
    return Settings(root=root, engine="spark", threads=1, spark={"options": OPTIONS})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ibis.BaseBackend]:
    """Spark as an engine, for the whole run; what opens it again meanwhile shares the session."""
    pytest.importorskip("pyspark", reason="needs the package: make test-spark installs it")
    with open_engine(on_spark(tmp_path_factory.mktemp("spärk place"))) as backend:
        yield backend


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Path]:
    """A bucket of a real S3 server as a folder, as s3fs mounts it for all processes of a machine."""
    if not (program := shutil.which("s3fs")):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("there is no s3fs (Debian: s3fs)")
    folder, keys = tmp_path / "bückets" / BUCKET, tmp_path / "keys"
    folder.mkdir(parents=True)
    with run_s3(tmp_path / "s3") as server:
        given = server.credentials
        keys.write_text(f"{given['AWS_ACCESS_KEY_ID']}:{given['AWS_SECRET_ACCESS_KEY']}", encoding="utf-8")
        keys.chmod(0o600)
        options = f"passwd_file={keys},url={server.endpoint},endpoint=us-east-1,use_path_request_style"
        mounted = subprocess.Popen([program, BUCKET, str(folder), "-f", "-o", options])
        try:
            wait_until(lambda: os.path.ismount(folder), said="s3fs has mounted the bucket")
            yield folder
        finally:
            mounted.terminate()  # it unmounts
            mounted.wait()
