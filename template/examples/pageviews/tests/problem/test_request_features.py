"""The features of a request alone, by hand."""

import numpy as np
import pandas as pd

REQUESTS = {"page": ["Lent", "Easter"], "day": ["2024-02-29", "2023-01-02"]}


def test_they_are_the_page_and_the_place_in_week_and_year(project):
    found = project.requests.features(REQUESTS)
    assert list(found) == ["page", "day_of_week", "day_of_year"]
    assert list(found["page"]) == ["Lent", "Easter"]
    assert list(found["day_of_week"]) == [3.0, 0.0]  # a Thursday and a Monday
    assert list(found["day_of_year"]) == [60.0, 2.0]


def test_lists_and_a_frame_give_the_same(project):
    of_lists, of_frame = (project.requests.features(form) for form in (REQUESTS, pd.DataFrame(REQUESTS)))
    for name, values in of_lists.items():
        np.testing.assert_array_equal(values, of_frame[name])


def test_no_key_follows_from_a_request(project):
    assert project.requests.keys(REQUESTS) == {}
