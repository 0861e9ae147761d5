"""Tables from elsewhere become the CSV files of data/, exactly."""

from datetime import date
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import psycopg
import pytest

from flightline.adapters.raw_files import RawFiles
from flightline.adapters.source_tables import as_cells, keep_other_rows, read_source, tidy_names, write_table
from flightline.core.errors import ContractError, DataError
from flightline.data.contract import TableContract, check_dataset
from tests.support.servers.postgres import PASSWORD, PostgresServer

MOMENT = "datetime64[ns, UTC]"
SCHEMA = pa.DataFrameSchema(
    {
        "shop": pa.Column("object"),
        "sold_at": pa.Column(MOMENT, coerce=True),
        "amount": pa.Column("Float64", nullable=True, coerce=True),
    },
    strict=True,
    ordered=True,
)
CONTRACT = TableContract(SCHEMA, key=("shop", "sold_at"), is_monthly=True, month_from=("sold_at",))
FRAME = pd.DataFrame(
    {
        "shop": ["S2", "S1", "S1"],
        "sold_at": pd.to_datetime(
            ["2020-02-01T00:30:00+01:00", "2020-01-05T10:00:00Z", "2020-02-07T10:00:00Z"], utc=True
        ),
        "amount": [0.1 + 0.2, None, 1e-7],
    }
)


def texts(column: list[object], kind: str, zone: str = "UTC") -> list[str]:
    return as_cells(pd.Series(column, name="cell"), kind, zone).tolist()


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        ([0.1 + 0.2, 1e-7, None], "Float64", ["0.30000000000000004", "1e-07", "NA"]),
        (["0.10", "5"], "Float64", ["0.10", "5"]),
        ([1.0, None], "Int64", ["1", "NA"]),
        (["true", "False"], "Int64", ["1", "0"]),
        ([True, False], "Int64", ["1", "0"]),
        (["a\nb", None], "object", ["a b", "NA"]),
        (["2020-03-29T01:30:00"], MOMENT, ["2020-03-29T01:30:00Z"]),
        ([date(2020, 3, 29)], MOMENT, ["2020-03-29T00:00:00Z"]),
        (
            ["2020-03-29T10:00:00+02:00", "2020-03-29T10:00:00Z"],
            MOMENT,
            ["2020-03-29T08:00:00Z", "2020-03-29T10:00:00Z"],
        ),
    ],
)
def test_a_cell_is_written_as_the_contract_reads_it(column, kind, expected):
    assert texts(column, kind) == expected


def test_times_without_a_zone_are_those_of_the_named_clock():
    shown_twice, skipped = "2020-10-25T02:30:00", "2020-03-29T02:30:00"
    assert texts(["2020-07-01T12:00:00", shown_twice, skipped], MOMENT, "Europe/Berlin") == [
        "2020-07-01T10:00:00Z",
        "2020-10-25T00:30:00Z",
        "2020-03-29T01:00:00Z",
    ]


def test_an_offset_may_have_hours_alone():
    assert texts(["2020-01-01 00:30:00+01", "2020-07-01 00:30:00.5+02"], MOMENT, "Asia/Tokyo") == [
        "2019-12-31T23:30:00Z",
        "2020-06-30T22:30:00Z",
    ]


def test_what_is_no_time_is_named_with_its_row():
    with pytest.raises(DataError, match="cell holds 'soon' in row 2, expected a time"):
        texts(["2020-01-01", "soon"], MOMENT)
    with pytest.raises(DataError, match="cell holds times with and without a zone"):
        texts(["2020-01-01", "2020-01-01T10:00Z"], MOMENT)
    with pytest.raises(DataError, match="cell holds times with and without a zone"):
        texts(["2020-01-01 10:00:00", "2020-01-01 10:00:00+01"], MOMENT)


def test_text_holds_nothing_that_the_files_of_data_may_not(tmp_path: Path):
    write_table(FRAME.assign(shop="a\u2028\x85\r\nb\ufeff"), CONTRACT, tmp_path / "sales")
    assert set(RawFiles(tmp_path)["sales/2020-01.csv"]["shop"]) == {"a b "}


