"""A request tells nothing by itself: all that is known of a customer is in the store."""

import pytest

REQUESTS = {"customer": [4, 21], "week": ["1998-04-06", "1998-04-06"]}


@pytest.mark.parametrize("function", ["keys", "features"])
def test_neither_keys_nor_features_follow_from_a_request(project, function):
    assert getattr(project.requests, function)(REQUESTS) == {}
