"""What Spark needs of the machine: each lack is one sentence with what to do. That it computes is in tests/spark/."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flightline.adapters.engines import open_engine, spark
from flightline.core.errors import EngineError
from flightline.core.settings import Settings


def java(folder: Path, version: str) -> Path:
    """Write a Java that only tells its version."""
    file = folder / "bin" / "java"
    file.parent.mkdir()
    file.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    file.chmod(0o755)
    return folder


def lacking(name: str) -> str:
    raise spark.PackageNotFoundError(name)


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(spark, "version", lacking)
    with pytest.raises(EngineError, match=r"pyspark is not installed: run `make spark`"):
        open_engine(Settings(root=tmp_path, engine="spark")).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_another_version_of_spark_is_refused(monkeypatch):
    monkeypatch.setattr(spark, "version", lambda name: "3.5.7")
    with pytest.raises(EngineError, match=r"pyspark is 3\.5\.7, expected 4\.x"):
        spark.check_packages()


@pytest.mark.parametrize(("version", "major"), [("1.8.0_402", "8"), ("11.0.25", "11")])
def test_an_old_java_is_refused(monkeypatch, tmp_path, version, major):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    with pytest.raises(EngineError, match=f"is Java {major}: install Java 17 or later"):
        spark.check_java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_java_that_fits_is_taken(monkeypatch, tmp_path, version):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    spark.check_java()


def test_without_java_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"needs Java, and there is none: install .*default-jre-headless"):
        spark.check_java()


def test_a_java_home_without_java_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineError, match=f"JAVA_HOME={tmp_path} has none"):
        spark.check_java()


@pytest.mark.parametrize(
    "master", ["spark://127.0.0.1:1", "spark://127.0.0.1:1,127.0.0.1:2", "spark://nowhere.invalid"]
)
def test_a_master_that_does_not_answer_is_named(master):
    with pytest.raises(EngineError, match=f"no Spark master answers at .*FLIGHTLINE_SPARK__MASTER={master}"):
        spark.check_master(master)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "Job aborted.\nCaused by: java.io.IOException: No space left on device\n\tat x",
            "no room is left where Spark",
        ),
        ("java.lang.OutOfMemoryError: Java heap space\n\tat x", "Spark ran out of memory: .*spark.driver.memory"),
        ("Job aborted.\n\tat a\nCaused by: java.lang.Wrong: a cell\n\tat b", "Spark says: java.lang.Wrong: a cell; "),
        ("[UNRESOLVED_COLUMN] no such column.\n'Project [x]", r"Spark says: \[UNRESOLVED_COLUMN\] no such column; "),
    ],
)
def test_what_spark_says_becomes_one_sentence(said, sentence):
    assert re.match(sentence, spark._sentence(said))
    assert "\n" not in spark._sentence(said)


def test_the_default_engine_imports_neither_spark_nor_its_adapter(tmp_path):
    code = (
        "import sys; from flightline.adapters.engines import open_engine\n"
        "from flightline.core.settings import Settings\n"
        f"with open_engine(Settings(root={str(tmp_path)!r})): pass\n"
        "print([name for name in sys.modules if name.startswith(('pyspark', 'py4j', 'flightline.adapters.engines.s'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
