"""How often the gate errs: promotions of a mere other seed, and promotions of what is truly better.

    python -m template.benchmarks.decisions.bench_gate [--root PATH] [--seeds 21] [--iterations 60] [--windows 200]

Fits on the newest training set of a clone in which `make train` has run, and asks the gate that
`make train` asks, with the problem's own thresholds. The exit code is 1 if more than 5 % of the
comparisons of one setting with itself under another seed were promoted.
"""

import argparse
import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters.files.pipes import outlive_reader
from flightline.evaluation.bootstrap import DailyLosses, paired_improvement
from flightline.evaluation.losses import row_losses
from flightline.evaluation.metrics import evaluate
from flightline.inference.predict import predict
from flightline.problem.config import PROBLEM
from flightline.promotion.evidence import (
    Cost,
    EvaluationSummary,
    Evidence,
    ExpectedModels,
    RegisteredModel,
    Role,
    summarise_evaluation,
)
from flightline.promotion.gate import Decision, decide_promotion
from flightline.training.row_checks import feature_columns
from flightline.training.splits import split
from flightline.training.zoo import find_model
from pipelines.promotion_steps.latency import measure_seconds

MODEL = "hist_gradient_boosting"
ALLOWED_FALSE = 0.05
VARIANT_SEEDS = 3
MIXED = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
FEWER_ROWS = (0.5, 0.25, 0.1)
DROPPED_GROUPS = 4
COST_SECONDS = 10.0
LONG_AGO = datetime.min.replace(tzinfo=UTC)  # all models here learned from rows before the test window


@dataclass(frozen=True)
class Data:
    """The rows: what is learned from, what is judged, and the features."""

    examples: pd.DataFrame
    features: pd.DataFrame
    learned: np.ndarray
    tested: np.ndarray


@dataclass(frozen=True)
class Contender:
    """A fitted model, as far as the gate sees it."""

    name: str
    summary: EvaluationSummary
    predicted: np.ndarray
    cost: Cost


@dataclass(frozen=True)
class Fitted:
    """A model, and the columns it takes."""

    name: str
    pipeline: Pipeline
    taken: list[str]

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Predict rows."""
        return predict(PROBLEM.task, self.pipeline, features[self.taken])


def read(root: Path) -> Data:
    """Read the newest training set of a clone."""
    folders = sorted(
        (root / ".state" / "training_sets").glob("*/features.parquet"), key=lambda file: file.stat().st_mtime
    )
    if not folders:
        sys.exit(f"{root} holds no training set; run `make train` there first")
    examples = pd.read_parquet(folders[-1].parent / "examples.parquet")
    masks = split(examples, PROBLEM.windows)
    learned, tested = (np.flatnonzero(masks[name]) for name in ("refit", "test"))
    return Data(examples, pd.read_parquet(folders[-1]), learned, tested)


def fit(data: Data, name: str, seed: int, iterations: int, rows: np.ndarray, dropped: Sequence[str] = ()) -> Fitted:
    """Fit the benchmark's setting on some rows and columns."""
    features = data.features.drop(columns=list(dropped)).iloc[rows]
    label = data.examples[PROBLEM.label].iloc[rows].astype(int if PROBLEM.task == "classification" else float)
    build = find_model(PROBLEM.task, MODEL).build
    return Fitted(
        name, build(feature_columns(features), seed, max_iter=iterations).fit(features, label), list(features)
    )


def judge(data: Data, name: str, predicted: np.ndarray, cost: Cost) -> Contender:
    """Bring predictions of the test rows into the gate's form."""
    rows = data.examples.iloc[data.tested]
    label, slice_by = rows[PROBLEM.label].astype(float), rows[list(PROBLEM.slices)]
    told = evaluate(PROBLEM.task, rows["example_id"], label, predicted, slice_by, PROBLEM.thresholds.min_slice_rows)
    losses = row_losses(PROBLEM.task, PROBLEM.primary_metric, label.to_numpy(), predicted)
    summary = summarise_evaluation(told.metrics, told.rows_digest, losses, rows["event_timestamp"], slice_by)
    return Contender(name, summary, predicted, cost)


def judge_all(data: Data, fitted: Sequence[Fitted]) -> list[Contender]:
    """Judge models, timed in turns as the gate does."""
    tested = data.features.iloc[data.tested]
    named = {f"{model.name} {number}": model for number, model in enumerate(fitted)}
    seconds = measure_seconds({name: model.predict for name, model in named.items()}, tested, COST_SECONDS)
    return [
        judge(data, model.name, model.predict(tested), Cost(*seconds[name], len(pickle.dumps(model.pipeline))))
        for name, model in named.items()
    ]