def test_an_address_with_a_password_is_refused_and_not_repeated():
    with pytest.raises(DataError, match="holds a password, and it would be committed") as refused:
        read_source("postgresql://me:secret@db.example/shop")
    assert "secret" not in str(refused.value)


def test_columns_that_would_share_a_name_are_refused():
    with pytest.raises(DataError, match="two columns would be named order_id"):
        tidy_names(pd.DataFrame(columns=["Order ID", "order-id"]))


def test_a_table_lies_by_month_and_keeps_its_contract(tmp_path: Path):
    write_table(FRAME, CONTRACT, tmp_path / "sales")
    assert sorted(file.name for file in (tmp_path / "sales").iterdir()) == ["2020-01.csv", "2020-02.csv"]
    assert (tmp_path / "sales/2020-01.csv").read_text() == (
        "shop,sold_at,amount\nS1,2020-01-05T10:00:00Z,NA\nS2,2020-01-31T23:30:00Z,0.30000000000000004\n"
    )
    assert check_dataset(RawFiles(tmp_path), {"sales": CONTRACT}) == {"sales": 3}


def test_a_column_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="the source lacks amount; it has shop, sold_at"):
        write_table(FRAME.drop(columns="amount"), CONTRACT, tmp_path / "sales")


def test_rows_that_are_alike_are_numbered_if_the_key_says_so(tmp_path: Path):
    schema = SCHEMA.add_columns({"row": pa.Column("Int64", coerce=True)})
    contract = TableContract(schema, key=("shop", "sold_at", "row"), is_monthly=True, month_from=("sold_at",))
    write_table(pd.concat([FRAME, FRAME.tail(1)]), contract, tmp_path / "sales")
    assert (tmp_path / "sales/2020-02.csv").read_text().splitlines()[1:] == [
        "S1,2020-02-07T10:00:00Z,1e-07,0",
        "S1,2020-02-07T10:00:00Z,1e-07,1",
    ]


@pytest.mark.parametrize("kind", ["orders.csv", "orders.csv.gz", "orders.parquet", "folder"])
def test_each_kind_of_source_gives_the_same_files(tmp_path: Path, kind: str):
    source = tmp_path / kind
    if kind == "folder":
        source.mkdir()
        FRAME.head(2).to_parquet(source / "a.parquet")
        FRAME.tail(1).to_parquet(source / "b.parquet")
    elif kind.endswith("parquet"):
        FRAME.to_parquet(source)
    else:
        FRAME.to_csv(source, index=False)
    write_table(read_source(str(source)), CONTRACT, tmp_path / "read")
    write_table(FRAME, CONTRACT, tmp_path / "expected")
    for file in ("2020-01.csv", "2020-02.csv"):
        assert (tmp_path / "read" / file).read_text() == (tmp_path / "expected" / file).read_text()


def test_a_source_that_is_not_there_or_disagrees_with_itself_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"where there is no table; expected a .csv"):
        read_source(str(tmp_path / "absent.csv"))
    FRAME.to_parquet(tmp_path / "a.parquet")
    FRAME.drop(columns="amount").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet has the columns shop, sold_at, and .*a.parquet shop"):
        read_source(str(tmp_path))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"torn.parquet cannot be read"):
        read_source(str(tmp_path / "torn.parquet"))


@pytest.mark.parametrize(
    ("rows", "cells", "line"), [("S1,1,\nS2,2,\n", 3, 2), ("S1,1\nS2,2,3\n", 3, 3), ('S1,1\n"S\n2"\n', 1, 4)]
)
def test_a_csv_whose_rows_are_not_as_wide_as_its_header_is_refused(tmp_path: Path, rows: str, cells: int, line: int):
    (tmp_path / "a.csv").write_text(f"shop,amount\n{rows}")
    with pytest.raises(DataError, match=rf"a.csv has {cells} cells in line {line}, expected 2, as in its header"):
        read_source(str(tmp_path / "a.csv"))


