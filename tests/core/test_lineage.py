"""What made a model, as text that changes when, and only when, something did."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from flightline.core.lineage import Lineage, canonical_json, digest_of

LINEAGE = Lineage("abc123", False, "d41d8.dir", "toy_v1", "f00", "10c", 7)
DECLARED = {"views": {"shop_recent": {"ttl_seconds": 21600.0}}}
CODE = {"features.py": "a = 1", "availability.py": "b = 2"}


def test_tags_name_every_field():
    tags = LINEAGE.as_tags()
    assert set(tags) == {f"lineage.{field.name}" for field in fields(Lineage)}
    assert tags["lineage.git_dirty"] == "False"
    assert tags["lineage.seed"] == "7"


def test_a_changed_field_changes_its_tag_only():
    changed = replace(LINEAGE, seed=8).as_tags()
    assert {name for name, value in changed.items() if value != LINEAGE.as_tags()[name]} == {"lineage.seed"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1, 2]}, '{"a":[1,2],"b":1}'),
        ((1, 2), "[1,2]"),
        (datetime(2013, 1, 1, tzinfo=UTC), '"2013-01-01 00:00:00+00:00"'),
        (timedelta(hours=6), '"6:00:00"'),
        ({"nested": {"z": None, "a": 0.1}}, '{"nested":{"a":0.1,"z":null}}'),
    ],
)
def test_canonical_text(value, text):
    assert canonical_json(value) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [((1, 2), (2, 1)), (("12",), ("1", "2")), ((1,), ("1",)), (({"a": 1},), ({"a": 1.5},)), (([1, 2],), ([2, 1],))],
    ids=["order of parts", "borders of parts", "number and text", "value", "order of a list"],
)
def test_different_values_have_different_digests(one, other):
    assert digest_of(*one) != digest_of(*other)


def test_the_order_of_names_changes_no_digest():
    assert digest_of(DECLARED, CODE) == digest_of(DECLARED, dict(reversed(CODE.items())))


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ({"views": {"shop_recent": {"ttl_seconds": 21601.0}}}, CODE),
        (DECLARED, CODE | {"features.py": "a = 2"}),
        (DECLARED, {"features.py": "b = 2", "availability.py": "a = 1"}),
        (DECLARED, CODE | {"new.py": ""}),
    ],
    ids=["a ttl", "a line of code", "files swapped", "a file added"],
)
def test_another_definition_has_another_digest(declared, code):
    assert digest_of(declared, code) != digest_of(DECLARED, CODE)


def test_the_digest_is_the_same_in_every_process():
    assert digest_of({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
