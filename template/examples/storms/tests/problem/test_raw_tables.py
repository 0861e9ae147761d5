"""Each rule about the fixes, broken once, and the first copy of the data."""

import pytest

from flightline.adapters.raw_files import RawFiles
from flightline.core.errors import ContractError
from flightline.data.contract import check_dataset
from tests.problem.conftest import fix

GOOD = [fix("2010-09-14T00"), fix("2010-09-14T06", wind="NA")]


def test_good_fixes_pass(project, write_rows):
    assert check_dataset(RawFiles(write_rows(GOOD)), project.raw_tables.contracts) == {"fixes": 2}


@pytest.mark.parametrize(
    ("place", "value", "broken"),
    [
        (0, "AL112010", "storm='AL112010' breaks: is a storm's serial number"),
        (1, "2010-09-14T05:00Z", "breaks: is YYYY-MM-DDTHH:00Z, every six hours"),
        (1, "2010-09-31T06:00Z", "breaks: is YYYY-MM-DDTHH:00Z, every six hours"),
        (1, "2010-09-14T06:00Z", "breaks: (storm, fixed_at) is unique in fixes"),
        (2, "CA", "basin='CA' breaks: is one of AL, EP, NI, SA, SI, SP, WP"),
        (2, "NA", "fixes/2010-09.csv:4: basin=None breaks: is never missing"),
        (3, 90.0, "latitude='90.0' breaks: lies between -75 and 75"),
        (4, 220.0, "longitude='220.0' breaks: lies between -180 and 180"),
        (5, "storm", "status='storm' breaks: is two capital letters"),
        (6, 1000, "wind='1000' breaks: lies between 5 and 220"),
        (6, 40.5, "wind='40.5' breaks: is a whole number"),
        (7, 40, "pressure='40' breaks: lies between 850 and 1050"),
    ],
)
def test_a_broken_rule_is_named(project, write_rows, place, value, broken):
    row = list(fix("2010-09-14T12"))
    row[place] = value
    with pytest.raises(ContractError) as refused:
        check_dataset(RawFiles(write_rows([*GOOD, tuple(row)])), project.raw_tables.contracts)
    assert broken in str(refused.value)


def test_the_first_copy_keeps_the_contract(project, tmp_path):
    project.raw_tables.write_seed(tmp_path)
    assert check_dataset(RawFiles(tmp_path), project.raw_tables.contracts) == {"fixes": 33_692}
    files = sorted(file.name for file in (tmp_path / "fixes").iterdir())
    assert (files[0], files[-1], len(files)) == ("2013-01.csv", "2024-12.csv", 144)  # no month is empty
    lines = (tmp_path / "fixes" / "2024-09.csv").read_text().splitlines()
    assert lines[:2] == [
        "storm,fixed_at,basin,latitude,longitude,status,wind,pressure",
        "2024233N15148,2024-09-01T00:00Z,WP,33.2,136.8,TD,25,997",
    ]
