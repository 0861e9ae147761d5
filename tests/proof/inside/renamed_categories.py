"""Runs inside a copy: puts the last months into the folder to be ingested, each category under another name.

They are the later half of the test window, so that the share of rows with a new name is high.

The new names keep the contract, and a table that lists the categories lists the new ones too, so that only the model
can be surprised.
"""

import string
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from flightline.adapters import raw_files
from flightline.core.errors import ContractError
from flightline.core.project import Project, open_project
from flightline.data.contract import check_dataset, table_of
from tests.proof.planted import choices

LETTERS = string.ascii_uppercase + string.digits + string.ascii_lowercase


@dataclass(frozen=True)
class Renaming:
    """Changed files, as text, by path; and the column whose values are others."""

    column: str
    files: dict[str, pd.DataFrame]


def find_renaming(project: Project, features: Sequence[str]) -> Renaming | None:
    """Rename the values of the first text feature for which that keeps the contract; None if there is none."""
    contracts = project.raw_tables.contracts
    raw = raw_files.RawFiles(project.settings.data_dir)
    for column in features:
        for table, contract in contracts.items():
            if contract.is_monthly and column in contract.columns:
                renaming = _rename(project, raw, table, column)
                if renaming and _keeps_contract(project, raw, renaming):
                    return renaming
    return None


def _rename(project: Project, raw: Mapping[str, pd.DataFrame], table: str, column: str) -> Renaming | None:
    contract = project.raw_tables.contracts[table]
    files = sorted(name for name in raw if table_of(name) == table)
    known = set(pd.concat([raw[name][column] for name in files]).dropna())
    clock = project.problem.first_clock
    test = project.problem.windows.until(clock).test
    since = f"{test.start + (clock - test.start) / 2:%Y-%m}"
    months = {name: raw[name] for name in files if Path(name).stem >= since}
    values = sorted(pd.concat([month[column] for month in months.values()]).dropna().unique()) if months else []
    names = list(islice(_new_names(contract.schema.columns[column], known), len(values)))
    if not names or len(names) < len(values):
        return None
    renamed = dict(zip(values, names, strict=True))
    changed = {name: month.assign(**{column: month[column].map(renamed)}) for name, month in months.items()}
    foreign = contract.foreign_keys.get(column)
    if foreign is not None:
        listed = raw[file := f"{foreign.table}.csv"]
        twins = listed[listed[foreign.column].isin(values)]
        changed[file] = pd.concat([listed, twins.assign(**{foreign.column: twins[foreign.column].map(renamed)})])
    return Renaming(column, changed)


def _new_names(declared: object, known: set[str]) -> Iterator[str]:
    """Spell the known values otherwise, in every way that the column's own checks let pass."""
    for place in (0, -1):
        for letter in LETTERS:
            spelled = {(letter + value[1:]) if place == 0 else (value[:-1] + letter) for value in sorted(known)} - known
            for name in sorted(spelled):
                if _is_valid(declared, name):
                    known = known | {name}
                    yield name


def _is_valid(declared: object, name: str) -> bool:
    checked = pd.Series([name], dtype=object)
    return all(bool(check(checked).check_passed) for check in declared.checks)  # type: ignore[attr-defined]


def _keeps_contract(project: Project, raw: Mapping[str, pd.DataFrame], renaming: Renaming) -> bool:
    changed = {name: frame.reset_index(drop=True) for name, frame in renaming.files.items()}
    try:
        check_dataset({**raw, **changed}, project.raw_tables.contracts)
    except ContractError:
        return False
    return True


def main() -> int:
    project = open_project()
    column = choices()["flood_of_unseen_categories"]["column"]
    renaming = find_renaming(project, [column])
    if renaming is None:
        return 1
    for name, frame in renaming.files.items():
        file = project.settings.root / "incoming" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(file, index=False, na_rep="NA", lineterminator="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
