"""What all pictures share: no display, one look, and how a figure is written."""

from io import BytesIO
from pathlib import Path
from typing import TypeVar

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

GREY, BLUE, ORANGE = "#8a8f98", "#2563a8", "#d9730d"
GREEN, RED = "#2b8a3e", "#c92a2a"
To = TypeVar("To", Path, BytesIO)
plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
plt.rcParams["text.parse_math"] = False  # a slice may be called $10_$20


def save(figure: plt.Figure, to: To) -> To:
    """Write a figure as PNG and forget it."""
    if figure.get_layout_engine() is None:
        figure.tight_layout()
    figure.savefig(to, dpi=110)
    plt.close(figure)
    return to
