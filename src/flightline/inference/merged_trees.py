"""Boosted trees walked in one call: for one row, calling each tree takes longer than walking it.

All trees hang under one more, the router, which sends a row to the tree that the row's last
column numbers. scikit-learn's own compiled walker does the rest, and the leaves are added up in
its order, so the sum is equal to the bit. What is used here is private to scikit-learn: where it
has changed, a warning says so and the model goes scikit-learn's way, and `FastPipeline.of` compares
the answers before it takes them.
"""

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

# Each row is copied for each tree, so from about 200 rows on (90 trees, 81 columns) scikit-learn's loop is quicker.
FEW_ROWS = 64
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MergedTrees:
    """The trees of a HistGradientBoosting model as one.

    Parameters
    ----------
    walk
        scikit-learn's walker: fills its last argument with each row's leaf.
    nodes
        Of the router, then of each tree, in scikit-learn's own record.
    left_categories
        By split on a category, which ones go left: bitsets of shape (splits, 8).
    known_categories
        By categorical column, which ones were learned: bitsets of shape (columns, 8).
    positions
        By column, its position in `known_categories`.
    baseline
        What the leaves are added to, shape (classes,); of two classes, or a number, one.
    trees
        How many there are; of several classes as many in each iteration, one after the other.
    """

    walk: Callable[..., None]
    nodes: np.ndarray
    left_categories: np.ndarray
    known_categories: np.ndarray
    positions: np.ndarray
    baseline: np.ndarray
    trees: int

    @classmethod
    def of(cls, estimator: "BaseEstimator") -> "MergedTrees | None":
        """Merge a fitted model's trees; None if it has none, or they cannot be walked."""
        if not getattr(estimator, "n_trees_per_iteration_", 0):
            return None
        try:
            from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

            predictors = [tree for trees in estimator._predictors for tree in trees]
            baseline = np.ravel(estimator._baseline_prediction)
            known, positions = estimator._bin_mapper.make_known_categories_bitsets()
            nodes = _merged([tree.nodes for tree in predictors], len(positions), _starts(predictors))
            left = np.concatenate([tree.raw_left_cat_bitsets for tree in predictors])
            positions = np.append(positions, positions[:1])
            merged = cls(_predict_from_raw_data, nodes, left, known, positions, baseline, len(predictors))
            merged.sums(np.zeros((1, len(positions) - 1)))
        except Exception as err:  # noqa: BLE001  # whatever private parts that changed make of it
            LOG.warning(
                "scikit-learn %s is not as MergedTrees expects it (%s: %s): trees are walked one by one, which is "
                "slower; install the version of locks/serving.txt",
                version("scikit-learn"),
                type(err).__name__,
                err,
            )
            return None
        return merged

    def sums(self, encoded: np.ndarray) -> np.ndarray:
        """Add up baseline and leaves.

        Parameters
        ----------
        encoded
            Rows as the trees take them: float64, shape (n, columns).

        Returns
        -------
        ndarray of float64, shape (n, classes)
            As scikit-learn's `_raw_predict` gives them, column after column: softmax adds otherwise in another order.
        """
        (count, width), classes = encoded.shape, len(self.baseline)
        rows = np.empty((count, self.trees, width + 1))
        rows[:, :, :width] = encoded[:, None, :]
        rows[:, :, width] = np.arange(self.trees)
        summands = np.empty((count, self.trees // classes + 1, classes))
        summands[:, 0] = self.baseline
        leaves = np.empty(count * self.trees)
        flat = rows.reshape(-1, width + 1)
        self.walk(self.nodes, flat, self.left_categories, self.known_categories, self.positions, 1, leaves)
        summands[:, 1:] = leaves.reshape(count, -1, classes)
        # One after the other, as scikit-learn adds; `sum` would add in pairs.
        return np.asfortranarray(np.add.accumulate(summands, axis=1)[:, -1])


def with_merged_trees(estimator: "BaseEstimator") -> "BaseEstimator | None":
    """Copy a fitted HistGradientBoosting so that it takes few rows through its merged trees; None if it cannot."""
    trees = MergedTrees.of(estimator)
    loop = getattr(estimator, "_raw_predict", None)
    if trees is None or loop is None or getattr(estimator, "_preprocessor", None) is not None:
        return None
    fast = copy.copy(estimator)

    at_once = max(1, FEW_ROWS // len(trees.baseline))  # of many classes there are many copies of a row

    def sums(encoded: np.ndarray, n_threads: int | None = None) -> np.ndarray:
        if len(encoded) > FEW_ROWS:
            return loop(encoded, n_threads)
        parts = [trees.sums(encoded[first : first + at_once]) for first in range(0, len(encoded), at_once)]
        return parts[0] if len(parts) == 1 else np.asfortranarray(np.concatenate(parts))

    fast._raw_predict = sums
    return fast


def _starts(predictors: list) -> list[tuple[int, int]]:
    """Give, by tree, where its nodes and its splits on categories begin; the router's nodes come first."""
    nodes = accumulate((len(tree.nodes) for tree in predictors), initial=len(predictors) - 1)
    splits = accumulate((len(tree.raw_left_cat_bitsets) for tree in predictors), initial=0)
    return list(zip(nodes, splits, strict=True))[:-1]


def _merged(trees: list[np.ndarray], column: int, starts: list[tuple[int, int]]) -> np.ndarray:
    moved = []
    for nodes, (start, splits) in zip(trees, starts, strict=True):
        moved.append(nodes.copy())
        moved[-1]["left"] += start
        moved[-1]["right"] += start
        moved[-1]["bitset_idx"] += splits
    return np.concatenate([_router([start for start, _ in starts], column, trees[0].dtype), *moved])


def _router(roots: list[int], column: int, dtype: np.dtype) -> np.ndarray:
    """Make the nodes that send tree number i, in the given column, to `roots[i]`: a balanced binary search."""
    nodes = np.zeros(len(roots) - 1, dtype=dtype)
    free = iter(range(len(nodes)))

    def node_over(first: int, last: int) -> int:
        if first == last:
            return roots[first]
        middle, index = (first + last) // 2, next(free)
        left, right = node_over(first, middle), node_over(middle + 1, last)
        for name, value in (("feature_idx", column), ("num_threshold", middle), ("left", left), ("right", right)):
            nodes[name][index] = value
        return index

    node_over(0, len(roots) - 1)
    return nodes
