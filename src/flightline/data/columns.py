"""Columns of raw tables as most problems have them: what is wrong with a cell is said in its words."""

import pandas as pd
import pandera.pandas as pa


def between(low: float, high: float) -> pa.Check:
    """Demand a range, both ends included."""
    return pa.Check.in_range(low, high, error=f"lies between {low} and {high}")


def integer(low: int, high: int, *, nullable: bool = False) -> pa.Column:
    """Give a column of whole numbers of a range."""
    return pa.Column("Int64", between(low, high), nullable=nullable, coerce=True)


def number(low: float, high: float, *, nullable: bool = False) -> pa.Column:
    """Give a column of numbers of a range."""
    return pa.Column("Float64", between(low, high), nullable=nullable, coerce=True)


def text(pattern: str, *, error: str = "", nullable: bool = False) -> pa.Column:
    """Give a column of text that matches a regular expression, from its beginning on."""
    return pa.Column("object", pa.Check.str_matches(pattern, error=error or f"matches {pattern}"), nullable=nullable)


def text_up_to(longest: int, *, nullable: bool = False) -> pa.Column:
    """Give a column of text of so many characters at most."""
    length = pa.Check.str_length(max_value=longest, error=f"has at most {longest} characters")
    return pa.Column("object", length, nullable=nullable)


def day() -> pa.Column:
    """Give a column of days, as text: YYYY-MM-DD."""
    return pa.Column("object", pa.Check(_is_day, error="is a day, YYYY-MM-DD"))


def moment(*, nullable: bool = False) -> pa.Column:
    """Give a column of moments in UTC."""
    return pa.Column("datetime64[ns, UTC]", nullable=nullable, coerce=True)


def _is_day(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, format="%Y-%m-%d", errors="coerce").notna() & (text.str.len() == 10)
