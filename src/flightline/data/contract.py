"""What a raw table promises, and the check that it keeps the promise.

The promises themselves are declared in `raw_tables.py`; this file knows no table by name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from flightline.core.errors import ContractError

HEADER_LINES = 1
MISSING = "NA"
SHOWN_VIOLATIONS = 5
SHOWN_FILES = 5
SHOWN_CHARACTERS = 200

# What text a cell of a typed column may hold. Checked before pandas converts anything: it
# takes "5.0" for an integer, reads a time without a zone as UTC, and when it fails on a
# column it does not always say in which row. No \d: it stands for digits of every script, and
# DuckDB reads ASCII's only.
_TEXT_OF_TYPE = {
    "Int64": (r"-?[0-9]{1,19}", "is a whole number"),
    "Float64": (r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", "is a number"),
    "datetime64[ns, UTC]": (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
        "is a time in UTC, YYYY-MM-DDTHH:MM:SSZ",
    ),
}


@dataclass(frozen=True)
class ForeignKey:
    """Values of a column that must stand in a column of another table.

    Parameters
    ----------
    table, column
        Where each value must be found.
    exempt
        Values allowed to be absent there, each one decided and documented.
    """

    table: str
    column: str
    exempt: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TableContract:
    """The promise of one raw table.

    Parameters
    ----------
    schema
        Column names, types, ranges and row rules. Strict: no column more or less.
    key
        Columns that together identify a row; unique over all files of the table.
    is_monthly
        True for one file a month, ``<table>/YYYY-MM.csv``, whose rows lie in that month;
        False for ``<table>.csv``.
    foreign_keys
        By column, where its values must exist.
    month_from
        What tells the month of a row of a monthly table: the columns of year and month, or
        one column of dates (text, YYYY-MM-DD) or times (UTC).
    """

    schema: pa.DataFrameSchema
    key: tuple[str, ...]
    is_monthly: bool
    foreign_keys: Mapping[str, ForeignKey] = field(default_factory=dict)
    month_from: tuple[str] | tuple[str, str] = ("year", "month")

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in file order."""
        return tuple(self.schema.columns)


@dataclass(frozen=True)
class Violation:
    """One row, or one whole file, that breaks a rule."""

    file: str
    line: int | None
    column: str | None
    value: object
    rule: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        what = "" if self.column is None else f" {self.column}={_shortened(repr(self.value))}"
        return f"{where}:{what} breaks: {self.rule}"


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}... ({len(text):,} characters)"


class UnreadableFileError(ContractError):
    """A file cannot be read as a table; the violation says where and why."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(describe([violation]))
        self.violation = violation


def table_of(file: str) -> str:
    """Name the table that a file of data/ belongs to.

    Examples
    --------
    >>> table_of("trips/2020-01.csv"), table_of("zones.csv")
    ('trips', 'zones')
    """
    return file.split("/")[0].removesuffix(".csv")


def check_file(file: str, raw: pd.DataFrame, contract: TableContract) -> tuple[pd.DataFrame, list[Violation]]:
    """Check one file against its table's schema.

    Parameters
    ----------
    file
        Path below data/, named in the violations.
    raw
        Its cells as text, missing ones as None, index 0..n-1 in file order.
    contract
        The table's promise.

    Returns
    -------
    tuple
        The typed frame (empty if the schema is broken) and the violations.
    """
    found = _check_shape(file, raw, contract) or _check_text(file, raw, contract)
    if found:
        return pd.DataFrame(columns=contract.columns), found
    try:
        typed = contract.schema.validate(raw, lazy=True)
    except SchemaErrors as err:
        return pd.DataFrame(columns=contract.columns), _violations(file, raw, err.failure_cases)
    return typed, _rows_outside_month(file, typed, contract.month_from) if contract.is_monthly else []


def _check_shape(file: str, raw: pd.DataFrame, contract: TableContract) -> list[Violation]:
    table = table_of(file)
    name = rf"{table}/[0-9]{{4}}-(0[1-9]|1[0-2])\.csv" if contract.is_monthly else rf"{table}\.csv"
    if not re.fullmatch(name, file):
        rule = f"the file of {table} is " + (f"named {table}/YYYY-MM.csv" if contract.is_monthly else f"{table}.csv")
    elif list(raw.columns) != list(contract.columns):
        rule = f"columns must be {', '.join(contract.columns)}; got {', '.join(map(str, raw.columns))}"
    elif raw.empty:
        rule = "a file holds at least one row"
    else:
        return []
    return [Violation(file, None, None, None, rule)]


def _check_text(file: str, raw: pd.DataFrame, contract: TableContract) -> list[Violation]:
    """Find cells whose text cannot be a value of their column's type."""
    found = []
    for column, declared in contract.schema.columns.items():
        if str(declared.dtype) in _TEXT_OF_TYPE:
            pattern, rule = _TEXT_OF_TYPE[str(declared.dtype)]
            cells = raw[column].dropna()
            wrong = cells[~cells.str.fullmatch(pattern).astype(bool)]
            found += [Violation(file, _line(row), column, value, rule) for row, value in wrong.items()]
    return sorted(found, key=lambda violation: violation.line or 0)


