"""CHANGE ME for your own problem: what each raw table under data/ must look like.

One table: what customers of a shop for CDs bought, and on which day. A purchase has no number of its
own in the shop's list, and a customer may buy the same for the same amount twice on a day; so the
purchases of a customer's day are numbered.
"""

import pandas as pd
import pandera.pandas as pa

from flightline.data.contract import TableContract

# The list has customers 1 to 23,570; a later one only grows. The largest purchase of the
# sample is of 40 CDs, and of 507 dollars; eight were for nothing.
MAX_CUSTOMER, MAX_PER_DAY, MAX_CDS, MAX_AMOUNT = 1_000_000, 20, 100, 2_000


def _between(low: int, high: int) -> pa.Check:
    return pa.Check.in_range(low, high, error=f"lies between {low} and {high}")


def _is_day(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, format="%Y-%m-%d", errors="coerce").notna() & (text.str.len() == 10)


PURCHASES = pa.DataFrameSchema(
    {
        "customer": pa.Column("Int64", _between(1, MAX_CUSTOMER), coerce=True),
        "day": pa.Column("object", pa.Check(_is_day, error="is a day, YYYY-MM-DD")),
        "number": pa.Column("Int64", _between(1, MAX_PER_DAY), coerce=True),
        "cds": pa.Column("Int64", _between(1, MAX_CDS), coerce=True),
        "amount": pa.Column("Float64", _between(0, MAX_AMOUNT), coerce=True),
    },
    strict=True,
    ordered=True,
)

CONTRACTS = {
    "purchases": TableContract(PURCHASES, key=("customer", "day", "number"), is_monthly=True, month_from=("day",))
}
