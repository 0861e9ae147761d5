"""Each rule about the counts, broken once, and the first copy of the data."""

import pytest

from flightline.adapters.raw_files import RawFiles
from flightline.core.errors import ContractError
from flightline.data.contract import check_dataset

GOOD = [("Lent", "2020-01-01", 100), ("Lent", "2020-01-02", 120), ("Easter", "2020-01-01", 90)]


def test_good_counts_pass(project, write_rows):
    contracts = project.raw_tables.contracts
    assert check_dataset(RawFiles(write_rows(GOOD)), contracts) == {"views": 3}


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ([*GOOD, ("Easter", "2020-01-02", 0)], "views/2020-01.csv:5: views='0' breaks: lies between 1 and 100000000"),
        ([*GOOD, ("Easter", "2020-01-2", 9)], "breaks: is a day, YYYY-MM-DD"),
        ([*GOOD, ("Good Friday", "2020-01-02", 9)], "breaks: is a page's name, with _ for spaces"),
        ([*GOOD, ("Lent", "2020-01-02", 121)], r"breaks: (page, day) is unique in views"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(project, write_rows, rows, broken):
    with pytest.raises(ContractError) as refused:
        check_dataset(RawFiles(write_rows(rows)), project.raw_tables.contracts)
    assert broken in str(refused.value)


def test_columns_in_another_order_are_refused(project, write_rows):
    folder = write_rows([("100", "2020-01-01", "Lent")], header="views,day,page")
    with pytest.raises(ContractError, match="columns must be page, day, views"):
        check_dataset(RawFiles(folder), project.raw_tables.contracts)


def test_the_first_copy_keeps_the_contract(project, tmp_path):
    project.raw_tables.write_seed(tmp_path)
    assert check_dataset(RawFiles(tmp_path), project.raw_tables.contracts) == {"views": 57_380}
    files = sorted(file.name for file in (tmp_path / "views").iterdir())
    assert (files[0], files[-1], len(files)) == ("2017-01.csv", "2024-11.csv", 95)
