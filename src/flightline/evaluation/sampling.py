"""Which rows are taken where all would be too many."""

import numpy as np


def spread_positions(rows: int, most: int) -> np.ndarray:
    """Choose rows by position, evenly over all.

    Examples
    --------
    >>> spread_positions(100, 4).tolist(), len(spread_positions(3, 4))
    ([0, 25, 50, 75], 3)
    """
    return np.linspace(0, rows, min(rows, most), endpoint=False).astype(int)
