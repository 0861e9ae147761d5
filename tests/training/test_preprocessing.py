"""What was never seen is encoded as what it is most like: a rare category, or a missing one."""

import numpy as np
import pandas as pd
import pytest

from flightline.training.preprocessing import MAX_CODES, MIN_CATEGORY_ROWS, Columns, as_codes, as_numbers

COLUMNS = Columns(("units",), ("shop",))
OFTEN, RARELY = 2 * MIN_CATEGORY_ROWS, MIN_CATEGORY_ROWS // 2
TRAIN = pd.DataFrame({"shop": ["S01"] * OFTEN + ["S02"] * OFTEN + ["S04"] * RARELY})
TRAIN = TRAIN.astype(object).assign(units=np.arange(len(TRAIN), dtype=float))


def asked(*shops: str | None) -> pd.DataFrame:
    return pd.DataFrame({"shop": pd.Series(shops, dtype=object), "units": 5.0})


@pytest.mark.parametrize("shop", ["ZZ", "", "s01", "a name of no shop"])
def test_an_unseen_category_counts_as_rare_among_columns(shop):
    encoder = as_numbers(COLUMNS, 0).fit(TRAIN)
    unseen, rare, known = encoder.transform(asked(shop, "S04", "S01"))
    assert np.array_equal(unseen, rare)
    assert not np.array_equal(unseen, known)


def test_without_a_rare_category_an_unseen_one_is_none_of_the_known():
    encoder = as_numbers(COLUMNS, 0).fit(TRAIN[TRAIN["shop"] != "S04"])
    columns = [name.startswith("categories__") for name in encoder.get_feature_names_out()]
    assert encoder.transform(asked("ZZ"))[0, columns].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shop", ["ZZ", "", None])
def test_an_unseen_category_is_a_missing_one_for_trees(shop):
    encoder = as_codes(COLUMNS, 0).fit(TRAIN)
    assert np.isnan(encoder.transform(asked(shop))[0, 0])
    assert not np.isnan(encoder.transform(asked("S01", "S02", "S04"))[:, 0]).any()


def test_more_categories_than_a_tree_can_hold_share_a_code():
    many = pd.DataFrame({"shop": [f"C{i:03}" for i in range(MAX_CODES + 50)] + ["C000"] * 10})
    many = many.astype(object).assign(units=0.0)
    codes = as_codes(COLUMNS, 0).fit_transform(many)[:, 0]
    assert len(np.unique(codes)) <= MAX_CODES
    assert np.sum(codes == codes[1]) > 1


def test_a_missing_number_is_the_median_and_says_so():
    train = TRAIN.assign(units=TRAIN["units"].where(TRAIN.index % 2 == 0))
    encoder = as_numbers(COLUMNS, 0).fit(train)
    missing, median = encoder.transform(asked("S01", "S01").assign(units=[np.nan, train["units"].median()]))
    names = list(encoder.get_feature_names_out())
    flag = names.index("numbers__missingindicator_units")
    assert missing[flag] > median[flag]
    assert np.array_equal(np.delete(missing, flag), np.delete(median, flag))
