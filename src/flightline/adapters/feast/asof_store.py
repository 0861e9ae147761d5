"""A Feast offline store whose point-in-time join is one DuckDB ASOF JOIN for each feature view.

Why it exists. Feast's default store drops entity rows (feast issue 6787). Its duckdb store is right, but joins by
inequality, forgets the entity rows' order, and reads relative paths from the working directory although `feast apply`
checks them against the repository. Feast takes a store of one's own by its import path:

    offline_store:
      type: flightline.adapters.feast.asof_store.AsofOfflineStore

Only what Feast asks of an offline store may go in here; features are declared in `feature_repo/`.
"""
# ruff: noqa: S608  (every name in the SQL is ours or goes through quote, every value is an integer)

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeGuard, cast

import ibis
import pandas as pd
import pyarrow as pa
from feast import FeatureView, FileSource, OnDemandFeatureView, RepoConfig
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.infra.offline_stores import duckdb as feast_duckdb
from feast.infra.offline_stores import ibis as feast_ibis
from feast.infra.offline_stores import offline_utils
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from pydantic import Field, StrictStr

from flightline.adapters.engines.duckdb import NO_LIMITS, Limits, explained, open_plain
from flightline.adapters.feast.asof_join import Entities, Join, quote, scan_sql, side_by_side, write_join
from flightline.core.errors import FeatureError


class AsofOfflineStoreConfig(feast_duckdb.DuckDBOfflineStoreConfig):
    """The options of Feast's duckdb store, and DuckDB's limits, which `registry.py` adds."""

    type: StrictStr = "flightline.adapters.feast.asof_store.AsofOfflineStore"
    limits: dict[StrictStr, StrictStr] = Field(default={})


class AsofRetrievalJob(feast_ibis.IbisRetrievalJob):
    """The joins of one call, run each time the result is asked for."""

    def __init__(self, entities: Entities, joins: list[Join], is_known_only: bool, store: Any, **options: Any) -> None:
        self._entities, self._joins, self._is_known_only, self._store = entities, joins, is_known_only, store
        super().__init__(table=None, **options)

    @property
    def table(self) -> ibis.Table:
        """The result for the base class's `persist` and `to_remote_storage`, on-demand features included."""
        return ibis.memtable(self.to_arrow())

    @table.setter
    def table(self, _: None) -> None:
        """Take the base class's assignment, which has nothing to hold before the joins have run."""

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return pa.concat_tables(self.parts(max(1, len(self._entities.table))))

    def parts(self, rows: int) -> Iterator[pa.Table]:
        """Give the result so many rows at a time; a view's whole column of values is never held.

        Each view is joined once, into a file. An empty entity frame is one empty part.
        """
        place = self._place()
        if place:
            Path(place).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="join-", dir=place) as folder:
            yield from side_by_side(self._entities.table, list(self._join_all(Path(folder))), rows)

    def _place(self) -> str | None:
        return _limits(self._store).get("temp_directory")

    def _join_all(self, folder: Path) -> Iterator[Path]:
        """Join each view into a file of the folder, in the order of the entity rows."""
        with explained(), open_plain(_limits(self._store)) as connection:
            for number, join in enumerate(self._joins):
                file = folder / f"{number}.parquet"
                write_join(connection, self._entities, join, self._is_known_only, self.repo_path, file)
                yield file


