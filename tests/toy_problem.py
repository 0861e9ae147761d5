"""The problem that the machine's tests run on: whether a bakery will sell out on a day, judged the evening before.

Small, made by arithmetic, and different from the project's own problem in every name. As in the
package of a real problem, what needs an engine or pandera is apart, in `toy_tables.py`.
"""

import csv
import math
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from flightline.core.problem_spec import Canary, Monitoring, Problem, Thresholds
from flightline.core.project import FeatureCode, Project, RawTables, RequestCode, Schemas
from flightline.core.response import Answer
from flightline.core.settings import Settings
from flightline.core.windows import Interval, Windows

SHOPS, DAYS = 16, 200
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
CITIES = ("Bergen", "Tartu")
SLOT_FORMAT = "%Y-%m-%dT%H:%M"
REPOSITORY = Path(__file__).parents[1]


def _day(month: int, day: int = 1, hour: int = 0) -> datetime:
    return datetime(2020, month, day, hour, tzinfo=UTC)


PROBLEM = Problem(
    model_name="toy",
    task="classification",
    label="sold_out",
    entity_keys=("shop", "city"),
    request_columns=("opens",),
    slices=("city",),
    feature_service="toy_v1",
    prediction_horizon=timedelta(hours=12),
    primary_metric="log_loss",
    windows=Windows(
        fit=Interval(_day(1), _day(4, 15)),
        validation=Interval(_day(4, 15), _day(5, 15)),
        test=Interval(_day(5, 15), _day(7)),
    ),
    thresholds=Thresholds(
        floors={"roc_auc": 0.7},
        ceilings={"brier": 0.2},
        implausible={"roc_auc": 0.995},
        slice_margin=0.1,
        min_slice_rows=100,
    ),
    first_clock=_day(7, 1, hour=12),
    leak_test_moments=(_day(3, 10, hour=10), _day(5, 20, hour=18)),
    monitoring=Monitoring(min_labels=50, min_anomaly_rows=10),
    canary=Canary(min_rows=8),
)


# What a request holds, and what follows from it alone.


def request_keys(requests: pd.DataFrame | Mapping[str, Sequence[object]]) -> dict[str, np.ndarray]:
    """Compute the keys that follow from a request: weekday (Monday is 0) and slot (the minute of opening, as text)."""
    opens = pd.DatetimeIndex(requests["opens"]).tz_convert("UTC")
    return {
        "weekday": np.asarray(opens.dayofweek, dtype="int64"),
        "slot": np.asarray(opens.strftime(SLOT_FORMAT), dtype=object),
    }


def request_features(requests: pd.DataFrame | Mapping[str, Sequence[object]]) -> dict[str, np.ndarray]:
    """Compute the features that need nothing but the request: two as text, two as numbers."""
    opens = pd.DatetimeIndex(requests["opens"]).tz_convert("UTC")
    return {
        **{name: np.asarray(requests[name], dtype=object) for name in ("shop", "city")},
        "day_of_week": np.asarray(opens.dayofweek, dtype="float64"),
        "opening_hour": np.asarray(opens.hour, dtype="float64"),
    }


def _only_text(value: object) -> object:
    """Refuse numbers, which pydantic would read as seconds or milliseconds."""
    if isinstance(value, str) and not value.strip().lstrip("+-").replace(".", "").isdigit():
        return value
    raise ValueError("expected ISO 8601 text with a time zone")


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None or not 2000 <= value.year < 2100:
        raise ValueError("expected a moment of this century with a time zone")
    return value.astimezone(UTC)


EXAMPLE = {"shop": "S01", "city": "Bergen", "opens": "2020-07-02T08:00:00+02:00"}


