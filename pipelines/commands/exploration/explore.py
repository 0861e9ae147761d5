"""Shows data and training set as pictures on one page: `make explore`.

It reads what the newest `make train` joined, fits nothing that is served, and knows no problem: columns, keys, windows
and label come from the training set and `config.py`. Labels of the test window are shown over time only; nothing is
ordered, fitted or averaged by them.
"""

import base64
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.engines import open_engine
from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.adapters.plots import exploration_plots as plots
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.core.windows import Windows
from flightline.evaluation import exploration as tables
from flightline.training.splits import rows_in, windows_of
from pipelines.common.artifacts import newest_features
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.rendering import render

SHOWN, CORRELATED = 12, 40  # features
CATEGORIES = 3  # columns


@dataclass(frozen=True)
class Picture:
    """A picture, what it is of, and how to read it."""

    title: str
    reading: str
    png: bytes

    @property
    def base64(self) -> str:
        """As a page holds it."""
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Rows:
    """A training set, and what of it may be chosen by.

    Parameters
    ----------
    examples, features
        Row by row the same.
    targets
        See `exploration.targets_of`.
    before
        Rows before the test window, whose label was known by then.
    sample
        Some of these, for what takes every feature at once.
    strength
        Of number columns, see `exploration.order_by_strength`; by the sample.
    unit
        What the axis of the targets is called.
    """

    project: Project
    windows: Windows
    period: str
    examples: pd.DataFrame
    features: pd.DataFrame
    targets: pd.DataFrame
    before: pd.Series
    sample: pd.Index
    strength: pd.Series
    unit: str

    @property
    def strongest(self) -> list[str]:
        """The columns of the pictures that show some of many."""
        return list(self.strength.index[:SHOWN])

    @property
    def colour(self) -> pd.Series:
        """What a row is coloured by: the number itself, or whether it is of the commonest class but one."""
        means = self.targets.loc[self.sample].mean().sort_values(ascending=False)
        return self.targets[means.index[min(1, len(means) - 1)]]


def read_rows(project: Project) -> Rows:
    """Read the training set that was made last.

    Raises
    ------
    FeatureError
        If there is none.
    """
    newest, problem = newest_features(project.settings), project.problem
    examples, features = pd.read_parquet(newest.with_name("examples.parquet")), pd.read_parquet(newest)
    windows = windows_of(examples, problem.windows)
    targets = tables.targets_of(examples[problem.label], problem.task, problem.classes)
    is_before = rows_in(examples, windows.fit, windows.test.start) | rows_in(
        examples, windows.validation, windows.test.start
    )
    before = pd.Series(is_before, index=examples.index)
    sample = examples.index[before].to_series().sample(min(int(before.sum()), tables.MAX_ROWS), random_state=0)
    numbers, _ = tables.columns_of(features.loc[sample.index])
    strength = tables.order_by_strength(features.loc[sample.index, numbers], targets.loc[sample.index])
    unit = {"classification": f"share of {problem.label}", "multiclass": f"share of each {problem.label}"}.get(
        problem.task, f"mean {problem.label}"
    )
    return Rows(
        project, windows, tables.period_of(examples["event_timestamp"]), examples, features, targets, before,
        pd.Index(sample.sort_values()), strength, unit,
    )  # fmt: skip


def rows_over_time(rows: Rows) -> Iterator[Picture]:
    """Show how many examples there are."""
    file = rows.project.settings.features_dir / "current" / "examples" / "examples.parquet"
    known = pd.read_parquet(file) if file.is_file() else rows.examples
    has_label = known[rows.project.problem.label].notna()
    outcome = known["outcome"].fillna("not known yet") if "outcome" in known else pd.Series("", index=known.index)
    counts = pd.crosstab(
        tables.periods(known["event_timestamp"], rows.period).to_numpy(),
        outcome.astype(str).where(~has_label, "with a label").to_numpy(),
    )
    counts = counts[counts.sum().sort_values(ascending=False).index[: len(plots.COLOURS)]]
    yield Picture(
        "Examples over time",
        "A gap or a step is a change of the source before it is one of the world; blue, orange and grey are the fit, "
        "validation and test windows.",
        plots.draw_rows(counts, rows.windows, rows.period),
    )


