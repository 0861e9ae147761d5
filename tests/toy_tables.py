"""The toy problem's raw tables, when each group of their columns becomes known, and the features: shared by all tasks.

Decided: the bakers plan three days ahead; what was sold is known when the shop closes; that it stayed closed is known
an hour after it should have opened.
"""

from collections.abc import Mapping
from datetime import timedelta

import ibis
import pandas as pd
import pandera.pandas as pa
from ibis import _

from flightline.core.problem_spec import Problem
from flightline.data.contract import ForeignKey, TableContract
from flightline.data.rolling import rolling
from tests.toy_problem import SLOT_FORMAT

Tables = Mapping[str, ibis.Table]


def _integer(low: int, high: int, *, nullable: bool = False) -> pa.Column:
    check = pa.Check.in_range(low, high, error=f"lies between {low} and {high}")
    return pa.Column("Int64", check, nullable=nullable, coerce=True)


_SHOP = pa.Column("object", pa.Check.str_matches(r"^S\d\d$", error=r"matches ^S\d\d$"))

CONTRACTS = {
    "shops": TableContract(
        pa.DataFrameSchema(
            {
                "shop": _SHOP,
                "city": pa.Column("object"),
                "seats": _integer(0, 200),
                "rating": pa.Column("Float64", nullable=True, coerce=True),
            },
            strict=True,
            ordered=True,
        ),
        key=("shop",),
        is_monthly=False,
    ),
    "sales": TableContract(
        pa.DataFrameSchema(
            {
                "shop": _SHOP,
                "opens": pa.Column(pd.DatetimeTZDtype("ns", "UTC"), coerce=True),
                "hours": _integer(1, 20),
                "baked": _integer(1, 1000),
                "units": _integer(0, 1000, nullable=True),
            },
            checks=pa.Check(
                lambda sales: sales["units"].isna() | (sales["units"] <= sales["baked"]),
                error="units are no more than were baked",
            ),
            strict=True,
            ordered=True,
        ),
        key=("shop", "opens"),
        is_monthly=True,
        foreign_keys={"shop": ForeignKey("shops", "shop")},
        month_from=("opens",),
    ),
}


def prepare(raw: Tables) -> dict[str, ibis.Table]:
    """Put the shop's own columns beside each sale, and name the days."""
    sales = raw["sales"].join(raw["shops"].select("shop", "city", "seats"), "shop")
    day_id = _.shop + "-" + _.opens.strftime(SLOT_FORMAT)
    return {"sales": sales.mutate(day_id=day_id, closes=_.opens + _.hours.as_interval("h"))}


def plans(prepared: Tables) -> ibis.Table:
    """Give what is to be baked, known three days before the shop opens."""
    return prepared["sales"].select(
        "day_id", "shop", "city", "opens", "seats", planned=_.baked, known_at=_.opens - ibis.interval(days=3)
    )


def closings(prepared: Tables) -> ibis.Table:
    """Give what was sold, known when the shop closes."""
    sold = prepared["sales"].filter(_.units.notnull())
    return sold.select(
        "day_id", "shop", "city", "opens", "closes", "units", sold_out=_.units == _.baked, known_at=_.closes
    )


def closed_days(prepared: Tables) -> ibis.Table:
    """Give the days on which a shop stayed closed."""
    closed = prepared["sales"].filter(_.units.isnull())
    return closed.select("day_id", known_at=_.opens + ibis.interval(hours=1))


GROUPS = {group.__name__: group for group in (plans, closings, closed_days)}


def _recent(events: ibis.Table, keys: list[str], windows: tuple[timedelta, ...], prefix: str) -> ibis.Table:
    means = {"mean_units": _.units.cast("float64"), "share_sold_out": _.sold_out.cast("float64")}
    return rolling(events, keys=keys, at="closes", windows=windows, means=means, prefix=prefix)


def shop_recent(groups: Tables) -> ibis.Table:
    """Give the shop's last two and seven days."""
    return _recent(groups["closings"], ["shop"], (timedelta(days=2), timedelta(days=7)), "shop_recent")


def city_recent(groups: Tables) -> ibis.Table:
    """Give the city's last day."""
    return _recent(groups["closings"], ["city"], (timedelta(days=1),), "city_recent")


def shop_weekday(groups: Tables) -> ibis.Table:
    """Give the shop's last four weeks on the same day of the week."""
    events = groups["closings"].mutate(weekday=_.opens.day_of_week.index().cast("int64"))
    return _recent(events, ["shop", "weekday"], (timedelta(days=28),), "shop_weekday")


def baking_plan(groups: Tables) -> ibis.Table:
    """Give what is to be baked on the day, known three days ahead."""
    return groups["plans"].select(
        "shop",
        slot=_.opens.strftime(SLOT_FORMAT),
        event_timestamp=_.opens - ibis.interval(days=3),
        planned=_.planned,  # whole numbers, which the machine makes features of
        seats=_.seats,
    )


FEATURE_TABLES = {table.__name__: table for table in (shop_recent, city_recent, shop_weekday, baking_plan)}


def examples(groups: Tables, problem: Problem) -> ibis.Table:
    """Give one row for each day of each shop, with the problem's label where the groups know it."""
    sold = groups["closings"].select("day_id", "units", "sold_out", closed_at=_.known_at)
    closed = groups["closed_days"].select("day_id", stayed_closed=ibis.literal(True))
    rows = groups["plans"].left_join(sold, "day_id").drop("day_id_right")
    rows = rows.left_join(closed, "day_id").drop("day_id_right")
    left_over = ibis.cases(
        (_.units.isnull(), ibis.null("string")),
        (_.sold_out, "none"),
        (_.units > 0.9 * _.planned, "little"),
        else_="much",
    )
    label = {"sold_out": _.sold_out.cast("int64"), "units": _.units, "left_over": left_over}[problem.label]
    return rows.select(
        "shop",
        "city",
        "opens",
        example_id=_.day_id,
        event_timestamp=_.opens - ibis.interval(problem.prediction_horizon),
        outcome=ibis.cases((_.closed_at.notnull(), "sold"), (_.stayed_closed, "closed")),
        label_known_at=_.closed_at,
        **{problem.label: label},
    )
