"""CHANGE ME for your own problem: what each raw table under data/ must look like.

One table: what customers of a shop for CDs bought, and on which day. A purchase has no number of its
own in the shop's list, and a customer may buy the same for the same amount twice on a day; so the
purchases of a customer's day are numbered.
"""

import pandera.pandas as pa

from flightline.data.columns import day, integer, number
from flightline.data.contract import TableContract

# The list has customers 1 to 23,570; a later one only grows. The largest purchase of the
# sample is of 40 CDs, and of 507 dollars; eight were for nothing.
MAX_CUSTOMER, MAX_PER_DAY, MAX_CDS, MAX_AMOUNT = 1_000_000, 20, 100, 2_000


PURCHASES = pa.DataFrameSchema(
    {
        "customer": integer(1, MAX_CUSTOMER),
        "day": day(),
        "number": integer(1, MAX_PER_DAY),
        "cds": integer(1, MAX_CDS),
        "amount": number(0, MAX_AMOUNT),
    },
    strict=True,
    ordered=True,
)

CONTRACTS = {
    "purchases": TableContract(PURCHASES, key=("customer", "day", "number"), is_monthly=True, month_from=("day",))
}
