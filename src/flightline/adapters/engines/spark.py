"""Spark: its session, and what it needs of the machine.

https://spark.apache.org/docs/latest/configuration.html

Nothing here imports pyspark before it is asked for: the default engine needs neither it nor Java.
"""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flightline.core.errors import EngineError
from flightline.core.settings import SparkSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from flightline.adapters.engines.spark_backend import SparkBackend

SPARK, LEAST_JAVA = 4, 17
_INSTALL = "run `make spark`, which installs locks/extra-spark.txt"
_CONNECT_SECONDS = 5.0
_MORE = (
    'give it more by FLIGHTLINE_SPARK__OPTIONS=\'{"spark.driver.memory": "8g"}\' '
    "(on a cluster also spark.executor.memory); nothing was written"
)
_OPTIONS = {
    "spark.app.name": "flightline",
    # Of a full heap Java ends at once: a thread of Spark's own that is lost to it leaves the others waiting for ever.
    "spark.driver.defaultJavaOptions": "-XX:+ExitOnOutOfMemoryError",
    "spark.driver.memory": "4g",  # Spark's own gigabyte is soon full, and where all of it is one process, it is all
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # or a file with nanoseconds, as pandas writes, is refused
}


@contextmanager
def connect(settings: SparkSettings, threads: int, folder: str | Path) -> Iterator["SparkBackend"]:
    """Open Spark as an Ibis backend; its tables lie in a folder of their own, which goes with it.

    A session that this process has already, as in a notebook of a platform, is used and left open.

    Parameters
    ----------
    settings
        The master, and options of the session.
    threads
        On this machine, where the master names no number.
    folder
        Where intermediate tables may lie: every worker must reach it.

    Raises
    ------
    EngineError
        If pyspark or Java is missing or too old, the master does not answer, or Spark fails.
    """
    check_packages()
    check_java()
    check_master(settings.master)
    from pyspark.sql import SparkSession

    from flightline.adapters.engines.spark_backend import SparkBackend

    Path(folder).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="spark_", dir=folder, ignore_cleanup_errors=True) as own, explained():
        is_started_here = SparkSession.getActiveSession() is None
        started = _start(settings, threads, own)
        try:
            with _database(started.newSession(), Path(own)) as session:
                SparkBackend.register_options()
                yield SparkBackend().connect(session)
        finally:
            if is_started_here:
                started.stop()


def _start(settings: SparkSettings, threads: int, folder: str) -> "SparkSession":
    from pyspark.sql import SparkSession

    options = dict(_OPTIONS)
    if settings.master.startswith(("local", "spark://127.0.0.1:")):  # or the driver would listen by the machine's name
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        options |= {"spark.sql.shuffle.partitions": str(2 * threads), "spark.local.dir": folder}
    builder = SparkSession.builder
    if settings.master:
        builder = builder.master(settings.master.replace("[*]", f"[{threads}]"))
    for name, value in {**options, **settings.options}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


@contextmanager
def _database(session: "SparkSession", folder: Path) -> Iterator["SparkSession"]:
    """Give a session a database of its own, whose tables lie in a folder; it is dropped in the end."""
    for name, value in _OPTIONS.items():
        if name.startswith("spark.sql."):
            session.conf.set(name, value)  # in a session that was there before, too
    place = str(folder / "tables").replace("'", "\\'")
    session.sql(f"CREATE DATABASE `{folder.name}` LOCATION 'file:{place}'")
    session.sql(f"USE `{folder.name}`")
    try:
        yield session
    finally:
        session.sql(f"DROP DATABASE `{folder.name}` CASCADE")


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error of Spark into one sentence.

    Raises
    ------
    EngineError
        With the first line of what Spark says, which else comes with its query plan or a trace of Java's.
    """
    from py4j.protocol import Py4JError, Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except Exception as err:
        if (code := _ended_with(err)) is not None:
            raise EngineError(f"Spark's process ended (exit code {code}), most likely of memory: {_MORE}") from err
        if isinstance(err, Py4JJavaError):
            raise EngineError(_sentence(str(err.java_exception))) from err
        if isinstance(err, Py4JError | PySparkException):
            raise EngineError(_sentence(str(err))) from err
        raise


def _ended_with(error: Exception) -> int | None:
    """Give the exit code of the Java process that this one started; None while it runs, or where there is none."""
    from py4j.protocol import Py4JNetworkError
    from pyspark import SparkContext

    process = getattr(SparkContext._gateway, "proc", None)
    if process and isinstance(error, Py4JNetworkError | ConnectionError):
        with suppress(subprocess.TimeoutExpired):
            process.wait(_CONNECT_SECONDS)  # its sockets close before it is gone
    return process.poll() if process else None


def _sentence(text: str) -> str:
    if "No space left on device" in text or "not enough space" in text:
        return (
            "no room is left where Spark keeps what does not fit into memory: make some, or name another folder by "
            "SPARK_LOCAL_DIRS or FLIGHTLINE_SPARK__OPTIONS='{\"spark.local.dir\": ...}'; nothing was written"
        )
    if "OutOfMemoryError" in text:
        return f"Spark ran out of memory: {_MORE}"
    causes = re.findall(r"^Caused by: (.+)$", text, re.MULTILINE)
    first = next((line for line in [*causes[-1:], *text.splitlines()] if line.strip()), "no reason given")
    return f"Spark says: {first.strip().rstrip('.')}; FLIGHTLINE_ENGINE=duckdb computes the same without it"


def check_packages() -> None:
    """Demand pyspark, of the major version that this was written for.

    Raises
    ------
    EngineError
        With what to install.
    """
    try:
        found = version("pyspark")
    except PackageNotFoundError as err:
        raise EngineError(f"FLIGHTLINE_ENGINE is spark, and pyspark is not installed: {_INSTALL}") from err
    if int(found.split(".")[0]) != SPARK:
        raise EngineError(f"pyspark is {found}, expected {SPARK}.x: {_INSTALL}")


def check_java() -> None:
    """Demand a Java that this Spark runs on.

    Raises
    ------
    EngineError
        With what to install.
    """
    remedy = f"install Java {LEAST_JAVA} or later (Debian: apt-get install default-jre-headless), or set JAVA_HOME"
    home = environ.get("JAVA_HOME")  # as Spark's own script looks for it
    java = shutil.which(f"{home}/bin/java" if home else "java")
    if java is None:
        raise EngineError(
            f"Spark needs Java, and {f'JAVA_HOME={home} has none' if home else 'there is none'}: {remedy}"
        )
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    number = re.search(r'version "(?:1\.)?(\d+)', said)
    if number is None or int(number[1]) < LEAST_JAVA:
        raise EngineError(f"{java} is Java {number[1] if number else 'of no version'}: {remedy}")


def check_master(master: str) -> None:
    """Demand that a standalone master answers: Spark itself waits a minute, and says so in a trace.

    Raises
    ------
    EngineError
        If no master of a `spark://` address accepts a connection.
    """
    if not master.startswith("spark://"):
        return
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        except (OSError, ValueError) as err:
            reasons.append(f"{address} ({err})")
        else:
            return
    raise EngineError(
        f"no Spark master answers at {', '.join(reasons)}: start it, or correct FLIGHTLINE_SPARK__MASTER={master}"
    )
