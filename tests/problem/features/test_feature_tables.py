"""Properties of whole feature tables on real months: unique, ordered, and the same wherever they are built."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.settings import Settings
from flightline.problem import make_project
from flightline.problem.features import FEATURE_TABLES
from flightline.problem.raw_tables import CONTRACTS


def write_features(data_dir: Path, target: Path, threads: int) -> str:
    """Build the feature tables of raw data and hash them."""
    with engine.connect(threads) as connection:
        groups = engine.build_groups(
            connection, engine.load_raw(connection, data_dir, CONTRACTS), make_project(Settings()).features
        )
        engine.write_feature_tables(groups, FEATURE_TABLES, target)
    return engine.tables_digest(target)


@pytest.fixture(scope="module")
def winter_tables(winter_dir, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("winter_tables") / "features"
    write_features(winter_dir, target, threads=2)
    return target


@pytest.mark.parametrize("name", FEATURE_TABLES)
def test_key_event_and_creation_time_are_unique(winter_tables, name):
    table = pd.read_parquet(winter_tables / f"{name}.parquet")
    keys = list(table.select_dtypes(exclude="float64"))
    assert {"event_timestamp", "created_timestamp"} < set(keys)
    assert len(table) > 0
    assert not table.duplicated(keys).any()
    assert not table[keys].isna().any(axis=None)


@pytest.mark.parametrize("name", FEATURE_TABLES)
def test_rows_are_ordered_by_key_and_time(winter_tables, name):
    table = pd.read_parquet(winter_tables / f"{name}.parquet")
    order = [*table.select_dtypes(["object", "int64"]), "event_timestamp"]
    assert table[order].equals(table[order].sort_values(order, ignore_index=True))


def test_the_tables_do_not_depend_on_threads(winter_dir, winter_tables, tmp_path):
    assert write_features(winter_dir, tmp_path / "features", threads=1) == engine.tables_digest(winter_tables)


def test_the_tables_do_not_depend_on_the_order_of_raw_rows(winter_dir, winter_tables, tmp_path):
    shuffled = tmp_path / "raw"
    random = np.random.default_rng(0)
    for file in winter_dir.rglob("*.csv"):
        header, *lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        target = shuffled / file.relative_to(winter_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(header + "".join(random.permutation(lines)), encoding="utf-8")
    assert write_features(shuffled, tmp_path / "features", threads=2) == engine.tables_digest(winter_tables)


_BUILD = """
import hashlib, sys
from pathlib import Path
import pandas as pd
from flightline.adapters import duckdb_engine as engine
from flightline.problem.raw_tables import CONTRACTS
from flightline.core.settings import Settings
from flightline.problem import make_project
from flightline.problem.config import PROBLEM
from flightline.problem.features import FEATURE_TABLES, examples
from flightline.problem.request_features import request_features

with engine.connect(2) as connection:
    raw = engine.load_raw(connection, Path(sys.argv[1]), CONTRACTS)
    groups = engine.build_groups(connection, raw, make_project(Settings()).features)
    engine.write_feature_tables(groups, FEATURE_TABLES, Path(sys.argv[2]))
    rows = engine.to_frame(examples(groups, PROBLEM)).sort_values("example_id", ignore_index=True)
text = rows.to_csv() + pd.DataFrame(request_features(rows)).to_csv()
print(engine.tables_digest(Path(sys.argv[2])), hashlib.sha256(text.encode()).hexdigest())
"""


def build_elsewhere(data_dir: Path, target: Path, repository: Path, **environment: str) -> str:
    """Build features, examples and request features in a process of its own, and hash them."""
    path = os.pathsep.join([str(repository / "src"), str(repository)])
    command = [sys.executable, "-c", _BUILD, str(data_dir), str(target)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path} | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_the_machines_time_zone_and_locale_change_nothing(winter_dir, winter_tables, tmp_path, repository):
    in_tokyo = build_elsewhere(winter_dir, tmp_path / "tokyo", repository, TZ="Asia/Tokyo", LC_ALL="C")
    in_utc = build_elsewhere(winter_dir, tmp_path / "utc", repository, TZ="UTC", LC_ALL="C.UTF-8")
    assert in_tokyo == in_utc
    assert in_tokyo.split()[0] == engine.tables_digest(winter_tables)


def test_the_digest_is_that_of_names_and_contents(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"1")
    expected = hashlib.sha256(b"a.parquet" + hashlib.sha256(b"1").digest()).hexdigest()
    assert engine.tables_digest(tmp_path) == expected
