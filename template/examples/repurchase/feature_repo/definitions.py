"""CHANGE ME for your own problem: what Feast knows of the features. Declarations only.

Feast imports this file on its own; nothing else does, and nothing here may have a side
effect. Each view's source is the table of the same name in `flightline.problem.features`; its ttl is
how old a value may be and still count.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

OWNER = "mlops@flightline.example"

CUSTOMER = Entity(name="customer", value_type=ValueType.INT64, description="Number of the customer.")
WEEK = Entity(name="week", value_type=ValueType.STRING, description="The Monday that is asked about, YYYY-MM-DD.")


def _view(name: str, entities: list[Entity], ttl: timedelta, features: dict[str, str], description: str) -> FeatureView:
    return FeatureView(
        name=name,
        entities=entities,
        ttl=ttl,
        schema=[Field(name=feature, dtype=Float64, description=meaning) for feature, meaning in features.items()],
        source=FileSource(
            name=f"{name}_table",
            path=f"../.state/features/current/{name}.parquet",
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        ),
        online=True,
        description=description,
        owner=OWNER,
    )


# What somebody bought first or last stays true until the next purchase, however late that comes.
FOR_LONG = timedelta(days=3 * 365)

CUSTOMER_FIRST_PURCHASE = _view(
    "customer_first_purchase",
    [CUSTOMER],
    FOR_LONG,
    {
        "first_cds": "CDs bought on the customer's first day.",
        "first_amount": "Spent on the customer's first day, US dollars.",
    },
    "What the customer began with.",
)

CUSTOMER_LAST_PURCHASE = _view(
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

CUSTOMER_WEEK = _view(
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
