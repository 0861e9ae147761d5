"""A contract of two small tables, broken in each way once."""

from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest

from flightline.core.errors import ContractError
from flightline.data.contract import ForeignKey, TableContract, Violation, check_dataset, describe, table_of

ZONES = TableContract(
    pa.DataFrameSchema(
        {"zone": pa.Column("object"), "size": pa.Column("Float64", nullable=True, coerce=True)}, strict=True
    ),
    key=("zone",),
    is_monthly=False,
)
TRIPS = TableContract(
    pa.DataFrameSchema(
        {
            "year": pa.Column("Int64", coerce=True),
            "month": pa.Column("Int64", coerce=True),
            "trip": pa.Column("Int64", pa.Check.in_range(1, 99, error="lies between 1 and 99"), coerce=True),
            "zone": pa.Column("object", pa.Check.str_matches("^[A-Z]$", error="matches ^[A-Z]$"), nullable=True),
            "start": pa.Column(pd.DatetimeTZDtype("ns", "UTC"), coerce=True),
        },
        checks=pa.Check(lambda f: (f["trip"] != 13).astype(bool), error="trip 13 is never in a month"),
        strict=True,
    ),
    key=("year", "trip"),
    is_monthly=True,
    foreign_keys={"zone": ForeignKey("zones", "zone", exempt=frozenset("Z"))},
)
CONTRACTS = {"zones": ZONES, "trips": TRIPS}
JANUARY, FEBRUARY = "trips/2020-01.csv", "trips/2020-02.csv"


def _frame(columns: str, *rows: str) -> pd.DataFrame:
    cells = [[None if cell == "NA" else cell for cell in row.split(",")] for row in rows]
    return pd.DataFrame(cells, columns=columns.split(","), dtype=object)


def _good() -> dict[str, pd.DataFrame]:
    columns = "year,month,trip,zone,start"
    return {
        "zones.csv": _frame("zone,size", "A,1.5", "B,NA"),
        JANUARY: _frame(columns, "2020,1,1,A,2020-01-01T10:00:00Z", "2020,1,2,NA,2020-01-31T23:59:59Z"),
        FEBRUARY: _frame(columns, "2020,2,3,Z,2020-02-01T10:00:00Z", "2020,2,4,B,2020-02-29T00:00:00Z"),
    }


def test_a_good_data_set_counts_its_rows() -> None:
    assert check_dataset(_good(), CONTRACTS) == {"zones": 2, "trips": 4}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("trip", "x", "is a whole number"),
        ("trip", "", "is a whole number"),
        ("trip", "5.0", "is a whole number"),
        ("trip", " 5", "is a whole number"),
        ("trip", "\uff14\uff16", "is a whole number"),
        ("trip", "\u0664", "is a whole number"),
        ("trip", None, "is never missing"),
        ("trip", "100", "lies between 1 and 99"),
        ("trip", str(2**63 - 1), "lies between 1 and 99"),
        ("trip", str(2**63), "is a value of type Int64"),
        ("zone", "AB", "matches ^[A-Z]$"),
        ("zone", "C", "zone is found in zones.zone"),
        ("start", "yesterday", "is a time in UTC, YYYY-MM-DDTHH:MM:SSZ"),
        ("start", "2020-01-01 10:00:00", "is a time in UTC, YYYY-MM-DDTHH:MM:SSZ"),
        ("start", "2020-01-01T10:00:00+02:00", "is a time in UTC, YYYY-MM-DDTHH:MM:SSZ"),
        ("start", "\uff12\uff10\uff12\uff10-01-01T10:00:00Z", "is a time in UTC, YYYY-MM-DDTHH:MM:SSZ"),
        ("start", "2020-02-30T10:00:00Z", "is a value of type datetime64[ns, UTC]"),
        ("start", None, "is never missing"),
    ],
)
def test_a_broken_cell_is_named_once(column: str, value: str | None, rule: str) -> None:
    raw = _good()
    raw[JANUARY].loc[1, column] = value
    with pytest.raises(ContractError) as broken:
        check_dataset(raw, CONTRACTS)
    assert _violations(broken) == [f"{JANUARY}:3: {column}={value!r} breaks: {rule}"]


@pytest.mark.parametrize("value", ["x", "1,5", "nan", "inf", "1e", "", "\uff14.5", "1e\uff11"])
def test_a_number_is_a_number(value: str) -> None:
    raw = _good()
    raw["zones.csv"].loc[0, "size"] = value
    with pytest.raises(ContractError) as broken:
        check_dataset(raw, CONTRACTS)
    assert _violations(broken) == [f"zones.csv:2: size={value!r} breaks: is a number"]


@pytest.mark.parametrize("value", ["-1", "0.25", "1e+05", "1.5E-3", None])
def test_ways_to_write_a_number(value: str | None) -> None:
    raw = _good()
    raw["zones.csv"].loc[0, "size"] = value
    assert check_dataset(raw, CONTRACTS)["zones"] == 2


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"trip": "13"}, "month,trip=('1', '13') breaks: trip 13 is never in a month"),
        ({"month": "2"}, "year,month='2020-02' breaks: rows of this file lie in 2020-01"),
        ({"year": "2019"}, "year,month='2019-01' breaks: rows of this file lie in 2020-01"),
        ({"trip": "1"}, "year,trip=('2020', '1') breaks: (year, trip) is unique in trips"),
    ],
)
def test_a_broken_row_is_named_once_with_its_values(cells: dict[str, str], says: str) -> None:
    raw = _good()
    for column, value in cells.items():
        raw[JANUARY].loc[1, column] = value
    with pytest.raises(ContractError) as broken:
        check_dataset(raw, CONTRACTS)
    assert _violations(broken) == [f"{JANUARY}:3: {says}"]


