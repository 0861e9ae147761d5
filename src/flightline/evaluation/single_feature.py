"""What each feature reaches alone: a small tree on it, fitted on earlier rows and judged on later ones.

A leak that no declaration shows, such as a label under another name or a moment stamped too early, often gives itself
away here: one feature predicts far better than those of every other view. Where many rows lack a feature, what it
gives away is diluted among them, so it is judged once more on the rows that have it.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from flightline.evaluation.losses import row_losses
from flightline.evaluation.sampling import spread_positions

MAX_ROWS = 20_000  # of each side, spread evenly
LEAVES, ROWS_A_LEAF = 32, 20
TIMES, LEAST_GAIN = 3.0, 0.1
# A feature that fewer have is judged among them, if they are that many on each side.
MOSTLY_KNOWN, LEAST_ROWS = 0.9, 200
ALL_ROWS = "all rows"
SAME_ORDER = 0.999999  # of the rank correlation; the best honest feature of the page views reaches 0.977
_ASK = "known at the prediction time (known_at in problem/availability.py), and is not the label under another name"


def judge_alone(
    task: str, metric: str, features: pd.DataFrame, label: pd.Series, before: pd.Series, later: pd.Series
) -> pd.DataFrame:
    """Judge each feature as the only one.

    Parameters
    ----------
    metric
        One with a loss by row (`losses.ROW_LOSSES`).
    features, label
        Of the same rows, in the same order.
    before, later
        Masks of the rows to fit on and to judge on; not those of the test window.

    Returns
    -------
    DataFrame
        Columns feature, loss (mean over the later rows), gain (the share of a constant's loss that it takes away;
        below 0 if it is worse), order (how alike it and the label order the later rows: the absolute rank
        correlation, 0..1; NaN of a text), among and share. The best first of all rows (`ALL_ROWS`, share 1), then again
        among those rows, which are the share of all, that have a feature which many lack and which tells much there;
        not where none of the rows to fit on is of a class that others are of.
    """
    tables = [_judge(task, metric, features, label, before, later).assign(among=ALL_ROWS, share=1.0)]
    for name in features:
        has = features[name].notna().to_numpy()
        rows, share = (before & has, later & has), has[later.to_numpy()].mean()
        if share >= MOSTLY_KNOWN or min(side.sum() for side in rows) < LEAST_ROWS:
            continue
        if task != "regression" and label[rows[0]].nunique() < label[before].nunique():
            continue  # of a class that none of them is of a constant knows nothing, and anything beats it
        own = _judge(task, metric, features[[name]], label, *rows).iloc[0]
        if own["gain"] >= LEAST_GAIN or own["order"] >= SAME_ORDER:
            tables.append(_judge(task, metric, features, label, *rows).assign(among=str(name), share=share))
    return pd.concat(tables, ignore_index=True)


def _judge(
    task: str, metric: str, features: pd.DataFrame, label: pd.Series, before: pd.Series, later: pd.Series
) -> pd.DataFrame:
    fit, judge = _spread(before), _spread(later)
    truth, target = label.iloc[judge].to_numpy(float), label.iloc[fit].to_numpy(float)
    classes = int(label.max()) + 1 if task == "multiclass" else 2  # a sample may lack one
    constant = row_losses(task, metric, truth, _constant(task, target, len(truth), classes)).mean()
    losses, orders = {}, {}
    for name in features:
        known, asked = _as_numbers(task, features[name].iloc[fit], target, features[name].iloc[judge])
        losses[str(name)] = row_losses(task, metric, truth, _predict(task, known, target, asked, classes)).mean()
        orders[str(name)] = _same_order(features[name].iloc[judge], label.iloc[judge])
    table = pd.DataFrame({"feature": list(losses), "loss": list(losses.values())})
    table["gain"] = 1 - table["loss"] / constant if constant > 0 else 0.0
    table["order"] = table["feature"].map(orders).astype(float)
    return table.sort_values("gain", ascending=False, kind="stable", ignore_index=True)


def find_suspect(
    table: pd.DataFrame,
    view_of: Mapping[str, str],
    on_demand: Collection[str] = (),
    of_moment: Collection[str] = (),
) -> str | None:
    """Name a feature that orders examples as their labels do, or alone predicts far better than all of other views.

    Parameters
    ----------
    table
        As `judge_alone` gives it.
    view_of
        By feature, where it comes from; one that is absent is a source of its own.
    on_demand
        Features made of stored ones. They are of one source, and a stored feature is judged without them: a leak would
        hide behind what is made of it.
    of_moment
        Features made of the moment of a request alone, such as the hour: none of them is named for how much it tells,
        only if it orders examples as their labels do. Others are still compared with them.
    """
    sources = dict.fromkeys(on_demand, "on demand") | dict(view_of)
    stored = table[~table["feature"].isin(on_demand)]
    found = (
        _suspect(rows, among, given, of_moment)
        for part, given in ((stored, view_of), (table, sources))
        for among, rows in part.groupby("among", sort=False)
    )
    return next(filter(None, found), None)


def _suspect(table: pd.DataFrame, among: str, view_of: Mapping[str, str], of_moment: Collection[str]) -> str | None:
    # Of the rows that have a feature, only this one is new; the others were judged on all rows.
    judged = table if among == ALL_ROWS else table[table["feature"] == among]
    if judged.empty:
        return None
    where = "" if among == ALL_ROWS else f" on the {judged['share'].iloc[0]:.0%} of rows that have it"
    closest = judged.loc[judged["order"].fillna(0).idxmax()]
    if closest["order"] >= SAME_ORDER:
        return (
            f"{closest['feature']} puts examples in the order of their labels{where} (rank correlation "
            f"{closest['order']:.6f}): make sure that it is {_ASK}"
        )
    judged = judged[~judged["feature"].isin(of_moment)]
    if judged.empty:
        return None
    best = judged.iloc[0]
    source = table["feature"].map(lambda name: view_of.get(name, name))
    others = table[source != view_of.get(best["feature"], best["feature"])]
    second = others.iloc[0] if len(others) else None
    rest = max(second["gain"], 0.0) if second is not None else 0.0
    if best["gain"] < LEAST_GAIN or best["gain"] < TIMES * rest:
        return None
    beside = f"{second['feature']} of the next best view {rest:.0%}" if second is not None else "there is no other view"
    alone = f"{best['feature']} alone takes away {best['gain']:.0%} of a constant's loss{where}, {beside}"
    return f"{alone}: make sure that it is {_ASK}"


def _spread(mask: pd.Series) -> np.ndarray:
    positions = np.flatnonzero(mask.to_numpy())
    return positions[spread_positions(len(positions), MAX_ROWS)]


def _same_order(feature: pd.Series, label: pd.Series) -> float:
    if not pd.api.types.is_numeric_dtype(feature) or feature.nunique() < 2 or label.nunique() < 2:
        return float("nan")
    return abs(float(feature.rank().corr(label.astype(float).rank())))


def _constant(task: str, target: np.ndarray, rows: int, classes: int) -> np.ndarray:
    if task == "multiclass":
        return np.tile(np.bincount(target.astype(int), minlength=classes) / len(target), (rows, 1))
    return np.full(rows, target.mean())


def _as_numbers(task: str, known: pd.Series, target: np.ndarray, asked: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Give numbers as they are, and categories by the mean of their target, as trees order them (Breiman, 1984).

    Of a multiclass problem that is the share of each class, a column each.
    """
    if pd.api.types.is_numeric_dtype(known):
        return known.to_numpy(float).reshape(-1, 1), asked.to_numpy(float).reshape(-1, 1)
    targets = pd.Series(target, index=known.index)
    columns = pd.get_dummies(targets, dtype=float) if task == "multiclass" else targets.to_frame()
    means = columns.groupby(known).mean()
    return means.reindex(known).to_numpy(float), means.reindex(asked).to_numpy(float)


def _predict(task: str, known: np.ndarray, target: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    if np.isnan(known).all():
        return _constant(task, target, len(asked), classes)
    kind = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    tree = kind(max_leaf_nodes=LEAVES, min_samples_leaf=ROWS_A_LEAF, random_state=0)
    tree.fit(known, target)
    if task == "regression":
        return tree.predict(asked)
    probability = np.zeros((len(asked), classes))
    probability[:, tree.classes_.astype(int)] = tree.predict_proba(asked)
    share = probability if task == "multiclass" else probability[:, 1]
    # A leaf of one class only would be infinitely wrong once.
    kept = np.clip(share, 1 / (2 * ROWS_A_LEAF), 1 - 1 / (2 * ROWS_A_LEAF))
    return kept / kept.sum(axis=1, keepdims=True) if task == "multiclass" else kept