class Instance(BaseModel):
    """A day of a shop."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE})

    shop: Annotated[str, StringConstraints(pattern="^S[0-9]{2}$")] | None = Field(
        default=None, description="The shop, if known."
    )
    city: Annotated[str, StringConstraints(pattern="^[A-Z][a-z]{1,20}$")] = Field(description="Where it is.")
    opens: Annotated[datetime, BeforeValidator(_only_text), AfterValidator(_in_utc)] = Field(
        description="With its offset from UTC (ISO 8601)."
    )


class Outcome(BaseModel):
    """Whether the shop will sell out."""

    probability: float = Field(ge=0, le=1, description="That it sells all it has baked.")
    sold_out: bool = Field(description="Whether the probability reaches the decision threshold.")


class Prediction(Answer, Outcome):
    """An outcome, and what it rests on."""


def opens_of(instance: Instance) -> datetime:
    """Give the moment a request is about."""
    return instance.opens


def make_project(settings: Settings) -> Project:
    """Build the project of the toy problem."""
    return Project(
        settings=settings,
        problem=PROBLEM,
        requests=RequestCode(request_keys, request_features, (_this_module(),)),
        schemas=Schemas(Instance, Prediction, EXAMPLE, "opens", opens_of),
        load_raw_tables=load_raw_tables,
        load_features=load_features,
    )


def _this_module() -> Any:
    from tests import toy_problem

    return toy_problem


def load_raw_tables() -> RawTables:
    """Give the contracts, and where the first data comes from."""
    from tests import toy_tables

    return RawTables(toy_tables.CONTRACTS, write_raw, (toy_tables, _this_module()))


def load_features() -> FeatureCode:
    """Give the feature code."""
    from tests import toy_tables

    return FeatureCode(
        toy_tables.prepare, toy_tables.GROUPS, toy_tables.FEATURE_TABLES, toy_tables.examples, (toy_tables,)
    )


# The raw data, and a root to work in.


def shop_row(number: int = 1, **changes: object) -> dict[str, object]:
    """Make a row of `shops`; None is missing."""
    row = {"shop": f"S{number:02d}", "city": CITIES[number % 2 - 1], "seats": 2 * number, "rating": None}
    return row | changes


def sale(opens: str = "2020-06-03T06:00:00Z", **changes: object) -> dict[str, object]:
    """Make a row of `sales`: S01, with some bread left at the end of the day."""
    return {"shop": "S01", "opens": opens, "hours": 10, "baked": 100, "units": 80} | changes


def _all_sales() -> list[dict[str, object]]:
    """Make every sale: demand follows the shop, the weekday and a slow wave; the bakers know of none but the first."""
    random = np.random.default_rng(0)
    rows = []
    for day in range(DAYS):
        weekday = (FIRST_DAY + timedelta(days=day)).weekday()
        for number in range(1, SHOPS + 1):
            noise, plan, is_closed = random.normal(0, 0.1), random.uniform(0.85, 1.15), random.random() < 0.02
            usual = 60 + 5 * number
            wave = 1 + 0.2 * math.sin(2 * math.pi * (day / 28 + number / SHOPS))
            demand = usual * (0.85, 0.9, 0.95, 1.0, 1.1, 1.3, 1.1)[weekday] * wave * math.exp(noise)
            baked = round(usual * plan)
            opens = FIRST_DAY + timedelta(days=day, hours=5 + number % 3)
            units = None if is_closed else min(round(demand), baked)
            rows.append(
                sale(opens.strftime("%Y-%m-%dT%H:%M:%SZ"), shop=f"S{number:02d}", baked=baked, units=units, hours=9)
            )
    return rows


def write_raw(folder: Path, rows: Mapping[str, Sequence[Mapping[str, object]]] | None = None) -> None:
    """Write raw tables as data/ holds them: the seed, or these rows of `shops` and `sales`."""
    tables = {"shops": [shop_row(number) for number in range(1, SHOPS + 1)]} | (dict(rows or {"sales": _all_sales()}))
    _write_csv(folder / "shops.csv", tables["shops"])
    months: dict[str, list[Mapping[str, object]]] = {}
    for row in tables["sales"]:
        months.setdefault(str(row["opens"])[:7], []).append(row)
    (folder / "sales").mkdir()
    for month, sales in months.items():
        _write_csv(folder / "sales" / f"{month}.csv", sales)


def _write_csv(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: "NA" if value is None else value for name, value in row.items()} for row in rows)


DECLARATIONS = '''
"""What Feast knows of the toy problem's features."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

SHOP = Entity(name="shop", value_type=ValueType.STRING)
CITY = Entity(name="city", value_type=ValueType.STRING)
WEEKDAY = Entity(name="weekday", value_type=ValueType.INT64)
SLOT = Entity(name="slot", value_type=ValueType.STRING)


def view(name, entities, ttl, features):
    source = FileSource(
        name=name + "_table",
        path=f"../.state/features/current/{name}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    schema = [Field(name=feature, dtype=Float64) for feature in features]
    return FeatureView(name=name, entities=entities, ttl=ttl, schema=schema, source=source)


def recent(name, windows):
    return [f"{name}_{window}_{what}" for window in windows for what in ("count", "mean_units", "share_sold_out")]


VIEWS = [
    view("shop_recent", [SHOP], timedelta(days=7), recent("shop_recent", ("2d", "7d"))),
    view("city_recent", [CITY], timedelta(days=2), recent("city_recent", ("24h",))),
    view("shop_weekday", [SHOP, WEEKDAY], timedelta(days=28), recent("shop_weekday", ("28d",))),
    view("baking_plan", [SHOP, SLOT], timedelta(days=4), ["planned", "seats"]),
]
TOY_V1 = FeatureService(name="toy_v1", features=VIEWS)
SHOP_RECENT, CITY_RECENT, SHOP_WEEKDAY, BAKING_PLAN = VIEWS
'''


def write_feature_repo(root: Path) -> None:
    """Lay the Feast repository of the toy problem into a root."""
    (root / "feature_repo").mkdir(parents=True, exist_ok=True)
    for file in sorted((REPOSITORY / "feature_repo").glob("feature_store*.yaml")):
        shutil.copy(file, root / "feature_repo")
    (root / "feature_repo" / "definitions.py").write_text(DECLARATIONS.lstrip(), encoding="utf-8")


def make_root(root: Path, task: str = "classification") -> Project:
    """Lay a root with the Feast repository and the raw data, and give the project of a task there."""
    from tests import toy_multiclass, toy_regression

    write_feature_repo(root)
    (root / "data").mkdir()
    write_raw(root / "data")
    make = {
        "classification": make_project,
        "multiclass": toy_multiclass.make_project,
        "regression": toy_regression.make_project,
    }
    return make[task](Settings(root=root))