def test_a_key_is_unique_over_all_files() -> None:
    raw = _good()
    raw[FEBRUARY].loc[0, "trip"] = "2"
    with pytest.raises(ContractError, match=r"2020-02\.csv:2: year,trip=\('2020', '2'\) breaks: .* unique in trips"):
        check_dataset(raw, CONTRACTS)


def _drop(file: str) -> Any:
    return lambda raw: raw.pop(file)


def _rename(file: str, to: str) -> Any:
    return lambda raw: raw.update({to: raw.pop(file)})


def _replace(file: str, frame: pd.DataFrame) -> Any:
    return lambda raw: raw.update({file: frame})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_drop("zones.csv"), "zones: breaks: a table has at least one file"),
        (
            _rename(JANUARY, "trips/january.csv"),
            "trips/january.csv: breaks: the file of trips is named trips/YYYY-MM.csv",
        ),
        (
            _rename(JANUARY, "trips/2020-13.csv"),
            "trips/2020-13.csv: breaks: the file of trips is named trips/YYYY-MM.csv",
        ),
        (_rename(JANUARY, "trips.csv"), "trips.csv: breaks: the file of trips is named trips/YYYY-MM.csv"),
        (_rename("zones.csv", "zones/2020-01.csv"), "zones/2020-01.csv: breaks: the file of zones is zones.csv"),
        (_rename(JANUARY, "rides/2020-01.csv"), "rides/2020-01.csv: breaks: a file belongs to one of: zones, trips"),
        (_rename(JANUARY, "2020-01.csv"), "2020-01.csv: breaks: a file belongs to one of: zones, trips"),
        (_replace("zones.csv", _frame("zone", "A")), "zones.csv: breaks: columns must be zone, size; got zone"),
        (
            _replace("zones.csv", _frame("size,zone", "1,A")),
            "zones.csv: breaks: columns must be zone, size; got size, zone",
        ),
        (
            _replace("zones.csv", _frame("zone,size,x", "A,1,2")),
            "zones.csv: breaks: columns must be zone, size; got zone, size, x",
        ),
        (_replace("zones.csv", _frame("zone,size")), "zones.csv: breaks: a file holds at least one row"),
    ],
)
def test_a_broken_file_is_named(change: Any, says: str) -> None:
    raw = _good()
    change(raw)
    with pytest.raises(ContractError) as broken:
        check_dataset(raw, CONTRACTS)
    assert _violations(broken) == [says]


def test_a_long_cell_is_shown_in_short():
    text = str(Violation("x.csv", 2, "n", "9" * 400_000, "is a number"))
    assert text.endswith("... (400,002 characters) breaks: is a number")
    assert len(text) < 300


def test_many_violations_are_counted_and_the_first_shown() -> None:
    violations = [Violation("x.csv", line, "n", "?", "is a number") for line in range(2, 10)]
    text = describe(violations)
    assert text.startswith("8 violation(s) of the data contract in 1 file(s)")
    assert text.count("x.csv:") == 5
    assert "... and 3 more in x.csv" in text


def test_many_broken_files_are_counted_and_the_first_shown() -> None:
    text = describe([Violation(f"{name}.csv", None, None, None, "a file holds rows") for name in "abcdefgh"])
    assert [line.strip() for line in text.splitlines()[5:7]] == [
        "e.csv: breaks: a file holds rows",
        "... and 3 more file(s)",
    ]


@pytest.mark.parametrize(
    ("column", "inside", "outside"),
    [
        (pa.Column("object"), "2020-01-31", "2020-02-01"),
        (pa.Column(pd.DatetimeTZDtype("ns", "UTC"), coerce=True), "2020-01-31T23:59:59Z", "2020-02-01T00:00:00Z"),
    ],
    ids=["day", "time"],
)
def test_a_month_may_be_that_of_one_column(column: pa.Column, inside: str, outside: str) -> None:
    schema = pa.DataFrameSchema({"at": column})
    contract = TableContract(schema, key=("at",), is_monthly=True, month_from=("at",))
    with pytest.raises(ContractError) as broken:
        check_dataset({JANUARY: _frame("at", inside, outside)}, {"trips": contract})
    assert _violations(broken) == [f"{JANUARY}:3: at='2020-02' breaks: rows of this file lie in 2020-01"]


@pytest.mark.parametrize(
    ("file", "table"), [("trips/2020-01.csv", "trips"), ("zones.csv", "zones"), ("a/b/c.csv", "a")]
)
def test_a_file_belongs_to_a_table(file: str, table: str) -> None:
    assert table_of(file) == table


def _violations(broken: pytest.ExceptionInfo[ContractError]) -> list[str]:
    return [line.strip() for line in str(broken.value).splitlines()[1:-1]]
