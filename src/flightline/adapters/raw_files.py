"""Reads the raw CSV files as text, exactly, for `contract.py` to judge; stages changed ones.

Cells are counted before pandas parses: it fills a row that is too short with missing
values, shifts or cuts one that is too long, and skips blank lines, all without a word.
"""

import csv
import filecmp
import io
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flightline.core.errors import ContractError
from flightline.data.contract import MISSING, Violation, describe


@dataclass(frozen=True)
class FileChanges:
    """What a folder of files changes in a data set: paths below it, in order."""

    new: tuple[str, ...]
    corrected: tuple[str, ...]
    identical: tuple[str, ...]


class _UnreadableError(Exception):
    """Carries the violation that makes a file unreadable."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(str(violation))
        self.violation = violation


def read_raw_files(folder: Path, files: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """Read the CSV files below a folder.

    Parameters
    ----------
    folder
        Holds the files, in data/'s layout.
    files
        Paths below it to read; all files if None, and then each must be a CSV file.

    Returns
    -------
    dict
        By path below the folder (with /), in order: the cells as text (dtype object),
        missing ones as None, index 0..n-1.

    Raises
    ------
    ContractError
        Naming every file, with the line, that is absent, no CSV file, empty, not UTF-8,
        wrongly quoted or ragged.
    """
    if not folder.is_dir():
        raise ContractError(f"got {folder}, expected a folder of CSV files")
    names = _files_below(folder) if files is None else sorted(files)
    frames: dict[str, pd.DataFrame] = {}
    violations = []
    for name in names:
        try:
            frames[name] = _frame(name, _content(folder, name))
        except _UnreadableError as err:
            violations.append(err.violation)
    if violations:
        raise ContractError(describe(violations))
    return frames


def stage_files(data: Path, folder: Path, staged: Path) -> FileChanges:
    """Lay a folder's files over a data set, in a new folder.

    Parameters
    ----------
    data
        The data set; it is not changed.
    folder
        New or corrected files, in the same layout.
    staged
        Where to put the outcome; on the data set's file system, and not there yet. Files
        that do not change are hard links, so that a month costs a month.

    Raises
    ------
    ContractError
        If the folder holds no file.
    """
    names = _files_below(folder) if folder.is_dir() else []
    if not names:
        raise ContractError(f"got {folder}, which holds no file; expected new or corrected files in data/'s layout")
    shutil.copytree(data, staged, copy_function=_link_or_copy)
    new = tuple(name for name in names if not (data / name).exists())
    known = [name for name in names if name not in new]
    corrected = tuple(name for name in known if not filecmp.cmp(data / name, folder / name, shallow=False))
    for name in (*new, *corrected):
        target = staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # it is a link: to write into it would change data/
        shutil.copyfile(folder / name, target)
    return FileChanges(new, corrected, tuple(name for name in known if name not in corrected))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _unreadable(file: str, line: int | None, rule: str, value: object = None) -> _UnreadableError:
    return _UnreadableError(Violation(file, line, None if value is None else "row", value, rule))


def _content(folder: Path, name: str) -> str:
    path = folder / name
    if path.suffix != ".csv":
        raise _unreadable(name, None, "only .csv files lie here; move it elsewhere")
    if not path.is_file():
        raise _unreadable(name, None, f"the file exists in {folder}")
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as err:
        line = raw.count(b"\n", 0, err.start) + 1
        raise _unreadable(name, line, f"text is UTF-8; got byte 0x{raw[err.start]:02x}") from err


def _frame(name: str, text: str) -> pd.DataFrame:
    if not text.strip():
        raise _unreadable(name, None, "a file holds a header and at least one row; it is empty")
    lines = _refuse_ragged(name, text)
    frame = pd.read_csv(
        io.StringIO(text, newline=""),
        dtype=object,
        keep_default_na=False,
        na_values=[MISSING],
        index_col=False,
        skip_blank_lines=False,
    )
    if len(frame) != lines - 1:
        rule = f"{lines} lines hold {lines - 1} rows; {len(frame)} were read (stray carriage returns?)"
        raise _unreadable(name, None, rule)
    return frame.where(frame.notna(), None)


def _refuse_ragged(name: str, text: str) -> int:
    """Count the lines; each must hold one row, with as many cells as the header."""
    lines = text.removesuffix("\n").split("\n")
    widths = _widths_of_quoted(name, text) if '"' in text else [line.count(",") + 1 for line in lines]
    for number, width in enumerate(widths, start=1):
        if width != widths[0]:
            rule = f"a row has {widths[0]} cells, like the header; this has {width}"
            raise _unreadable(name, number, rule, lines[number - 1])
    return len(lines)


def _widths_of_quoted(name: str, text: str) -> list[int]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    widths = []
    try:
        for row in reader:
            widths.append(len(row))
            if reader.line_num != len(widths):
                raise _unreadable(name, len(widths), "a row lies on one line, without a line break inside quotes")
    except csv.Error as err:
        raise _unreadable(name, len(widths) + 1, f"is CSV ({err})") from err
    return widths
