"""CHANGE ME for your own problem: what each raw table under data/ must look like.

One table: how often a page of the English Wikipedia was viewed on a day (UTC), as Wikimedia
counts it.
"""

import pandas as pd
import pandera.pandas as pa

from flightline.data.contract import TableContract

# A listed page is always viewed by somebody: a zero would be a count that failed. The most
# viewed day of these pages is the 8th of September 2022, with 10.3 million views of one.
LEAST_VIEWS, MOST_VIEWS = 1, 100_000_000


def _is_day(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, format="%Y-%m-%d", errors="coerce").notna() & (text.str.len() == 10)


VIEWS = pa.DataFrameSchema(
    {
        "page": pa.Column("object", pa.Check.str_matches(r"^\S{1,200}$", error="is a page's name, with _ for spaces")),
        "day": pa.Column("object", pa.Check(_is_day, error="is a day, YYYY-MM-DD")),
        "views": pa.Column(
            "Int64",
            pa.Check.in_range(LEAST_VIEWS, MOST_VIEWS, error=f"lies between {LEAST_VIEWS} and {MOST_VIEWS}"),
            coerce=True,
        ),
    },
    strict=True,
    ordered=True,
)

CONTRACTS = {"views": TableContract(VIEWS, key=("page", "day"), is_monthly=True, month_from=("day",))}