def test_a_csv_may_have_a_mark_quoted_breaks_and_empty_lines(tmp_path: Path):
    (tmp_path / "a.csv").write_text(
        '"shop, or all",amount\r\n"S\n1",1\r\n\r\nS2,\r\n', encoding="utf-8-sig", newline=""
    )
    assert read_source(str(tmp_path / "a.csv")).fillna("-").to_dict("list") == {
        "shop_or_all": ["S\n1", "S2"],
        "amount": ["1", "-"],
    }


def test_rows_of_a_known_month_stay_unless_a_new_one_has_their_key(tmp_path: Path):
    write_table(FRAME, CONTRACT, tmp_path / "data/sales")
    newer = FRAME.tail(1).assign(amount=7.5)
    late = newer.assign(shop="S9")
    write_table(pd.concat([newer, late]), CONTRACT, tmp_path / "new/sales")
    keep_other_rows(tmp_path / "new", tmp_path / "data", {"sales": CONTRACT})
    assert (tmp_path / "new/sales/2020-02.csv").read_text().splitlines()[1:] == [
        "S1,2020-02-07T10:00:00Z,7.5",
        "S9,2020-02-07T10:00:00Z,7.5",
    ]
    newer.assign(sold_at=pd.Timestamp("2020-01-20", tz="UTC")).pipe(write_table, CONTRACT, tmp_path / "more/sales")
    keep_other_rows(tmp_path / "more", tmp_path / "data", {"sales": CONTRACT})
    assert len((tmp_path / "more/sales/2020-01.csv").read_text().splitlines()) == 1 + 3


def test_two_new_rows_of_one_key_are_left_for_the_contract_to_refuse(tmp_path: Path):
    write_table(FRAME, CONTRACT, tmp_path / "data/sales")
    write_table(pd.concat([FRAME.tail(1), FRAME.tail(1).assign(amount=7.5)]), CONTRACT, tmp_path / "new/sales")
    keep_other_rows(tmp_path / "new", tmp_path / "data", {"sales": CONTRACT})
    with pytest.raises(ContractError, match=r"\(shop, sold_at\) is unique in sales"):
        check_dataset(RawFiles(tmp_path / "new"), {"sales": CONTRACT})


def test_rows_of_a_table_that_is_one_file_stay_too(tmp_path: Path):
    contract = TableContract(SCHEMA, key=("shop",), is_monthly=False)
    for folder, rows in (("data", "S1,A,1\nS2,A,2\n"), ("new", "S1,A,3\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shops.csv").write_text(f"shop,sold_at,amount\n{rows}")
    keep_other_rows(tmp_path / "new", tmp_path / "data", {"shops": contract})
    assert (tmp_path / "new/shops.csv").read_text() == "shop,sold_at,amount\nS2,A,2\nS1,A,3\n"


def test_a_table_of_postgresql_is_read_with_the_password_of_the_environment(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE sold (shop text, sold_at timestamptz, amount double precision)")
        rows = FRAME.astype(object).where(FRAME.notna(), None).itertuples(index=False)
        connection.cursor().executemany("INSERT INTO sold VALUES (%s, %s, %s)", [tuple(row) for row in rows])
    try:
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        address = f"postgresql://tester@127.0.0.1:{postgres_server.port}/postgres"
        write_table(read_source(f"{address}#sold"), CONTRACT, tmp_path / "read")
        write_table(FRAME, CONTRACT, tmp_path / "expected")
        for file in ("2020-01.csv", "2020-02.csv"):
            assert (tmp_path / "read" / file).read_text() == (tmp_path / "expected" / file).read_text()
        with pytest.raises(DataError, match="gives no table bought"):
            read_source(f"{address}#bought")
        with pytest.raises(DataError, match="which names no table"):
            read_source(address)
    finally:
        with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP TABLE sold")