def missing_values(rows: Rows) -> Iterator[Picture]:
    """Show what is missing, and when."""
    shares = tables.missing_by_time(rows.features, rows.examples["event_timestamp"], rows.period)
    if len(shares):
        yield Picture(
            f"Missing values: {len(shares)} of {rows.features.shape[1]} columns have some",
            "A row in full colour is missing throughout; a patch began or ended on a day, which a model may take for "
            "a season.",
            plots.draw_missing(shares),
        )


def distributions(rows: Rows) -> Iterator[Picture]:
    """Show the strongest features in each window."""
    parts = {
        name: pd.Series(rows_in(rows.examples, getattr(rows.windows, name)), index=rows.examples.index)
        for name in plots.WINDOW_COLOURS
    }
    yield Picture(
        "The strongest features, by window",
        "Lines on each other: what was learned still holds; a window that lies elsewhere is drift, or a season that "
        "the fit window has not seen.",
        plots.draw_distributions(rows.features[rows.strongest], parts),
    )


def target_by_time(rows: Rows) -> Iterator[Picture]:
    """Show the label over time."""
    by_time = tables.mean_by(tables.periods(rows.examples["event_timestamp"], rows.period), rows.targets)
    yield Picture(
        f"{rows.unit.capitalize()} over time",
        "What a model of the mean alone would have to follow; the band is two standard errors, too narrow where the "
        "rows of a day hang together.",
        plots.draw_target_by_time(by_time, rows.windows, rows.unit),
    )


def target_by_feature(rows: Rows) -> Iterator[Picture]:
    """Show the label by the strongest features."""
    by_feature = {
        name: tables.mean_by(tables.bins_of(rows.features.loc[rows.before, name]), rows.targets[rows.before])
        for name in rows.strongest
    }
    best, much = rows.strength.index[0], rows.strength.iloc[0]
    yield Picture(
        f"{rows.unit.capitalize()} by feature, before the test window",
        f"A steep line tells much alone, a bent one wants a model that bends; the strongest is {best}, with a rank "
        f"correlation of {much:.2f}. One near 1 is the label under another name.",
        plots.draw_target_by_feature(by_feature, rows.unit),
    )


def correlations(rows: Rows) -> Iterator[Picture]:
    """Show which features say the same."""
    names = list(rows.strength.index[:CORRELATED])
    if len(names) < 2:
        return
    found = rows.features.loc[rows.sample, names].rank().corr().fillna(0.0)
    apart = (1 - found.abs()).to_numpy()
    order = leaves_list(linkage(apart[np.triu_indices(len(names), 1)], method="average"))
    yield Picture(
        f"Rank correlations of {len(names)} features",
        "Blocks say nearly the same: a linear model shares their weight among them, and permuting one alone shows no "
        "loss.",
        plots.draw_correlations(found, [int(place) for place in order]),
    )


def encodings(rows: Rows) -> Iterator[Picture]:
    """Show categories as numbers."""
    _, categories = tables.columns_of(rows.features)
    target = rows.colour[rows.before]
    is_numeric = rows.project.problem.task == "regression"
    by_column = {
        name: tables.encoded(rows.features.loc[rows.before, name], target, is_numeric)
        for name in categories[:CATEGORIES]
    }
    if by_column:
        unit = rows.unit if len(rows.targets.columns) == 1 else f"share of {target.name}"
        counts = ", ".join(f"{name} {rows.features[name].nunique()}" for name in categories)
        yield Picture(
            "Categories as numbers",
            f"Far apart: the column is worth encoding; where the shrunk mean leaves the mean, the rows are too few to "
            f"believe it. Values, that is columns of a one-hot encoding: {counts}.",
            plots.draw_encoding(by_column, unit),
        )


