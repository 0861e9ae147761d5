"""CHANGE ME for your own problem: what each raw table under data/ must look like.

One table: where a tropical storm was, and how strong, every six hours (UTC). Wind is the highest of
one minute in knots, pressure the lowest at sea level in hectopascals.
"""

import pandas as pd
import pandera.pandas as pa

from flightline.data.columns import integer, number, text
from flightline.data.contract import TableContract

# The Atlantic is AL, as in storm warnings, and not the archive's NA, which reads as missing here.
BASINS = ("AL", "EP", "NI", "SA", "SI", "SP", "WP")
# The weakest since 1980 had 10 knots, the strongest 185 and 872 hPa.
WINDS, PRESSURES = (5, 220), (850, 1050)


def _is_fix(cells: pd.Series) -> pd.Series:
    moments = pd.to_datetime(cells, format="%Y-%m-%dT%H:00Z", errors="coerce")
    return moments.notna() & (moments.dt.hour % 6 == 0) & (cells.str.len() == 17)


FIXES = pa.DataFrameSchema(
    {
        "storm": text(r"^20\d{5}[NS]\d{5}$", error="is a storm's serial number"),
        "fixed_at": pa.Column("object", pa.Check(_is_fix, error="is YYYY-MM-DDTHH:00Z, every six hours")),
        "basin": pa.Column("object", pa.Check.isin(BASINS, error=f"is one of {', '.join(BASINS)}")),
        "latitude": number(-75, 75),
        "longitude": number(-180, 180),
        "status": text(r"^[A-Z]{2}$", error="is two capital letters"),
        "wind": integer(*WINDS, nullable=True),
        "pressure": integer(*PRESSURES, nullable=True),
    },
    strict=True,
    ordered=True,
)

CONTRACTS = {"fixes": TableContract(FIXES, key=("storm", "fixed_at"), is_monthly=True, month_from=("fixed_at",))}
