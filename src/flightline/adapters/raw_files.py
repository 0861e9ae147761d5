"""Reads the raw CSV files as text, exactly, for `contract.py` to judge; stages changed ones.

Cells are counted before pandas parses: it fills a row that is too short with missing
values, shifts or cuts one that is too long, and skips blank lines, all without a word.
"""

import csv
import filecmp
import io
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flightline.core.errors import ContractError
from flightline.data.contract import MISSING, UnreadableFileError, Violation

# What no cell of a table holds, and what pandas, DuckDB and an editor take for different things: control characters but
# for the tab, a carriage return that ends no line, separators of lines and paragraphs, and a byte order mark.
_STRAY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\r(?!\n)")
MARK = "\ufeff"
MAX_LINE = 500_000  # characters of up to 4 bytes; DuckDB refuses a line above 2 MB


@dataclass(frozen=True)
class FileChanges:
    """What a folder of files changes in a data set: paths below it, in order."""

    new: tuple[str, ...]
    corrected: tuple[str, ...]
    identical: tuple[str, ...]


class RawFiles(Mapping[str, pd.DataFrame]):
    """The CSV files below a folder, by path (with /) and in order; each is read when it is taken, and not kept.

    A file's cells are text (dtype object), missing ones None, its index 0..n-1. Taking one
    raises `UnreadableFileError`, with the line, if it is absent, no CSV file, empty, not UTF-8,
    wrongly quoted or ragged, holds control characters, or has a line too long for DuckDB.

    Parameters
    ----------
    folder
        Holds the files, in data/'s layout.
    files
        Paths below it; all files if None, and then each must be a CSV file.

    Raises
    ------
    ContractError
        If there is no such folder.
    """

    def __init__(self, folder: Path, files: Iterable[str] | None = None) -> None:
        if not folder.is_dir():
            raise ContractError(f"got {folder}, expected a folder of CSV files")
        self._folder = folder
        self._names = _files_below(folder) if files is None else sorted(files)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._names:
            raise KeyError(name)
        return _frame(name, _content(self._folder, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


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


def _unreadable(file: str, line: int | None, rule: str, value: object = None) -> UnreadableFileError:
    return UnreadableFileError(Violation(file, line, None if value is None else "row", value, rule))


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
    _refuse_stray(name, text)
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


def _refuse_stray(name: str, text: str) -> None:
    if found := _STRAY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = "no byte order mark (save it as UTF-8 without one)" if found[0] == MARK else "no control characters"
        raise _unreadable(name, line, f"text has {what}; got U+{ord(found[0]):04X}")


def _refuse_ragged(name: str, text: str) -> int:
    """Count the lines; each must hold one row, with as many cells as the header."""
    lines = text.removesuffix("\n").split("\n")
    widths = _widths_of_quoted(name, text) if '"' in text else [line.count(",") + 1 for line in lines]
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise _unreadable(name, number, f"a row has at most {MAX_LINE:,} characters; this has {len(line):,}")
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
