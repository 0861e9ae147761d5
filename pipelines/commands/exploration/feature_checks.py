"""How old features are when they are used, and what each tells alone: `make ages`, `make rule`.

Both help to choose a feature's ttl and to find one that is too good. They read what `make train` left behind.
"""

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from flightline.adapters.event_clock import read_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.core.errors import FeatureError
from flightline.core.project import Project, open_project
from flightline.evaluation.single_feature import ALL_ROWS
from flightline.monitoring.parity import rebuild_view
from pipelines.common.command_line import run_command
from pipelines.steps.models import ALONE_FILE

SAMPLED_ROWS = 2000
EVER = ((datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)),)


def find_ages(project: Project) -> pd.DataFrame:
    """Measure how old the newest value of each view is at the prediction times of a sample of examples.

    Returns
    -------
    DataFrame
        By view: `ttl`; `median` and `p95` of the age of the values that there are (timedelta; 95 % are younger than
        `p95`); and the shares of examples, 0..1, whose value is `absent` or `dropped` (older than the ttl).

    Raises
    ------
    FeatureError
        If there are no feature tables, or no example before the clock.
    """
    settings, names = project.settings, list(project.request_fields)
    current = settings.features_dir / "current"
    if not (current / "examples" / "examples.parquet").is_file():
        raise FeatureError("there are no feature tables yet; run `make train` first")
    examples = pd.read_parquet(current / "examples" / "examples.parquet")
    known = examples[examples["event_timestamp"] <= read_clock(settings)].sort_values("event_timestamp")
    if known.empty:
        raise FeatureError("no example lies before the event clock; move it on: make clock TO=...")
    chosen = known.iloc[np.unique(np.linspace(0, len(known) - 1, SAMPLED_ROWS).astype(int))].reset_index(drop=True)
    keyed = chosen[names].assign(**project.requests.keys(chosen[names]))
    asked = keyed.assign(watermark=chosen["event_timestamp"], clock=chosen["event_timestamp"])
    rows = []
    for view in feast_store.stored_views(settings, project.problem.feature_service):
        table = pd.read_parquet(current / f"{view.name}.parquet")
        stamps = rebuild_view(replace(view, loaded=EVER, ttl=timedelta(0)), table, asked).stamps
        ages = (asked["clock"] - stamps).dropna()
        dropped = float((ages > view.ttl).sum() / len(asked)) if view.ttl else 0.0
        rows.append(
            {
                "view": view.name,
                "ttl": view.ttl,
                "median": ages.median(),
                "p95": ages.quantile(0.95) if len(ages) else pd.NaT,
                "absent": 1 - len(ages) / len(asked),
                "dropped": dropped,
            }
        )
    return pd.DataFrame(rows)


def print_ages(project: Project) -> None:
    """Print for each view how old its values are, the share of examples with none, and the share its ttl drops."""
    table = Table(title="age of the newest value at the prediction time", box=None, title_justify="left")
    for heading in ("view", "median", "95 % below", "none", "ttl", "dropped"):
        table.add_column(heading, justify="left" if heading == "view" else "right", overflow="fold")
    for row in find_ages(project).itertuples():
        ttl = spoken_age(row.ttl) if row.ttl else "none"
        table.add_row(
            row.view, spoken_age(row.median), spoken_age(row.p95), f"{row.absent:.1%}", ttl, f"{row.dropped:.1%}"
        )
    Console(highlight=False).print(table)


def read_alone(project: Project, column: str = "") -> pd.DataFrame:
    """Read what each feature, or one, reached alone in the newest training.

    Raises
    ------
    FeatureError
        If nothing was trained yet, or there is no such feature.
    """
    found = (project.settings.state_dir / "evaluations").glob(f"*/{ALONE_FILE}")
    newest = max(found, key=lambda file: file.stat().st_mtime, default=None)
    if newest is None:
        raise FeatureError("nothing was trained yet; run `make train` first")
    table = pd.read_csv(newest)
    table = table[table["among"] == ALL_ROWS] if "among" in table else table  # of runs before it was written
    if column and column not in set(table["feature"]):
        near = get_close_matches(column, table["feature"].tolist()) or table["feature"].head(3).tolist()
        raise FeatureError(f"got COLUMN={column}, expected a feature such as {', '.join(near)}; `make rule` shows all")
    return table[table["feature"] == column] if column else table


def print_alone(project: Project, column: str) -> None:
    """Print the validation loss of each feature alone, and the share of a constant's loss that it takes away."""
    table = Table(
        title=f"{project.problem.primary_metric} of one feature alone, validation window",
        box=None,
        title_justify="left",
    )
    for heading in ("feature", "loss", "below a constant's by"):
        table.add_column(heading, justify="left" if heading == "feature" else "right", overflow="fold")
    for name, loss, gain in read_alone(project, column)[["feature", "loss", "gain"]].itertuples(index=False):
        table.add_row(name, f"{loss:.4f}", f"{gain:.1%}")
    Console(highlight=False).print(table)


def spoken_age(age: timedelta) -> str:
    """Give an age in hours, or in days from two on."""
    if pd.isna(age):
        return "none"
    hours = age.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("ages", "rule"))
    parser.add_argument("--column", default="", help="one feature alone")
    options = parser.parse_args(arguments)
    if options.what == "ages":
        return run_command(lambda: print_ages(open_project()))
    return run_command(lambda: print_alone(open_project(), options.column))


if __name__ == "__main__":
    sys.exit(main())