def baseline_of(data: Data) -> Contender:
    """Predict the mean of the labels learned from."""
    mean = float(data.examples[PROBLEM.label].iloc[data.learned].mean())
    return judge(data, "baseline", np.full(len(data.tested), mean), Cost(0.0, 0.0, 0))


def ask(challenger: Contender, champion: Contender, baseline: Contender) -> Decision:
    """Ask the gate."""
    sides = {Role.CHALLENGER: challenger, Role.CHAMPION: champion, Role.BASELINE: baseline}
    given = {role: Evidence(role, role, role, side.summary, side.cost, LONG_AGO) for role, side in sides.items()}
    known = {role: RegisteredModel(role, role, side.summary.losses) for role, side in sides.items()}
    return decide_promotion(
        given[Role.CHALLENGER],
        given[Role.BASELINE],
        given[Role.CHAMPION],
        ExpectedModels(
            known[Role.CHALLENGER], known[Role.CHAMPION], PROBLEM.windows.until(challenger.summary.last_prediction).test
        ),
        PROBLEM.thresholds,
        PROBLEM.primary_metric,
    ).decision


def redraw(contender: Contender, days: Sequence[str]) -> Contender:
    """Give a contender another test window: these days of its own, each as a day of its own."""

    def drawn(losses: DailyLosses) -> DailyLosses:
        at = {day: number for number, day in enumerate(losses.days)}
        chosen = [(f"{number:04}", at[day]) for number, day in enumerate(days) if day in at]
        names, places = zip(*chosen, strict=True) if chosen else ((), ())
        return DailyLosses(names, tuple(losses.sums[i] for i in places), tuple(losses.counts[i] for i in places))

    slices = {name: drawn(losses) for name, losses in contender.summary.slices.items()}
    return replace(contender, summary=replace(contender.summary, losses=drawn(contender.summary.losses), slices=slices))


def ask_on_other_windows(
    challengers: Sequence[Contender], champions: Sequence[Contender], baseline: Contender, windows: int, seed: int
) -> list[Decision]:
    """Ask about random pairs, each on days drawn with replacement."""
    rng, decisions = np.random.default_rng(seed), []
    days = np.array(baseline.summary.losses.days)
    while len(decisions) < windows:
        challenger, champion = challengers[rng.integers(len(challengers))], champions[rng.integers(len(champions))]
        if challenger is not champion:
            drawn = rng.choice(days, len(days)).tolist()
            decisions.append(ask(*(redraw(side, drawn) for side in (challenger, champion, baseline))))
    return decisions


def share_of(decisions: Sequence[Decision], wanted: Decision) -> float:
    """Give the share of a decision."""
    return sum(decision is wanted for decision in decisions) / len(decisions)


def false_lower_bounds(seeds: Sequence[Contender], draws: int) -> float:
    """Give how often the lower bound is above 0 where nothing differs: two seeds, swapped by day at random."""
    rng, false = np.random.default_rng(3), 0
    for _ in range(draws):
        i, j = rng.choice(len(seeds), 2, replace=False)
        one, two = seeds[i].summary.losses, seeds[j].summary.losses
        is_swapped = rng.integers(0, 2, len(one.days)).astype(bool)
        first = replace(one, sums=tuple(np.where(is_swapped, two.sums, one.sums).tolist()))
        second = replace(one, sums=tuple(np.where(is_swapped, one.sums, two.sums).tolist()))
        false += paired_improvement(first, second, PROBLEM.thresholds.confidence).lower > 0
    return false / draws


def interval_over_seeds(pairs: dict[tuple[int, int], bool], seeds: int) -> tuple[float, float]:
    """Bound the share at 95 % by drawing seeds, not pairs: pairs that share a seed are not independent."""
    rng, shares = np.random.default_rng(4), []
    for _ in range(2000):
        drawn = rng.integers(0, seeds, seeds)
        told = [pairs[i, j] for i, j in permutations(drawn.tolist(), 2) if i != j]
        shares.extend([float(np.mean(told))] if told else [])
    return tuple(np.quantile(shares, [0.025, 0.975]).tolist())


def weaker(data: Data, iterations: int, seeds: Sequence[Contender]) -> Iterator[tuple[str, list[Contender]]]:
    """Make champions that are known to be worse, by kind."""
    mean = data.examples[PROBLEM.label].iloc[data.learned].mean()
    for weight in MIXED:
        mixed = [(1 - weight) * one.predicted + weight * mean for one in seeds]
        yield (
            f"{weight:.0%} of the base rate mixed in",
            [judge(data, "", predicted, seeds[0].cost) for predicted in mixed],
        )
    make = partial(fit, data, iterations=iterations)
    for share in FEWER_ROWS:
        rows = [np.random.default_rng(seed).permutation(data.learned) for seed in range(VARIANT_SEEDS)]
        fitted = [make(name="", seed=100 + i, rows=np.sort(r[: int(share * len(r))])) for i, r in enumerate(rows)]
        yield f"{share:.0%} of the training rows", judge_all(data, fitted)
    for name, columns in largest_groups(data.features):
        fitted = [make(name="", seed=100 + i, rows=data.learned, dropped=columns) for i in range(VARIANT_SEEDS)]
        yield f"without {name}_... ({len(columns)} features)", judge_all(data, fitted)