def _rule(check: str) -> str:
    """Put pandera's own names into words; a check declared with `error=` is in words already."""
    if check == "not_nullable":
        return "is never missing"
    return re.sub(r"(?:coerce_)?dtype\('(.*)'\)", r"is a value of type \1", check)


def _shown(values: list[object]) -> object:
    return values[0] if len(values) == 1 else tuple(values)


def _line(row: object) -> int:
    return int(str(row)) + HEADER_LINES + 1


def _violations(file: str, raw: pd.DataFrame, cases: pd.DataFrame) -> list[Violation]:
    """Say each broken rule once a row; pandera repeats a rule about a row for each column."""
    located = cases[cases["index"].notna()]
    # A rule that fails without a row is the echo of one that has a row, unless it is alone.
    seen: dict[tuple[object, object, str], Violation] = {}
    for case in (cases if located.empty else located).to_dict("records"):
        is_about_row = case["schema_context"] == "DataFrameSchema"
        rule = _rule(str(case["check"]))
        columns = [case["column"]]
        if is_about_row:
            columns = [column for column in raw.columns if re.search(rf"\b{re.escape(column)}\b", rule)]
        line, value = None, case["failure_case"]
        if pd.notna(case["index"]):
            line = _line(int(case["index"]))
            value = _shown([raw.at[int(case["index"]), column] for column in columns])
        name = ",".join(map(str, columns)) or None
        seen.setdefault((line, name, rule), Violation(file, line, name, value, rule))
    return sorted(seen.values(), key=lambda violation: (violation.line or 0, str(violation.column)))


def _rows_outside_month(file: str, typed: pd.DataFrame, month_from: Sequence[str]) -> list[Violation]:
    wanted = file.split("/")[-1].removesuffix(".csv")
    parts = [typed[column].astype(str) for column in month_from]
    months = parts[0].str[:7] if len(parts) == 1 else parts[0] + "-" + parts[1].str.zfill(2)
    rule, columns = f"rows of this file lie in {wanted}", ",".join(month_from)
    return [Violation(file, _line(row), columns, month, rule) for row, month in months[months != wanted].items()]


def check_keys(table: str, typed: Mapping[str, pd.DataFrame], contract: TableContract) -> list[Violation]:
    """Find rows whose key stands more than once in the table's files taken together."""
    key = list(contract.key)
    rows = pd.concat(
        [frame[key].assign(_file=file, _line=frame.index + HEADER_LINES + 1) for file, frame in typed.items()]
    )
    repeated = rows[rows.duplicated(key, keep="first")]
    rule = f"({', '.join(key)}) is unique in {table}"
    return [
        Violation(str(row["_file"]), int(row["_line"]), ",".join(key), _shown([str(row[k]) for k in key]), rule)
        for row in repeated.to_dict("records")
    ]


