"""What a training set looks like before a model learns from it: the tables behind the pictures of `make explore`.

Whatever is fitted, chosen or ordered here is so by rows before the test window: who looks at the report chooses too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler, TargetEncoder

from flightline.core.problem_spec import Task

MAX_ROWS = 20_000  # of what takes every feature at once
SILHOUETTE_ROWS = 2_000
MAX_SEGMENTS = 8
BINS = 10
COMMON, RARE = 8, 4  # values of a category that are shown
FEW_VALUES, MANY_VALUES = 4, 40  # of a key that is clustered
MIN_VALUE_ROWS = 10  # with fewer a value's mean features are luck


def columns_of(features: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Name the columns with numbers that vary, and those with categories."""
    numbers = features.select_dtypes("number")
    varying = [name for name in numbers if numbers[name].nunique() > 1]
    return varying, [name for name in features if name not in numbers]


def targets_of(label: pd.Series, task: Task, classes: Sequence[str]) -> pd.DataFrame:
    """Give what is averaged of a label: itself, or 0 and 1 for each class of a multiclass problem.

    Examples
    --------
    >>> targets_of(pd.Series([0, 2]), "multiclass", ("none", "little", "much")).columns.tolist()
    ['none', 'little', 'much']
    """
    if task != "multiclass":
        return pd.DataFrame({label.name or "label": label.astype(float)})
    return pd.DataFrame({name: (label == number).astype(float) for number, name in enumerate(classes)})


def period_of(times: pd.Series) -> str:
    """Choose days, weeks or months, so that a picture over time has some dozen points.

    Examples
    --------
    >>> period_of(pd.Series(pd.to_datetime(["2020-01-01", "2020-12-31"], utc=True)))
    'W'
    """
    days = (times.max() - times.min()).days
    return "D" if days < 60 else "W" if days < 800 else "M"


def mean_by(groups: pd.Series, targets: pd.DataFrame) -> pd.DataFrame:
    """Average the targets by group, with how many rows and how sure the mean is.

    Returns
    -------
    DataFrame
        Columns of two levels: (target, "mean") and (target, "error"), the standard error; and ("rows", "").
    """
    grouped = targets.groupby(groups.to_numpy(), observed=True)
    means, counts = grouped.mean(), grouped.size()
    errors = grouped.std().div(np.sqrt(counts), axis=0)
    table = pd.concat({"mean": means, "error": errors}, axis=1).swaplevel(axis=1)
    table[("rows", "")] = counts
    return table


def periods(times: pd.Series, period: str) -> pd.Series:
    """Give the beginning of each time's day, week or month."""
    return times.dt.tz_convert("UTC").dt.tz_localize(None).dt.to_period(period).dt.start_time


def order_by_strength(features: pd.DataFrame, targets: pd.DataFrame) -> pd.Series:
    """Order number columns by how far they put rows in the order of a target.

    Returns
    -------
    Series
        By column the largest absolute rank correlation (Spearman) with a target, 0..1, from the largest.
    """
    ranks, target_ranks = features.rank(), targets.rank()
    found = pd.DataFrame({name: ranks.corrwith(target_ranks[name]) for name in targets})
    return found.abs().max(axis=1).dropna().sort_values(ascending=False)


def bins_of(column: pd.Series) -> pd.Series:
    """Cut a column of numbers into parts of equal size, by the median of each; one of few values is not cut.

    Examples
    --------
    >>> bins_of(pd.Series([1.0, 1.0, 2.0, None])).tolist()
    [1.0, 1.0, 2.0, nan]
    """
    if column.nunique() <= BINS:
        return column
    parts = pd.qcut(column, BINS, duplicates="drop")
    return column.groupby(parts, observed=True).transform("median")


def missing_by_time(features: pd.DataFrame, times: pd.Series, period: str) -> pd.DataFrame:
    """Give the share of missing values, 0..1, of each column with any, by time; most first."""
    shares = features.isna().groupby(periods(times, period).to_numpy()).mean()
    worst = shares.max().sort_values(ascending=False)
    return shares[worst[worst > 0].index].T


