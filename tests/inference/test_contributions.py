"""What drove an answer, on a model whose answer is known by heart."""

import pytest

from flightline.inference.contributions import contributions, group_columns

TYPICAL = {"a": 1.0, "b": 2.0, "c": 3.0}
GROUPS = {"near": ("a", "b"), "request": ("c",)}


def product(rows):
    return [row["a"] * row["b"] + row["c"] for row in rows]


def test_each_group_is_set_to_what_is_typical_in_one_call():
    calls = []

    def counted(rows):
        calls.append(len(rows))
        return product(rows)

    rows = [{"a": 4.0, "b": 5.0, "c": 3.5}, {"a": 1.0, "b": 2.0, "c": 3.0}]
    first, second = contributions(counted, rows, product(rows), GROUPS, TYPICAL)
    assert calls == [4]
    assert [(each.group, each.if_typical, each.change) for each in first] == [
        ("near", 5.5, 18.0),
        ("request", 23.0, 0.5),
    ]
    assert (first[0].values, first[0].typical) == ({"a": 4.0, "b": 5.0}, {"a": 1.0, "b": 2.0})
    assert [each.change for each in second] == [0.0, 0.0]


def test_of_several_classes_each_changes():
    def two(rows):
        return [[row["a"] / 10, 1 - row["a"] / 10] for row in rows]

    (found,) = contributions(two, [{"a": 4.0}], [[0.4, 0.6]], {"near": ("a",)}, {"a": 1.0})
    assert found[0].change == pytest.approx([0.3, -0.3])
    assert found[0].size == pytest.approx(0.3)


def test_a_group_without_a_column_of_the_model_is_left_out():
    assert group_columns(("a",), {"near": ("a",), "far": ("z",)}, set()) == {"near": ("a",)}


def test_a_model_without_columns_of_groups_has_no_contribution():
    assert contributions(product, [{"a": 1.0}], [1.0], {}, {}) == [[]]
