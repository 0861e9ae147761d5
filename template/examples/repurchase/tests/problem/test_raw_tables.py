"""Each rule about the purchases, broken once, and the first copy of the data."""

import pytest

from flightline.adapters.raw_files import RawFiles
from flightline.core.errors import ContractError
from flightline.data.contract import check_dataset

GOOD = [(4, "1997-01-01", 1, 2, 29.33), (4, "1997-01-01", 2, 2, 29.33), (21, "1997-01-02", 1, 1, 0.0)]


def test_good_purchases_pass(project, write_rows):
    assert check_dataset(RawFiles(write_rows(GOOD)), project.raw_tables.contracts) == {"purchases": 3}


@pytest.mark.parametrize(
    ("row", "broken"),
    [
        ((0, "1997-01-02", 1, 1, 9.0), "purchases/1997-01.csv:5: customer='0' breaks: lies between 1 and 1000000"),
        (("A7", "1997-01-02", 1, 1, 9.0), "customer='A7' breaks: is a whole number"),
        ((5, "1997-01-32", 1, 1, 9.0), "breaks: is a day, YYYY-MM-DD"),
        ((5, "1997-01-02", 1, 0, 9.0), "cds='0' breaks: lies between 1 and 100"),
        ((5, "1997-01-02", 1, 1, -9.0), "amount='-9.0' breaks: lies between 0 and 2000"),
        ((4, "1997-01-01", 2, 1, 9.0), "breaks: (customer, day, number) is unique in purchases"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(project, write_rows, row, broken):
    with pytest.raises(ContractError) as refused:
        check_dataset(RawFiles(write_rows([*GOOD, row])), project.raw_tables.contracts)
    assert broken in str(refused.value)


def test_the_first_copy_keeps_the_contract(project, tmp_path):
    project.raw_tables.write_seed(tmp_path)
    assert check_dataset(RawFiles(tmp_path), project.raw_tables.contracts) == {"purchases": 6_919}
    files = sorted(file.name for file in (tmp_path / "purchases").iterdir())
    assert (files[0], files[-1], len(files)) == ("1997-01.csv", "1998-06.csv", 18)


def test_a_line_of_the_first_copy_is_a_line_of_the_list(project, tmp_path):
    project.raw_tables.write_seed(tmp_path)
    lines = (tmp_path / "purchases" / "1997-01.csv").read_text().splitlines()
    assert lines[:2] == ["customer,day,number,cds,amount", "4,1997-01-01,1,2,29.33"]
    assert "4,1997-01-18,1,2,29.73" in lines
