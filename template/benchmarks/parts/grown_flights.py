"""The flights, several times over: how the shipped problem's data grows, one way or both.

More keys: each airline flies its year again under another code, with aircraft of other tail numbers. More history: each
flight and each hour's weather comes again in each later year, at the same hour of the local clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from string import ascii_uppercase, digits
from tempfile import TemporaryDirectory

import pandas as pd

from flightline.problem.availability import ZONE_PERIODS_TO
from flightline.problem.raw_tables import CONTRACTS
from flightline.problem.request_features import LOCAL_TIME_ZONE
from flightline.problem.source import write_seed

FIRST_YEAR = 2013
MOST_YEARS, MOST_FLEETS = ZONE_PERIODS_TO.year - FIRST_YEAR, 26  # as many tail numbers as first letters
WAYS = ("keys", "history")
LETTERS = "N" + ascii_uppercase.replace("N", "")


@dataclass(frozen=True)
class Growth:
    """So many times the airlines of the shipped data, in so many times its year."""

    fleets: int
    years: int

    @property
    def clock(self) -> datetime:
        """Where the event clock stands: at noon of the last day but one."""
        return datetime(FIRST_YEAR + self.years - 1, 12, 31, 12, tzinfo=UTC)


def growth_of(way: str, size: int) -> Growth:
    """Say what makes the data so many times as large.

    Raises
    ------
    SystemExit
        If it cannot become so large that way.
    """
    most = {"keys": MOST_FLEETS, "history": MOST_YEARS}[way]
    if not 1 <= size <= most:
        raise SystemExit(f"SIZES has {size}: by {way} the flights grow 1 to {most} times")
    return Growth(size, 1) if way == "keys" else Growth(1, size)


def write_grown(growth: Growth, target: Path) -> int:
    """Write the grown data set into an empty folder, in data/'s layout; gives the number of flights."""
    with TemporaryDirectory(dir=target.parent) as folder:
        seed = Path(folder)
        write_seed(seed)
        (target / "airports.csv").write_bytes((seed / "airports.csv").read_bytes())
        codes = _codes(_read(seed / "airlines.csv")["carrier"], growth.fleets)
        for name in ("airlines", "planes"):
            _write(_with_fleets(_read(seed / f"{name}.csv"), codes), target / f"{name}.csv")
        rows = 0
        for name in ("flights", "weather"):
            (target / name).mkdir()
            for file in sorted((seed / name).glob("*.csv")):
                month = _read(file)
                grown = _with_fleets(month, codes) if name == "flights" else month
                for year in range(FIRST_YEAR, FIRST_YEAR + growth.years):
                    shifted = _in_year(grown, year, list(CONTRACTS[name].key))
                    _write(shifted, target / name / f"{year}-{file.stem[-2:]}.csv")
                    rows += len(shifted) if name == "flights" else 0
    return rows


def _codes(carriers: pd.Series, fleets: int) -> list[dict[str, str]]:
    """Give each airline a code of two letters or digits in each fleet; the first keeps its own."""
    free = (code for code in map("".join, product(ascii_uppercase + digits, repeat=2)) if code not in set(carriers))
    return [{carrier: carrier if fleet == 0 else next(free) for carrier in carriers} for fleet in range(fleets)]


def _with_fleets(frame: pd.DataFrame, codes: list[dict[str, str]]) -> pd.DataFrame:
    fleets = []
    for fleet, code in enumerate(codes):
        changed = {}
        if "carrier" in frame:
            changed["carrier"] = frame["carrier"].map(code)
        if fleet and "tailnum" in frame:
            is_known = frame["tailnum"] != "NA"
            changed["tailnum"] = frame["tailnum"].where(~is_known, LETTERS[fleet] + frame["tailnum"].str[1:])
        fleets.append(frame.assign(**changed))
    return pd.concat(fleets)


def _in_year(frame: pd.DataFrame, year: int, key: list[str]) -> pd.DataFrame:
    """Put rows into another year; an hour that the local clock there skips or repeats is left out."""
    if year == FIRST_YEAR:
        return frame
    parts = frame[["month", "day", "hour"]].astype(int).assign(year=year)
    local = pd.to_datetime(parts).dt.tz_localize(LOCAL_TIME_ZONE, ambiguous="NaT", nonexistent="NaT")
    text = local.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    shifted = frame.assign(year=str(year), time_hour=text)
    return shifted[local.notna()].drop_duplicates(key)


def _read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def _write(frame: pd.DataFrame, file: Path) -> None:
    frame.to_csv(file, index=False)
