"""What the features flow demands of a problem's own functions before anything is written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flightline.core.errors import FeatureError
from flightline.problem.config import PROBLEM
from pipelines.steps.features import check_examples, features_key

TOY = replace(PROBLEM, entity_keys=("zone",), request_columns=("start",), slices=("zone",), label="fare")
COLUMNS = ("example_id", "event_timestamp", "outcome", "label_known_at", "zone", "start", "fare")


def test_examples_with_every_named_column_are_taken():
    check_examples((*COLUMNS, "more"), TOY)


@pytest.mark.parametrize("absent", COLUMNS)
def test_examples_that_lack_a_column_are_refused(absent):
    with pytest.raises(FeatureError, match=f"the examples lack {absent}; every problem has example_id, "):
        check_examples([name for name in COLUMNS if name != absent], TOY)


@pytest.mark.parametrize(
    "change",
    [
        {"label": "other"},
        {"entity_keys": ("other",)},
        {"request_columns": ("other",)},
        {"slices": ()},
        {"prediction_horizon": timedelta(hours=1)},
        {"leak_test_moments": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_examples_are_made_of_is_part_of_their_key(change: dict[str, Any]):
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert features_key("md5", noon, replace(TOY, **change)) != features_key("md5", noon, TOY)
    assert features_key("md5", noon, replace(TOY)) == features_key("md5", noon, TOY)
