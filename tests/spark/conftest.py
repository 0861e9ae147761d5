"""One session of Spark for all of these tests: a JVM takes seconds to start. They run by `make test-spark` alone."""

from collections.abc import Iterator
from pathlib import Path

import ibis
import pytest

from flightline.adapters.engines import open_engine
from flightline.core.settings import Settings

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
