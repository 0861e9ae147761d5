"""CHANGE ME for your own problem: what each raw table under data/ must look like.

One table: how often a page of the English Wikipedia was viewed on a day (UTC), as Wikimedia
counts it.
"""

import pandera.pandas as pa

from flightline.data.columns import day, integer, text
from flightline.data.contract import TableContract

# A listed page is always viewed by somebody: a zero would be a count that failed. The most
# viewed day of these pages is the 8th of September 2022, with 10.3 million views of one.
LEAST_VIEWS, MOST_VIEWS = 1, 100_000_000


VIEWS = pa.DataFrameSchema(
    {
        "page": text(r"^\S{1,200}$", error="is a page's name, with _ for spaces"),
        "day": day(),
        "views": integer(LEAST_VIEWS, MOST_VIEWS),
    },
    strict=True,
    ordered=True,
)

CONTRACTS = {"views": TableContract(VIEWS, key=("page", "day"), is_monthly=True, month_from=("day",))}
