"""What is looked at in a trained copy, to choose where faults are planted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flightline.adapters import duckdb_engine as engine
from flightline.core.project import Project
from pipelines.steps.models import SUMMARY_FILE
from tests.proof.inside import champion_rows

TIMESTAMPS = ("event_timestamp", "created_timestamp")
SAMPLE = 1_000


class NotApplicableError(Exception):
    """A fault cannot be made for this problem; the message is the reason."""


@dataclass(frozen=True)
class Surveyed:
    """A trained copy."""

    project: Project

    @cached_property
    def tables(self) -> dict[str, Path]:
        """The feature tables, in the order of their declaration."""
        folder = self.project.settings.features_dir / "current"
        return {name: folder / f"{name}.parquet" for name in self.project.features.tables}

    @cached_property
    def examples(self) -> pd.DataFrame:
        """The examples as of the clock."""
        return pd.read_parquet(self.project.settings.features_dir / "current" / "examples" / "examples.parquet")

    @cached_property
    def requests(self) -> pd.DataFrame:
        """Some requests."""
        return self.examples[list(self.project.request_fields)].tail(SAMPLE)

    @cached_property
    def learned(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Examples and features that the champion was made of."""
        return champion_rows.read(self.project)

    @cached_property
    def measured(self) -> dict[str, float]:
        """What the champion reached on the test window, by metric."""
        (judgement,) = self.project.settings.state_dir.glob(f"evaluations/*/{SUMMARY_FILE}")
        return dict(json.loads(judgement.read_text(encoding="utf-8"))["metrics"])

    def keys_of(self, table: str) -> list[str]:
        """Name the keys of a feature table."""
        types = pd.read_parquet(self.tables[table]).dtypes
        return [str(name) for name, kind in types.items() if kind != np.float64 and name not in TIMESTAMPS]

    def features_of(self, table: str) -> list[str]:
        """Name the features of a feature table."""
        types = pd.read_parquet(self.tables[table]).dtypes
        return [str(name) for name, kind in types.items() if kind == np.float64]


class Noted(dict[str, Any]):
    """Groups that note which of them a feature table is made of."""

    def __init__(self, groups: Mapping[str, Any]):
        super().__init__(groups)
        self.used: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.used.append(name)
        return super().__getitem__(name)


def lags(project: Project) -> dict[str, tuple[str, float]]:
    """By group that becomes known after what it tells of begins: a table made of it, and the usual lag in seconds."""
    with engine.connect(project.settings.threads) as connection:
        raw = engine.load_raw(connection, project.settings.data_dir, project.raw_tables.contracts)
        groups = engine.build_groups(connection, raw, project.features)
        made_of: dict[str, str] = {}
        for table, build in project.features.tables.items():
            noted = Noted(groups)
            build(noted)
            for group in noted.used:
                made_of.setdefault(group, table)
        found = {}
        for name, group in groups.items():
            moments = [
                column for column, kind in group.schema().items() if kind.is_timestamp() and column != "known_at"
            ]
            seconds = [
                (group.known_at.epoch_seconds() - group[column].epoch_seconds()).median().execute()
                for column in moments
            ]
            positive = [float(value) for value in seconds if value is not None and value > 0]
            if positive and name in made_of:
                found[name] = (made_of[name], min(positive))
    return found