def check_foreign_keys(
    typed: Mapping[str, pd.DataFrame], contract: TableContract, tables: Mapping[str, pd.DataFrame]
) -> list[Violation]:
    """Find values that the table they refer to does not hold."""
    found = []
    for column, foreign in contract.foreign_keys.items():
        allowed = set(tables[foreign.table][foreign.column]) | foreign.exempt
        rule = f"{column} is found in {foreign.table}.{foreign.column}"
        for file, frame in typed.items():
            absent = frame.loc[~frame[column].isin(allowed) & frame[column].notna(), column]
            found += [Violation(file, _line(row), column, value, rule) for row, value in absent.items()]
    return found


def check_dataset(raw: Mapping[str, pd.DataFrame], contracts: Mapping[str, TableContract]) -> dict[str, int]:
    """Check every file, then keys and references over the whole data set; give the rows by table.

    Parameters
    ----------
    raw
        By path below data/, the file's cells as text. Each is taken once; of its rows only keys
        and references are kept.
    contracts
        By table.

    Raises
    ------
    ContractError
        With file, line, value and rule of each violation (the first few of each file).
    """
    violations: list[Violation] = []
    typed: dict[str, dict[str, pd.DataFrame]] = {table: {} for table in contracts}
    for file in sorted(raw):
        table = table_of(file)
        try:
            cells = raw[file]
        except UnreadableFileError as err:
            violations.append(err.violation)
            typed.get(table, {})[file] = pd.DataFrame()
            continue
        if table not in contracts:
            rule = f"a file belongs to one of: {', '.join(contracts)}"
            violations.append(Violation(file, None, None, None, rule))
            continue
        frame, found = check_file(file, cells, contracts[table])
        typed[table][file] = frame[_columns_between_rows(table, contracts)].copy()
        violations += found
    for table, files in typed.items():
        if not files:
            violations.append(Violation(table, None, None, None, "a table has at least one file"))
    if not violations:
        violations = _check_between_rows(typed, contracts)
    if violations:
        raise ContractError(describe(violations))
    return {table: sum(map(len, files.values())) for table, files in typed.items()}


def _columns_between_rows(table: str, contracts: Mapping[str, TableContract]) -> list[str]:
    """Name the columns of a table that its key, its references or those of other tables need."""
    referred = {
        foreign.column
        for contract in contracts.values()
        for foreign in contract.foreign_keys.values()
        if foreign.table == table
    }
    own = contracts[table]
    return [column for column in own.columns if column in {*own.key, *own.foreign_keys, *referred}]


def _check_between_rows(
    typed: Mapping[str, Mapping[str, pd.DataFrame]], contracts: Mapping[str, TableContract]
) -> list[Violation]:
    tables = {table: pd.concat(files.values()) for table, files in typed.items()}
    violations = []
    for table, contract in contracts.items():
        violations += check_keys(table, typed[table], contract)
        violations += check_foreign_keys(typed[table], contract, tables)
    return violations


def describe(violations: list[Violation]) -> str:
    """Put violations into words: the first few of each of the first few files, and how many there are."""
    by_file: dict[str, list[Violation]] = {}
    for violation in violations:
        by_file.setdefault(violation.file, []).append(violation)
    count = f"{len(violations)} violation(s) of the data contract in {len(by_file)} file(s)"
    lines = [f"{count}; nothing downstream was changed."]
    for found in list(by_file.values())[:SHOWN_FILES]:
        lines += [f"  {violation}" for violation in found[:SHOWN_VIOLATIONS]]
        if len(found) > SHOWN_VIOLATIONS:
            lines.append(f"  ... and {len(found) - SHOWN_VIOLATIONS} more in {found[0].file}")
    if len(by_file) > SHOWN_FILES:
        lines.append(f"  ... and {len(by_file) - SHOWN_FILES} more file(s)")
    lines.append("Correct the file, or the contract in src/flightline/problem/raw_tables.py if the data is right.")
    return "\n".join(lines)
