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

PAGE = Entity(name="page", value_type=ValueType.STRING, description="Page of the English Wikipedia, _ for spaces.")
DAY = Entity(name="day", value_type=ValueType.STRING, description="The day that is asked about, YYYY-MM-DD.")

PAGE_LAST_COUNT = view(
    "page_last_count",
    [PAGE],
    timedelta(days=3),
    {"last_log_views": "Views of the page on the newest published day, natural logarithm."},
    "The newest count of the page.",
)

PAGE_RECENT = view(
    "page_recent",
    [PAGE],
    timedelta(days=7),
    {
        "page_recent_6d_mean_log_views": "Mean over the last 7 published days of the natural logarithm of views.",
        "page_recent_27d_mean_log_views": "Mean over the last 28 published days of the natural logarithm of views.",
    },
    "Recent counts of the page.",
)

PAGE_DAY_WEEK_BEFORE = view(
    "page_day_week_before",
    [PAGE, DAY],
    timedelta(days=7),
    {"log_views_week_before": "Views of the page seven days before the day asked about, natural logarithm."},
    "The same day of the week before.",
)

PAGE_DAY_YEAR_BEFORE = view(
    "page_day_year_before",
    [PAGE, DAY],
    timedelta(days=366),
    {"log_views_year_before": "Views of the page 52 weeks before the day asked about, natural logarithm."},
    "The same season of the year before.",
)

PAGE_VIEWS_V1 = FeatureService(
    name="page_views_v1",
    features=[PAGE_LAST_COUNT, PAGE_RECENT, PAGE_DAY_WEEK_BEFORE, PAGE_DAY_YEAR_BEFORE],
    description="What the model page-views is trained and served on, besides the request itself.",
    owner=OWNER,
    tags={"model": "page-views"},
)
