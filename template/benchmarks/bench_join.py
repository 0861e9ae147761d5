"""How long a point-in-time join takes: bare DuckDB, through Feast with our store, and Feast's own store.

    python -m template.benchmarks.bench_join [--rows 336776] [--views 5] [--with-feast-duckdb]

Synthetic data of the flights' size and keys, made by seed; all joins read the same parquet, run in
the same process and must agree value for value. Times are the best of --repeats, to a pandas frame.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from flightline.adapters.files.pipes import outlive_reader

STORE = "flightline.adapters.feast.asof_store.AsofOfflineStore"
FEATURES_PER_VIEW = 5
MINUTES = 365 * 24 * 60


@dataclass(frozen=True)
class View:
    """A synthetic feature view: its join keys, its rows as a share of the entity rows, and its ttl.

    The ttls are windows like the project's. Without them Feast's own store pairs each entity
    row with every earlier row of its key, which filled 78 GB of disk at the default size.
    """

    name: str
    keys: tuple[str, ...]
    share: float
    ttl: timedelta

    @property
    def features(self) -> list[str]:
        """Names of its features, unique among the views."""
        return [f"{self.name}_{i}" for i in range(FEATURES_PER_VIEW)]


VIEWS = (
    View("origin_delay", ("origin",), 0.06, timedelta(hours=3)),
    View("carrier_delay", ("carrier", "origin"), 0.6, timedelta(hours=12)),
    View("route_delay", ("origin", "dest"), 0.8, timedelta(days=7)),
    View("plane_delay", ("tailnum",), 1.0, timedelta(days=2)),
    View("flight_delay", ("carrier", "flight"), 1.0, timedelta(days=90)),
)


def make_rows(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Make rows of keys and event timestamps: 3 origins, 16 carriers, 105 destinations, 4,000 aircraft."""
    sizes = {"origin": 3, "carrier": 16, "dest": 105, "tailnum": 4000, "flight": 3800}
    frame = pd.DataFrame({key: np.char.add(key, rng.integers(0, n, rows).astype(str)) for key, n in sizes.items()})
    minutes = pd.to_timedelta(rng.integers(0, MINUTES, rows), unit="min")
    frame["event_timestamp"] = (pd.Timestamp("2013-01-01", tz="UTC") + minutes).astype("datetime64[us, UTC]")
    return frame


def write_view(rng: np.random.Generator, view: View, rows: int, folder: Path) -> None:
    """Write one view's parquet: unique keys and event timestamps, known up to an hour late."""
    frame = make_rows(rng, int(rows * view.share))[[*view.keys, "event_timestamp"]].drop_duplicates()
    late = pd.to_timedelta(rng.integers(0, 60, len(frame)), unit="min")
    frame["created"] = (frame["event_timestamp"] + late).astype("datetime64[us, UTC]")
    frame = frame.assign(**{name: rng.normal(size=len(frame)) for name in view.features})
    frame.to_parquet(folder / f"{view.name}.parquet", index=False)


def join_plain(entities: pd.DataFrame, views: tuple[View, ...], folder: Path) -> pd.DataFrame:
    """Join by bare SQL: what the engine alone needs for the same values, in any order of rows."""
    columns, joins = ["entities.*"], ["entities"]
    for view in views:
        ttl = f"INTERVAL '{view.ttl.total_seconds():.0f} seconds'"
        is_fresh = f"entities.event_timestamp - {view.name}.event_timestamp <= {ttl}"
        columns += [f"CASE WHEN {is_fresh} THEN {name} END AS {name}" for name in view.features]
        matches = [f"entities.{key} = {view.name}.{key}" for key in view.keys]
        matches += [f"entities.event_timestamp >= {view.name}.event_timestamp"]
        joins += [f"read_parquet('{folder}/{view.name}.parquet') AS {view.name} ON {' AND '.join(matches)}"]
    query = f"SELECT {', '.join(columns)} FROM {' ASOF LEFT JOIN '.join(joins)}"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.register("entities", entities)
        return connection.sql(query).df()


def open_store(views: tuple[View, ...], folder: Path, store_type: str):
    """Declare the views in a Feast repository that uses this offline store."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64, String

    yaml = folder / f"{store_type.rsplit('.', 1)[-1]}.yaml"
    yaml.write_text(
        f"project: bench\nregistry: {yaml}.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"offline_store:\n  type: {store_type}\nonline_store:\n  type: sqlite\n  path: {yaml}.online\n"
    )
    store = FeatureStore(repo_path=str(folder), fs_yaml_file=yaml)
    names = sorted({key for view in views for key in view.keys})
    entities = {name: Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in names}
    declared = [
        FeatureView(
            name=view.name,
            entities=[entities[key] for key in view.keys],
            ttl=view.ttl,
            schema=[Field(name=key, dtype=String) for key in view.keys]
            + [Field(name=name, dtype=Float64) for name in view.features],
            source=FileSource(
                name=f"{view.name}_source",
                path=str(folder / f"{view.name}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column="created",
            ),
        )
        for view in views
    ]
    store.apply([*entities.values(), *declared])
    return store


def time_best(run: Callable[[], pd.DataFrame], repeats: int) -> tuple[float, pd.DataFrame]:
    """Return the shortest time in seconds, and the last result ordered by row_id."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result.sort_values("row_id", ignore_index=True)


def main() -> None:
    """Run the joins, check that they agree, and print their times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=336_776, help="entity rows")
    parser.add_argument("--views", type=int, default=len(VIEWS), choices=range(1, len(VIEWS) + 1))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--with-feast-duckdb", action="store_true", help="time Feast's own store too, once")
    options = parser.parse_args()
    views, rng = VIEWS[: options.views], np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entities = make_rows(rng, options.rows).assign(row_id=np.arange(options.rows))
        for view in views:
            write_view(rng, view, options.rows, folder)
        compare(entities, views, folder, options.repeats, options.with_feast_duckdb)


def compare(entities: pd.DataFrame, views: tuple[View, ...], folder: Path, repeats: int, has_feast: bool) -> None:
    """Time each join beside the plain one; the last line, with created filtered, has other values by design."""
    features = [f"{view.name}:{name}" for view in views for name in view.features]
    names = [name for view in views for name in view.features]
    plain_seconds, plain = time_best(lambda: join_plain(entities, views, folder), repeats)
    print(f"{len(entities):,} entity rows, {len(views)} views, {len(features)} features, best of {repeats}\n")
    print(f"{'join':<42}{'seconds':>9}{'ratio':>8}\n{'plain DuckDB ASOF JOIN':<42}{plain_seconds:>9.2f}{1:>8.2f}")

    def show(label: str, store, repeats: int, **filters: bool) -> pd.DataFrame:
        seconds, result = time_best(
            lambda: store.get_historical_features(entities, features, **filters).to_df(), repeats
        )  # fmt: skip
        print(f"{label:<42}{seconds:>9.2f}{seconds / plain_seconds:>8.2f}", flush=True)
        return result

    ours = open_store(views, folder, STORE)
    pd.testing.assert_frame_equal(show("Feast, our store", ours, repeats)[names], plain[names])
    known = show("Feast, our store, created filtered", ours, repeats, filter_by_created_timestamp=True)
    if has_feast:
        own = open_store(views, folder, "duckdb")
        pd.testing.assert_frame_equal(show("Feast, its duckdb store", own, 1)[names], plain[names])
        own_known = show("Feast, its duckdb store, created filtered", own, 1, filter_by_created_timestamp=True)
        pd.testing.assert_frame_equal(own_known[names], known[names])
    print("\nvalues agree")


if __name__ == "__main__":
    outlive_reader()
    main()