def encoded(column: pd.Series, target: pd.Series, is_numeric: bool) -> pd.DataFrame:
    """Compare ways to turn a category into a number, for its most frequent values and its rarest.

    Parameters
    ----------
    is_numeric
        Whether the target is a number, and not 0 or 1.

    Returns
    -------
    DataFrame
        By value: `rows`; `mean`, the target's; `shrunk`, the same drawn to the mean of all, the more the fewer the
        rows (scikit-learn's TargetEncoder, an empirical Bayes estimate).
    """
    values = column.fillna("(missing)").astype(str)
    encoder = TargetEncoder(target_type="continuous" if is_numeric else "binary", smooth="auto")
    encoder.fit(values.to_frame(), target)
    shrunk = pd.Series(encoder.encodings_[0], index=encoder.categories_[0])
    table = target.groupby(values.to_numpy()).agg(rows="size", mean="mean").assign(shrunk=shrunk)
    table = table.sort_values("rows", ascending=False)
    return table if len(table) <= COMMON + RARE else pd.concat([table.head(COMMON), table.tail(RARE)])


def standardised(numbers: pd.DataFrame) -> pd.DataFrame:
    """Fill in medians and bring columns to mean 0 and deviation 1, so that no unit speaks louder than another."""
    filled = SimpleImputer(strategy="median").fit_transform(numbers)
    return pd.DataFrame(StandardScaler().fit_transform(filled), index=numbers.index, columns=numbers.columns)


@dataclass(frozen=True)
class Components:
    """Principal components of the features.

    Parameters
    ----------
    positions
        Of each row on the first two, shape (n, 2).
    explained
        Share of the variance that each takes, 0..1.
    heaviest
        For each of the two, the features that weigh most in it.
    """

    positions: np.ndarray
    explained: np.ndarray
    heaviest: tuple[tuple[str, ...], ...]


def components_of(scaled: pd.DataFrame) -> Components:
    """Find the directions in which rows differ most; the label plays no part."""
    pca = PCA(random_state=0).fit(scaled)
    weights = pd.DataFrame(np.abs(pca.components_[:2]), columns=scaled.columns)
    heaviest = tuple(tuple(row.nlargest(3).index) for _, row in weights.iterrows())
    return Components(pca.transform(scaled)[:, :2], pca.explained_variance_ratio_, heaviest)


def key_to_cluster(keys: pd.DataFrame) -> str | None:
    """Choose the key whose values are clustered: the one with the most, up to `MANY_VALUES`; None if none has 4."""
    counts = keys.nunique()
    fitting = counts[(counts >= FEW_VALUES) & (counts <= MANY_VALUES)]
    if fitting.empty:
        fitting = -counts[counts > MANY_VALUES]  # the fewest of many: its most frequent are taken
    return None if fitting.empty else str(fitting.idxmax())


def cluster_key(scaled: pd.DataFrame, key: pd.Series) -> tuple[np.ndarray, list[str]] | None:
    """Cluster the values of a key by their mean features, from the nearest pair up (Ward).

    Returns
    -------
    (ndarray, list of str)
        Linkage as scipy has it, and the values, each with its rows; None where fewer than 4 have enough rows.
    """
    frequent = key.value_counts().head(MANY_VALUES)
    frequent = frequent[frequent >= MIN_VALUE_ROWS]
    if len(frequent) < FEW_VALUES:
        return None
    rows = key.isin(frequent.index)
    profiles = scaled[rows].groupby(key[rows].to_numpy()).mean()
    names = [f"{value} ({frequent[value]:,})" for value in profiles.index]
    return linkage(profiles.to_numpy(), method="ward"), names


@dataclass(frozen=True)
class Segments:
    """Groups of rows with similar features.

    Parameters
    ----------
    numbers
        The segment of each row, counted from 1 by size.
    silhouettes
        By how many segments, how much nearer rows are to their own than to the next, -1..1.
    centres
        Of each segment in deviations from the mean, by feature.
    """

    numbers: pd.Series
    silhouettes: dict[int, float]
    centres: pd.DataFrame


def find_segments(scaled: pd.DataFrame) -> Segments:
    """Group rows by k-means, with as many segments as have the highest silhouette; the label plays no part."""
    sample = scaled.sample(min(len(scaled), SILHOUETTE_ROWS), random_state=0).index
    fitted = {count: KMeans(count, n_init=3, random_state=0).fit(scaled) for count in range(2, MAX_SEGMENTS + 1)}
    labels = {count: pd.Series(model.labels_, index=scaled.index) for count, model in fitted.items()}
    silhouettes = {
        count: float(silhouette_score(scaled.loc[sample], found[sample])) if found[sample].nunique() > 1 else -1.0
        for count, found in labels.items()
    }
    best = labels[max(silhouettes, key=lambda count: silhouettes[count])]
    by_size = {segment: place for place, segment in enumerate(best.value_counts().index, start=1)}
    numbers = best.map(by_size)
    return Segments(numbers, silhouettes, scaled.groupby(numbers.to_numpy()).mean())
