"""The toy problem, of either task, with features that need the request and the feature store together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _

from flightline.core.project import FeatureCode, Project
from flightline.core.settings import Settings
from tests import toy_problem, toy_regression

DECLARATIONS = """
LAST_CLOSING = view("last_closing", [SHOP], timedelta(days=7), ["closed_at"])
TOY_V1 = FeatureService(name="toy_v1", features=[*VIEWS, LAST_CLOSING])
"""
EPOCH = pd.Timestamp(0, tz="UTC")
CLOCK = toy_problem.PROBLEM.first_clock


def on_demand(requests: Mapping[str, Sequence[Any]], features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute hours since the last closing, the plan against the week's mean, and the same in a word."""
    seconds = (requests["as_of"] - EPOCH) // pd.Timedelta(seconds=1)
    planned, usual = features["planned"], features["shop_recent_7d_mean_units"]
    ratio = np.divide(planned, usual, out=np.full(len(planned), np.nan), where=usual > 0)
    words = np.where(ratio >= 1, "more", np.where(ratio < 1, "less", None))
    of_city = np.asarray([f"{city} {word}" for city, word in zip(requests["city"], words, strict=True)], dtype=object)
    return {
        "hours_since_closing": (np.asarray(seconds, dtype=np.float64) - features["closed_at"]) / 3600,
        "plan_over_usual": ratio,
        "plan_in_city": of_city,
    }


def last_closing(groups: Mapping[str, ibis.Table]) -> ibis.Table:
    """Give the moment a shop closed last, in seconds since 1970: a store holds numbers."""
    return groups["closings"].select(
        "shop", event_timestamp=_.closes, closed_at=_.closes.epoch_seconds().cast("float64")
    )


def write_feature_repo(root: Path) -> None:
    """Declare the view besides those of the toy problem."""
    toy_problem.write_feature_repo(root)
    with (root / "feature_repo" / "definitions.py").open("a", encoding="utf-8") as file:
        file.write(DECLARATIONS)


def make_project(settings: Settings, task: str = "classification") -> Project:
    """Build the project."""
    toy = (toy_regression if task == "regression" else toy_problem).make_project(settings)
    requests = replace(toy.requests, on_demand=on_demand, withheld=("closed_at",))
    return replace(toy, requests=requests, load_features=load_features)


def load_features() -> FeatureCode:
    """Give the feature code."""
    toy = toy_problem.load_features()
    return replace(toy, tables={**toy.tables, "last_closing": last_closing})