class AsofOfflineStore(feast_duckdb.DuckDBOfflineStore):
    """Point-in-time joins over parquet in the time of an ASOF JOIN; the rest is Feast's duckdb store.

    Rows out are the entity rows, in their order, with duplicates and extra columns kept. For each feature view an
    entity row gets the values of the newest row of its key that is not later than its timestamp, nulls included; they
    become null where that row is older than ttl (an age of exactly ttl counts, a ttl of 0 is no limit), where a key is
    null or unknown. Of rows with the same key and event timestamp the greatest created timestamp wins. With
    ``filter_by_created_timestamp`` a row counts only from its created timestamp on.

    Timestamps are compared in UTC to the microsecond; naive ones count as UTC. Relative paths are relative to the
    feature repository. Connections live for one call.
    Anything but parquet files, and on-demand views in substrait mode, send the call to Feast's duckdb store.
    """

    job_type: ClassVar[type[AsofRetrievalJob]] = AsofRetrievalJob

    @classmethod
    def get_historical_features(
        cls,
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """Join the requested features to an entity frame; nothing is read before the job is.

        Raises
        ------
        FeatureError
            If the entity frame is no frame, lacks a join key or holds a requested name.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise FeatureError(
                f"entity_df is a {type(entity_df).__name__}, but this store runs no SQL: pass a pandas DataFrame"
            )
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        is_parquet = all(_is_parquet(view.batch_source) for view in feature_views)
        if not is_parquet or any(view.mode == "substrait" for view in on_demand):
            return feast_duckdb.DuckDBOfflineStore.get_historical_features(
                config, feature_views, feature_refs, entity_df, registry, project,
                full_feature_names, filter_by_created_timestamp,
            )  # fmt: skip
        joins = [_plan_join(view, feature_refs, full_feature_names) for view in feature_views]
        entities = _read_entities(entity_df)
        _check_columns(entities.table.column_names, joins)
        return cls.job_type(
            entities,
            [join for join in joins if join.features],
            filter_by_created_timestamp,
            config.offline_store,
            on_demand_feature_views=on_demand,
            full_feature_names=full_feature_names,
            metadata=_describe_retrieval(entities, feature_refs),
            repo_path=_repo_path(config),
            **_writing(config),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig, data_source: DataSource, *columns: Any, **query: Any
    ) -> RetrievalJob:
        """Read the newest row of each key between two times, as materialisation does."""
        query |= _reading(config)
        return feast_ibis.pull_latest_from_table_or_query_ibis(config, data_source, *columns, **query)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig, data_source: DataSource, *columns: Any, **query: Any
    ) -> RetrievalJob:
        """Read all rows between two times."""
        query |= _reading(config)
        return feast_ibis.pull_all_from_table_or_query_ibis(config, data_source, *columns, **query)


def _read_entities(entity_df: pd.DataFrame) -> Entities:
    column = offline_utils.infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
    values = entity_df[column].infer_objects()
    if pd.api.types.is_numeric_dtype(values):
        raise FeatureError(f"entity_df's {column} is {values.dtype}: pass timestamps or strings that pandas can parse")
    values = pd.to_datetime(values, utc=True)
    table = pa.Table.from_pandas(entity_df.assign(**{column: values}), preserve_index=False)
    moments = pa.Array.from_pandas(values).cast(pa.timestamp("us", "UTC"), safe=False)  # DuckDB has microseconds
    return Entities(table, moments.cast(pa.int64()), column)


def _plan_join(view: FeatureView, feature_refs: list[str], full_feature_names: bool) -> Join:
    prefix = f"{view.projection.name_to_use()}:"
    shown = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
    features = [ref.removeprefix(prefix) for ref in feature_refs if ref.startswith(prefix)]
    return Join(
        view=view.name,
        source=cast(FileSource, view.batch_source),
        # A map may name some of the keys only; the others keep their names and still count.
        keys={key.name: view.projection.join_key_map.get(key.name, key.name) for key in view.entity_columns},
        features={feature: shown + feature for feature in features},
        ttl=view.ttl,
    )


def _check_columns(entity_columns: list[str], joins: list[Join]) -> None:
    seen = set(entity_columns)
    for join in joins:
        if missing := set(join.keys.values()) - set(entity_columns):
            raise FeatureError(f"entity_df lacks join keys of {join.view}: {sorted(missing)}; it has {entity_columns}")
        if taken := seen & set(join.features.values()):
            raise FeatureError(
                f"{join.view} would add columns that are there already: {sorted(taken)}; "
                "drop them from entity_df or set full_feature_names=True"
            )
        seen |= set(join.features.values())


def _describe_retrieval(entities: Entities, feature_refs: list[str]) -> RetrievalMetadata:
    moments = entities.timestamps.drop_null().cast(pa.timestamp("us", "UTC")).to_pandas()
    first, last = (moments.min(), moments.max()) if len(moments) else (None, None)
    keys = [name for name in entities.table.column_names if name != entities.timestamp_column]
    return RetrievalMetadata(feature_refs, keys, first, last)


def _is_parquet(source: DataSource | None) -> TypeGuard[FileSource]:
    return isinstance(source, FileSource) and isinstance(source.file_format, ParquetFormat | None)


def _read_source(source: DataSource, repo_path: str, limits: Limits) -> ibis.Table:
    """Read a source as Feast's ibis functions want it, on a connection that lives as long as the table."""
    if not _is_parquet(source):
        return feast_duckdb._read_data_source(source, repo_path)
    connection = open_plain(limits)
    scan = scan_sql(connection, source, repo_path)
    # Feast casts to TIMESTAMP, which DuckDB 2.0 cannot do from the nanoseconds that pandas writes.
    schema = connection.sql(f"SELECT * FROM {scan} LIMIT 0")
    types = {quote(name): str(type_) for name, type_ in zip(schema.columns, schema.types, strict=True)}
    coarse = [f"{name}::TIMESTAMPTZ AS {name}" if types[name] == "TIMESTAMPTZ_NS" else name for name in types]
    connection.execute(f"CREATE TEMP VIEW source AS SELECT {', '.join(coarse)} FROM {scan}")
    return ibis.duckdb.from_connection(connection).table("source")


def _writing(config: RepoConfig) -> dict[str, Any]:
    return {
        "data_source_writer": feast_duckdb._write_data_source,
        "staging_location": config.offline_store.staging_location,
        "staging_location_endpoint_override": config.offline_store.staging_location_endpoint_override,
    }


def _reading(config: RepoConfig) -> dict[str, Any]:
    path, limits = _repo_path(config), _limits(config.offline_store)
    return {"data_source_reader": lambda source, _: _read_source(source, path, limits), **_writing(config)}


def _limits(store: Any) -> Limits:
    return getattr(store, "limits", NO_LIMITS)  # the configuration of another store has none


def _repo_path(config: RepoConfig) -> str:
    return str(config.repo_path or "")  # without a repository Feast's validation, too, starts at the cwd
