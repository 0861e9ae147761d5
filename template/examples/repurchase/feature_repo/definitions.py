"""CHANGE ME for your own problem: what Feast knows of the features. Declarations only.

Feast imports this file on its own; nothing else does, and nothing here may have a side
effect. Each view's source is the table of the same name in `flightline.problem.features`; its ttl is
how old a value may be and still count.
"""

from datetime import timedelta
from functools import partial

from feast import Entity, FeatureService, ValueType

from flightline.adapters.feast.declaring import declare_view

OWNER = "mlops@flightline.example"
view = partial(declare_view, owner=OWNER)

CUSTOMER = Entity(name="customer", value_type=ValueType.INT64, description="Number of the customer.")
WEEK = Entity(name="week", value_type=ValueType.STRING, description="The Monday that is asked about, YYYY-MM-DD.")

# What somebody bought first or last stays true until the next purchase, however late that comes.
FOR_LONG = timedelta(days=3 * 365)

CUSTOMER_FIRST_PURCHASE = view(
    "customer_first_purchase",
    [CUSTOMER],
    FOR_LONG,
    {
        "first_cds": "CDs bought on the customer's first day.",
        "first_amount": "Spent on the customer's first day, US dollars.",
    },
    "What the customer began with.",
)

CUSTOMER_LAST_PURCHASE = view(
    "customer_last_purchase",
    [CUSTOMER],
    FOR_LONG,
    {
        "last_cds": "CDs bought on the customer's newest day.",
        "last_amount": "Spent on the customer's newest day, US dollars.",
        "days_between_last_two": "Days between the customer's newest two days; missing while there is one.",
    },
    "What the customer bought last.",
)

WINDOWS = (28, 84)

CUSTOMER_WEEK = view(
    "customer_week",
    [CUSTOMER, WEEK],
    timedelta(days=7),
    {
        "days_since_first": "Days from the delivery of the customer's first day to the Sunday.",
        "days_since_last": "Days from the delivery of the customer's newest day to the Sunday.",
        "days_with_purchase": "Days with a purchase, of all that were delivered.",
        "spent": "Spent in all, US dollars.",
        **{f"days_with_purchase_{days}d": f"Days with a purchase among the last {days} delivered." for days in WINDOWS},
        **{f"spent_{days}d": f"Spent on the last {days} delivered days, US dollars." for days in WINDOWS},
    },
    "Recency, frequency and amounts, as of noon of the Sunday before.",
)

REPURCHASE_V1 = FeatureService(
    name="repurchase_v1",
    features=[CUSTOMER_FIRST_PURCHASE, CUSTOMER_LAST_PURCHASE, CUSTOMER_WEEK],
    description="What the model repurchase is trained and served on.",
    owner=OWNER,
    tags={"model": "repurchase"},
)