def largest_groups(features: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Group the columns by the first word of their names; give the largest groups."""
    groups: dict[str, list[str]] = {}
    for column in features:
        groups.setdefault(column.split("_")[0], []).append(column)
    return sorted(groups.items(), key=lambda item: -len(item[1]))[:DROPPED_GROUPS]


def mean_loss(contenders: Sequence[Contender]) -> float:
    """Give the mean loss on the whole test window, over contenders."""
    return float(np.mean([one.summary.losses.mean for one in contenders]))


def show_false(seeds: Sequence[Contender], baseline: Contender, windows: int) -> float:
    """Print how often the same setting with another seed is promoted; give the largest share."""
    places = range(len(seeds))
    asked = {(i, j): ask(seeds[i], seeds[j], baseline) for i, j in permutations(places, 2)}
    promoted = {pair: decision is Decision.PROMOTE for pair, decision in asked.items()}
    low, high = interval_over_seeds(promoted, len(seeds))
    elsewhere = ask_on_other_windows(seeds, seeds, baseline, windows, seed=1)
    on_pairs, on_windows = float(np.mean(list(promoted.values()))), share_of(elsewhere, Decision.PROMOTE)
    losses = [one.summary.losses.mean for one in seeds]
    spread = f"{min(losses):.5f} to {max(losses):.5f}, standard deviation {np.std(losses, ddof=1):.5f}"
    null = f"{windows * 5} | {false_lower_bounds(seeds, windows * 5):.1%}"
    print(f"\n{PROBLEM.primary_metric} by seed: {spread}\n")
    print("| the same setting with another seed | comparisons | promoted |\n|---|---|---|")
    print(f"| ordered pairs of {len(seeds)} seeds | {len(asked)} | {on_pairs:.1%} ({low:.1%} to {high:.1%} by seeds) |")
    print(f"| random pairs, test days drawn with replacement | {windows} | {on_windows:.1%} |")
    print(f"| margin 0, days of two seeds swapped at random: no difference at all | {null} |", flush=True)
    return max(on_pairs, on_windows)


def show_power(
    seeds: Sequence[Contender], weaker_ones: Iterator[tuple[str, list[Contender]]], baseline: Contender, windows: int
) -> None:
    """Print how often a true improvement is promoted, and its opposite."""
    print("\n| champion: the same setting, but | true improvement | of its loss | promoted | the opposite promoted |")
    print("|---|---|---|---|---|")
    for name, champions in weaker_ones:
        gain = mean_loss(champions) - mean_loss(seeds)
        share = gain / mean_loss(champions)
        there = share_of(ask_on_other_windows(seeds, champions, baseline, windows, seed=2), Decision.PROMOTE)
        back = share_of(ask_on_other_windows(champions, seeds, baseline, windows, seed=2), Decision.PROMOTE)
        print(f"| {name} | {gain:+.5f} | {share:+.2%} | {there:.0%} | {back:.0%} |", flush=True)


def main() -> int:
    """Fit, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="a clone in which `make train` has run")
    parser.add_argument("--seeds", type=int, default=21)
    parser.add_argument("--iterations", type=int, default=60, help="of boosting: fewer than `make train`, for time")
    parser.add_argument("--windows", type=int, default=200, help="comparisons on redrawn test windows, each")
    options = parser.parse_args()
    start = time.perf_counter()
    data = read(options.root)
    print(
        f"{len(data.learned):,} rows to learn from, {len(data.tested):,} to judge on, {data.features.shape[1]} features"
    )
    fitted = [fit(data, f"seed {seed}", seed, options.iterations, data.learned) for seed in range(options.seeds)]
    seeds, baseline = judge_all(data, fitted), baseline_of(data)
    print(
        f"{options.seeds} fits of {MODEL}, {options.iterations} iterations: {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    false = show_false(seeds, baseline, options.windows)
    show_power(seeds, weaker(data, options.iterations, seeds), baseline, options.windows)
    print(f"\nfalse promotions: {false:.1%}, allowed {ALLOWED_FALSE:.0%}; {time.perf_counter() - start:.0f} s in all")
    return 0 if false <= ALLOWED_FALSE else 1


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
