"""Runs the Ibis expressions of the core, on the engine that `engines/` opened: DuckDB unless the settings say Spark."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flightline.adapters.engines.duckdb import NO_LIMITS, Limits, connect
from flightline.adapters.files.atomic_write import atomic_write
from flightline.core.errors import FeatureError
from flightline.core.project import FeatureCode
from flightline.data.contract import MISSING, TableContract
from flightline.data.leakage import Leak, around, as_of, changed_rows

_CHOOSE = "choose leak_test_moments in src/flightline/problem/config.py well inside the data"
TIMESTAMPS = ("event_timestamp", "created_timestamp")


def load_raw(
    connection: ibis.BaseBackend, data_dir: Path, contracts: Mapping[str, TableContract]
) -> dict[str, ibis.Table]:
    """Load the raw tables, typed by their contracts; months of a table are read as one."""
    return {name: _load_table(connection, data_dir, name, contract) for name, contract in contracts.items()}


def _load_table(connection: ibis.BaseBackend, data_dir: Path, name: str, contract: TableContract) -> ibis.Table:
    files = sorted((data_dir / name).glob("*.csv")) if contract.is_monthly else [data_dir / f"{name}.csv"]
    types = {column: _engine_type(str(spec.dtype)) for column, spec in contract.schema.columns.items()}
    table = connection.read_csv([str(file) for file in files], nullstr=MISSING, columns=types, header=True)
    return connection.create_table(f"raw_{name}", table)


def _engine_type(contract_type: str) -> str:
    if contract_type.startswith("datetime64"):
        return "TIMESTAMPTZ"
    return {"Int64": "BIGINT", "Float64": "DOUBLE", "object": "VARCHAR"}[contract_type]


def build_groups(
    connection: ibis.BaseBackend, raw: Mapping[str, ibis.Table], code: FeatureCode, clock: datetime | None = None
) -> dict[str, ibis.Table]:
    """Run the groups of the problem and keep them as tables.

    Parameters
    ----------
    raw
        The raw tables, as `load_raw` gives them.
    code
        What prepares them and cuts the groups out.
    clock
        Leave out what became known after this moment (UTC-aware); None keeps all.

    Raises
    ------
    FeatureError
        If rows were lost or doubled between the raw tables and the prepared ones, or a group's known_at has no zone.
    """
    prepared = {name: connection.create_table(f"prepared_{name}", table) for name, table in code.prepare(raw).items()}
    for name, table in prepared.items():
        got, expected = table.count().execute(), raw[name].count().execute()
        if got != expected:
            raise FeatureError(
                f"preparing {name} turned {expected} raw rows into {got}; a join in availability.prepare "
                "loses or doubles rows (a time zone or key it does not know?)"
            )
    groups = {name: group(prepared) for name, group in code.groups.items()}
    for name, group in groups.items():
        check_moment(f"the group {name}", group, "known_at")
    known = groups if clock is None else as_of(groups, clock)
    return {name: connection.create_table(name, table) for name, table in known.items()}


def check_moment(name: str, table: ibis.Table, column: str) -> None:
    """Refuse a table whose moments are not there, or have no time zone: they would be taken for UTC, whatever they are.

    Raises
    ------
    FeatureError
        Naming table, column and type.
    """
    kind = table.schema().get(column)
    if kind is None or not kind.is_timestamp() or kind.timezone is None:
        raise FeatureError(
            f"{column} of {name} is {kind or 'not there'}, expected a moment in UTC; give it in "
            "src/flightline/problem/ the type \"timestamp('UTC')\""
        )


def find_leaks(
    groups: Mapping[str, ibis.Table],
    feature_tables: Mapping[str, Callable[[Mapping[str, ibis.Table]], ibis.Table]],
    moments: Sequence[datetime],
    before: timedelta = timedelta(days=35),
    after: timedelta = timedelta(days=3),
) -> list[Leak]:
    """Run the leak test of `leakage.py` on every feature table at every moment.

    Parameters
    ----------
    groups
        As `build_groups` gave them, with what became known after the moments.
    moments
        UTC-aware, well inside the data.
    before, after
        How much of what became known around a moment is looked at. `before` should reach back
        further than anything is known ahead (schedules, 28 days) and its outcome is waited for: a table that
        joins the two has no row in a shorter one. Where a table has none, all that was known before is looked at.

    Returns
    -------
    list of Leak
        One for each table and moment whose past changes; empty if nothing leaks.

    Raises
    ------
    FeatureError
        If a table has no row to compare at a moment, or nothing became known after it: such a test would pass
        whatever leaks.
    """
    leaks = []
    for moment in moments:
        if not any(table.filter(table.known_at > ibis.literal(moment)).count().execute() for table in groups.values()):
            raise FeatureError(
                f"the leak test has nothing known after {moment:%Y-%m-%d %H:%M} UTC to compare; {_CHOOSE}"
            )
        for name, build in feature_tables.items():
            with_future = _comparable(groups, name, build, moment, before, after)
            latest = _before_next(with_future, build, moment)
            changed = changed_rows(build, with_future, as_of(with_future, latest), latest)
            rows = int(changed.count().execute())
            if rows:
                leaks.append(Leak(name, moment, rows, _sample(changed)))
    return leaks


class _Noted(dict[str, ibis.Table]):
    """Groups that note which of them a feature table is made of."""

    def __init__(self, groups: Mapping[str, ibis.Table]) -> None:
        super().__init__(groups)
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> ibis.Table:
        self.used.add(name)
        return super().__getitem__(name)


def _before_next(
    groups: Mapping[str, ibis.Table], build: Callable[[Mapping[str, ibis.Table]], ibis.Table], moment: datetime
) -> datetime:
    """Give the last moment at which all that a table is made of was known as it was at a moment.

    What is stamped a second before it is known shows there, and at hardly any other moment.
    """
    noted = _Noted(groups)
    build(noted)
    later = [
        groups[name].filter(ibis._.known_at > ibis.literal(moment)).known_at.min().execute() for name in noted.used
    ]
    known = [each for each in later if not pd.isna(each)]
    return (min(known) - pd.Timedelta(microseconds=1)).to_pydatetime() if known else moment


def _comparable(
    groups: Mapping[str, ibis.Table],
    name: str,
    build: Callable[[Mapping[str, ibis.Table]], ibis.Table],
    moment: datetime,
    before: timedelta,
    after: timedelta,
) -> dict[str, ibis.Table]:
    """Give the groups around a moment, as far back as it takes for the table to have a row to compare."""
    for reach in (before, None):
        near = around(groups, moment, reach, after)
        table = build(near)
        check_moment(f"the feature table {name}", table, "event_timestamp")
        if table.filter(table.event_timestamp <= ibis.literal(moment)).count().execute():
            return near
    raise FeatureError(
        f"the leak test has no row of {name} stamped at or before {moment:%Y-%m-%d %H:%M} UTC to compare; {_CHOOSE}"
    )


def moments_inside(groups: Mapping[str, ibis.Table], moments: Sequence[datetime]) -> list[datetime]:
    """Keep the moments that lie inside what every group covers, else after each has begun, or take the middle.

    Raises
    ------
    FeatureError
        If no group has a row.
    """
    spans = [
        table.aggregate(low=table.known_at.min(), high=table.known_at.max()).to_pandas() for table in groups.values()
    ]
    known = [span.iloc[0] for span in spans if span["low"].notna().all()]
    if not known:
        raise FeatureError(
            "no group of problem/availability.py has a row that was known by the event clock; add data, move the clock "
            "on (`make clock TO=...`), or correct known_at"
        )
    low, ends = max(span["low"] for span in known), [span["high"] for span in known]
    for high in (min(ends), max(ends)):  # a group with few rows ends early: the others go on
        margin = (high - low) / 10
        if inside := [moment for moment in moments if low + margin < moment < high - margin]:
            return inside
    high = min(ends) if min(ends) > low else max(ends)
    return [(low + (high - low) / 2).to_pydatetime()]


def _sample(rows: ibis.Table) -> str:
    first = rows.order_by(rows.columns).limit(1).to_pandas().iloc[0]
    return ", ".join(f"{name}={value}" for name, value in first.items())


def numbers_as_features(table: ibis.Table, keys: Collection[str]) -> ibis.Table:
    """Turn whole numbers and truths that are no key into float64, which is what a feature is."""
    narrow = [
        name for name, kind in table.schema().items() if name not in keys and (kind.is_integer() or kind.is_boolean())
    ]
    return table.mutate(**{name: table[name].cast("float64") for name in narrow}) if narrow else table


def in_order(table: ibis.Table) -> ibis.Table:
    """Complete a feature table: creation timestamp, and rows ordered by key and time.

    The values come from the data as of the moment they became known, so that is when the row
    counts as created (docs/decisions/0003-corrected-months.md).
    """
    keys = [name for name, kind in table.schema().items() if name not in TIMESTAMPS and not kind.is_float64()]
    features = [name for name, kind in table.schema().items() if kind.is_float64()]
    completed = table.mutate(created_timestamp=table.event_timestamp)
    return completed.select(*keys, *TIMESTAMPS, *features).order_by(*keys, "event_timestamp")


def write_feature_tables(
    groups: Mapping[str, ibis.Table],
    feature_tables: Mapping[str, Callable[[Mapping[str, ibis.Table]], ibis.Table]],
    target: Path,
    report: Callable[[str, int], None] = lambda name, rows: None,
    *,
    keys: Collection[str] | None = None,
    limits: Limits = NO_LIMITS,
) -> dict[str, int]:
    """Compute every feature table and write it as parquet, all or nothing; give the rows by table.

    Parameters
    ----------
    target
        The folder to make; it appears only when every table in it is whole.
    report
        Called with each table's name and rows as it is done.
    keys
        What requests can be joined by: a whole number of another name is a feature. None: whole numbers are keys.
    limits
        Of the DuckDB that checks what was written.
    """
    rows = {}
    with atomic_write(target) as unfinished:
        unfinished.mkdir()
        for name, build in feature_tables.items():
            built = build(groups)
            table = in_order(built if keys is None else numbers_as_features(built, keys))
            table.to_parquet(unfinished / f"{name}.parquet", compression="zstd")
            numbers_as_float64(unfinished / f"{name}.parquet")
            rows[name] = check_unique(unfinished / f"{name}.parquet", limits)
            report(name, rows[name])
    return rows


def numbers_as_float64(file: Path) -> None:
    """Turn the columns of a feature table that are numbers and can be no key into float64.

    DuckDB makes decimals of literals such as 1.0, which Ibis takes for float64, so that no cast is written for them.
    """
    schema = pq.read_schema(file)
    narrow = {
        field.name
        for field in schema
        if pa.types.is_decimal(field.type) or pa.types.is_float32(field.type) or pa.types.is_boolean(field.type)
    }
    if narrow:
        wide = pa.schema([pa.field(each.name, pa.float64()) if each.name in narrow else each for each in schema])
        pq.write_table(pq.read_table(file).cast(wide), file, compression="zstd")


def check_unique(file: Path, limits: Limits = NO_LIMITS) -> int:
    """Count a feature table's rows, and refuse two of the same key, event and creation time.

    Raises
    ------
    FeatureError
        With the number of such rows.
    """
    with connect(1, limits) as connection:
        table = connection.read_parquet(file)
        keys = [name for name, kind in table.schema().items() if not kind.is_float64()]
        rows, distinct = table.count().execute(), table.select(keys).distinct().count().execute()
    if rows != distinct:
        raise FeatureError(
            f"{file.stem} holds {rows - distinct} row(s) whose ({', '.join(keys)}) stands there already; "
            "give one row for each key and moment (group_by and aggregate ties)"
        )
    return int(rows)


def tables_digest(folder: Path) -> str:
    """Hash the parquet files of a folder by name and content (sha256, hex)."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.parquet")):
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def to_frame(table: ibis.Table) -> pd.DataFrame:
    """Run an expression into a pandas frame."""
    return table.to_pandas()