def unsupervised(rows: Rows) -> Iterator[Picture]:
    """Show what the features say without the label: components, near values of a key, segments."""
    if len(rows.strength) < 2:
        return
    scaled = tables.standardised(rows.features.loc[rows.sample, rows.strength.index])
    target, problem = rows.colour[rows.sample], rows.project.problem
    unit = rows.unit if len(rows.targets.columns) == 1 else f"is {target.name}"
    found = tables.components_of(scaled)
    half = int(np.searchsorted(np.cumsum(found.explained), 0.5)) + 1
    yield Picture(
        f"Principal components: {half} of {len(found.explained)} hold half of the variance",
        f"Colours that part along an axis: what varies most also tells the label. Component 1 is mostly "
        f"{', '.join(found.heaviest[0])}; component 2 {', '.join(found.heaviest[-1])}.",
        plots.draw_components(found, target, unit),
    )
    keys = [name for name in dict.fromkeys((*problem.entity_keys, *problem.slices)) if name in rows.examples]
    key = tables.key_to_cluster(rows.examples.loc[rows.sample, keys])
    if key and (clustered := tables.cluster_key(scaled, rows.examples.loc[rows.sample, key])):
        yield Picture(
            f"Values of {key}, clustered by their mean features",
            "Read from the names to the right: what is joined early is alike, and could share a slice or an encoding; "
            "in brackets the rows.",
            plots.draw_dendrogram(*clustered),
        )
    segments = tables.find_segments(scaled)
    scores = ", ".join(f"{count}: {score:.2f}" for count, score in segments.silhouettes.items())
    by_segment = tables.mean_by(segments.numbers, rows.targets.loc[rows.sample])
    yield Picture(
        f"{len(segments.centres)} segments by k-means",
        f"Left what sets a segment apart, right what becomes of it; silhouettes near 0 ({scores}) say that the groups "
        "run into each other.",
        plots.draw_segments(segments, by_segment, rows.unit),
    )


SECTIONS: dict[str, Callable[[Rows], Iterator[Picture]]] = {
    "rows": rows_over_time, "missing": missing_values, "distributions": distributions, "target": target_by_time,
    "by feature": target_by_feature, "correlations": correlations, "categories": encodings, "structure": unsupervised,
}  # fmt: skip


def describe_raw(project: Project) -> list[dict[str, object]]:
    """Count rows, columns and missing values of each raw table that is there."""
    found = []
    with open_engine(project.settings) as connection:
        for name, table in engine.load_raw(connection, project.settings.data_dir, project.raw_tables.contracts).items():
            counts = engine.to_frame(
                table.aggregate(table.count().name("*"), **{c: table[c].count() for c in table.columns})
            )
            rows = int(counts["*"].iloc[0])
            shares = (1 - counts.drop(columns="*").iloc[0] / max(rows, 1)).sort_values(ascending=False)
            worst = [f"{column} {share:.1%}" for column, share in shares[shares > 0].items()]
            found.append({"name": name, "rows": rows, "columns": len(table.columns), "missing": worst})
    return found


def explore(project: Project) -> Path:
    """Write the page, which holds its pictures; give its place."""
    with stage("training set") as progress:
        rows = read_rows(project)
        progress.say(f"{len(rows.examples):,} examples x {rows.features.shape[1]} features")
    with stage("raw tables") as progress:
        raw = describe_raw(project) if project.settings.data_dir.is_dir() else []
        progress.say(f"{len(raw)} tables")
    pictures: list[Picture] = []
    for name, section in SECTIONS.items():
        with stage(name) as progress:
            made = list(section(rows))
            progress.say(f"{len(made)} picture{'s' if len(made) != 1 else ''}")
            pictures += made
    page = render(
        "exploration.html.j2",
        title=f"{project.problem.model_name}: data and training set",
        problem=project.problem,
        rows=rows,
        raw=raw,
        pictures=pictures,
        made=datetime.now(UTC),
    )
    file = _page_of(project.settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(file, page)
    print(f"page: {os.path.relpath(file, project.settings.root)}", flush=True)
    return file


def _page_of(settings: Settings) -> Path:
    return settings.state_dir / "exploration" / "page.html"


if __name__ == "__main__":
    sys.exit(run_command(lambda: explore(open_project())))
