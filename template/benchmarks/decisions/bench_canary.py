"""How often the canary errs: promotions of what is no better, looked at daily, and days until what is better is seen.

    python -m template.benchmarks.decisions.bench_canary [--root PATH] [--draws 4000] [--iterations 60]

Fits on the newest training set of a clone in which `make train` has run, and takes the daily
losses of its test window. Where nothing differs is made of them: days with their signs flipped,
days and whole weeks of which the mean was taken away, both ways round; of normal numbers; and of skewed ones.
The exit code is 1 if any of these is promoted more often than the problem's `canary.alpha`. What no test
can see, a loss that has not come yet, is printed beside them.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from flightline.adapters.files.pipes import outlive_reader
from flightline.evaluation.losses import row_losses
from flightline.evaluation.sequential_test import confidence_sequence
from flightline.problem.config import PROBLEM
from template.benchmarks.decisions.bench_gate import Data, fit, largest_groups, read

RULE = PROBLEM.canary
WEEK, FIRST_LOOK, SHARE = 7, 7, 0.1
AUTOCORRELATIONS = (0.1, 0.2, 0.3)
LOG_DEVIATIONS = (1.0, 1.5)
RARE = (0.05, 0.02)


@dataclass(frozen=True)
class Rows:
    """Losses of the test rows by model, and the day of each row."""

    losses: dict[str, np.ndarray]
    day: np.ndarray

    def daily(self, name: str, kept: np.ndarray | None = None) -> np.ndarray:
        """Average a model's losses by day, of all rows or of some."""
        weight = np.ones(len(self.day)) if kept is None else kept.astype(float)
        return np.bincount(self.day, self.losses[name] * weight) / np.bincount(self.day, weight)


def fit_models(data: Data, iterations: int) -> Rows:
    """Fit the benchmark's setting, with other seeds and made worse in some ways."""
    tested, learned = data.features.iloc[data.tested], data.learned
    shuffled = np.random.default_rng(0).permutation(learned)
    worse = {
        f"{share:.0%} of the training rows": (iterations, np.sort(shuffled[: int(share * len(learned))]), [])
        for share in (0.5, 0.1)
    }
    worse["half the iterations"] = (iterations // 2, learned, [])
    for name, columns in largest_groups(data.features)[:2]:
        worse[f"without {name}_... ({len(columns)} features)"] = (iterations, learned, columns)
    asked = {f"seed {seed}": (seed, (iterations, learned, [])) for seed in range(4)}
    asked |= {name: (0, given) for name, given in worse.items()}
    examples = data.examples.iloc[data.tested]
    label, losses = examples[PROBLEM.label].to_numpy(float), {}
    for name, (seed, (times, rows, dropped)) in asked.items():
        predicted = fit(data, name, seed, times, rows, dropped).predict(tested)
        losses[name] = row_losses(PROBLEM.task, PROBLEM.primary_metric, label, predicted)
    _, day = np.unique(examples["event_timestamp"].dt.floor("D"), return_inverse=True)
    return Rows(losses, day)


def judge(gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look at each sequence after each block, until it is decided.

    Parameters
    ----------
    gains
        Shape (sequences, days).

    Returns
    -------
    is_promoted, days
        Shape (sequences,); days until the decision, of those promoted.
    """
    whole = gains.shape[1] // RULE.block_days * RULE.block_days
    blocks = gains[:, :whole].reshape(len(gains), -1, RULE.block_days).mean(axis=2)
    lower, upper = confidence_sequence(blocks, RULE.alpha, RULE.spread)
    return first_side(lower > 0, upper < 0, RULE.block_days)


def judge_naively(gains: np.ndarray) -> np.ndarray:
    """Do a one-sided t-test of all days so far, every day, as if each were the only look; give who is promoted."""
    counts = np.arange(1, gains.shape[1] + 1)
    mean = np.cumsum(gains, axis=1) / counts
    squares = np.cumsum(gains**2, axis=1) - counts * mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        value = mean / np.sqrt(squares / (counts - 1) / counts)
        bound = stats.t.ppf(1 - RULE.alpha, np.maximum(counts - 1, 1))
    is_looked = counts >= FIRST_LOOK
    return first_side((value > bound) & is_looked, (value < -bound) & is_looked, 1)[0]


def first_side(better: np.ndarray, worse: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Say which sequences were on the better side first, and after how many days."""
    never = better.shape[1]
    first, other = (np.where(one.any(axis=1), one.argmax(axis=1), never) for one in (better, worse))
    is_better = first < other
    return is_better, (first[is_better] + 1) * days


def no_difference(rows: Rows, draws: int) -> Iterator[tuple[str, np.ndarray]]:
    """Make sequences in which the true mean gain is 0."""
    rng, shape = np.random.default_rng(7), (draws, RULE.max_days)
    yield "normal, independent days", rng.normal(size=shape)
    for share in AUTOCORRELATIONS:
        made = rng.normal(size=shape)
        for day in range(1, shape[1]):
            made[:, day] = share * made[:, day - 1] + np.sqrt(1 - share**2) * made[:, day]
        yield f"normal, each day {share:.1f} like the one before", made
    yield "skewed: bad days exponential", 1 - rng.exponential(size=shape)
    for size in LOG_DEVIATIONS:
        yield f"skewed: bad days log-normal, deviation {size}", np.exp(size**2 / 2) - rng.lognormal(0, size, shape)
    for name, gains in real_gains(rows):
        centred = gains - gains.mean()
        yield f"{name}: signs flipped", rng.choice(gains, shape) * rng.choice([-1, 1], shape)
        starts = rng.integers(0, len(gains), (draws, -(-shape[1] // WEEK)))
        weeks = (starts[:, :, None] + np.arange(WEEK)).reshape(draws, -1)[:, : shape[1]] % len(gains)
        for way, sign in (("", 1), (", the other way round", -1)):
            yield f"{name}: days, mean taken away{way}", sign * rng.choice(centred, shape)
            yield f"{name}: whole weeks, mean taken away{way}", sign * centred[weeks]


def show_unseen(draws: int) -> None:
    """Print how often a loss is overlooked that comes so rarely that it has not come yet."""
    rng = np.random.default_rng(17)
    print("\n| gains 1 on most days, and on the others all of it is lost: share of these days | promoted |\n|---|---|")
    for share in RARE:
        is_lost = rng.random((draws, RULE.max_days)) < share
        gains = np.where(is_lost, 1 - 1 / share, 1.0) + rng.normal(0, 0.5, is_lost.shape)
        print(f"| {share:.0%} | {judge(gains)[0].mean():.0%} |", flush=True)


def real_gains(rows: Rows) -> Iterator[tuple[str, np.ndarray]]:
    """Give by how much the benchmark's setting beats each other model, by day."""
    for name in rows.losses:
        if name != "seed 0":
            yield name, rows.daily(name) - rows.daily("seed 0")


def interval(count: int, of: int) -> tuple[float, float]:
    """Bound a share at 95 % (Clopper and Pearson, 1934)."""
    found = stats.binomtest(count, of).proportion_ci(0.95)
    return found.low, found.high


def show_false(rows: Rows, draws: int) -> float:
    """Print how often what is no better is promoted; give the largest share."""
    kinds: dict[str, list[tuple[float, float, str]]] = {}
    for name, gains in no_difference(rows, draws):
        kind = name if name.startswith("skewed") else name.split(": ")[-1].removesuffix(", the other way round")
        kinds.setdefault(kind, []).append((judge(gains)[0].mean(), judge_naively(gains).mean(), name))
    print("\n| no difference | sequences | promoted | worst of them | a t-test every day |\n|---|---|---|---|---|")
    for kind, found in kinds.items():
        rates, naive = [one[0] for one in found], np.mean([one[1] for one in found])
        low, high = interval(round(max(rates) * draws), draws)
        count = f"{len(found)} x {draws:,}" if len(found) > 1 else f"{draws:,}"
        print(f"| {kind} | {count} | {np.mean(rates):.1%} | {max(rates):.1%} ({low:.1%} to {high:.1%}) | {naive:.0%} |")
    worst = max(one for found in kinds.values() for one in found)
    print(f"\nworst: {worst[2]}", flush=True)
    return float(worst[0])


def show_power(rows: Rows, draws: int) -> None:
    """Print how often, and after how many days, what is better is promoted."""
    rng, shape = np.random.default_rng(11), (draws, RULE.max_days)
    print("\n| champion: the same setting, but | true gain | mean by deviation of a day | promoted | days, median |")
    print("|---|---|---|---|---|")
    for name, gains in real_gains(rows):
        is_promoted, days = judge(rng.choice(gains, shape))
        median = f"{np.median(days):.0f}" if is_promoted.any() else "-"
        size = gains.mean() / gains.std(ddof=1)
        print(f"| {name} | {gains.mean():+.5f} | {size:+.2f} | {is_promoted.mean():.0%} | {median} |", flush=True)


def show_unpaired(rows: Rows, draws: int) -> None:
    """Print the same where the challenger predicts only the share it answers, and the champion only the rest."""
    rng = np.random.default_rng(13)
    print(f"\n| unpaired, {SHARE:.0%} of the instances | deviation of a day | times the paired one | promoted |")
    print("|---|---|---|---|")
    for name, paired in real_gains(rows):
        gains = []
        for _ in range(20):  # other instances each time
            theirs = rng.random(len(rows.day)) < SHARE
            gains.append(rows.daily(name, ~theirs) - rows.daily("seed 0", theirs))
        drawn = np.concatenate(gains)
        drawn = drawn[np.isfinite(drawn)]
        promoted = judge(rng.choice(drawn, (draws, RULE.max_days)))[0].mean()
        print(f"| {name} | {drawn.std():.4f} | {drawn.std() / paired.std():.1f} | {promoted:.0%} |", flush=True)


def main() -> int:
    """Fit, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="a clone in which `make train` has run")
    parser.add_argument("--draws", type=int, default=4000, help="sequences of each kind")
    parser.add_argument("--iterations", type=int, default=60, help="of boosting: fewer than `make train`, for time")
    options = parser.parse_args()
    start = time.perf_counter()
    rows = fit_models(read(options.root), options.iterations)
    days = len(np.unique(rows.day))
    print(f"{len(rows.losses)} fits, {len(rows.day):,} test rows on {days} days: {time.perf_counter() - start:.0f} s")
    print(f"blocks of {RULE.block_days} days, at most {RULE.max_days} days, alpha {RULE.alpha}, spread {RULE.spread}")
    false = show_false(rows, options.draws)
    show_unseen(options.draws)
    show_power(rows, options.draws)
    show_unpaired(rows, options.draws)
    print(
        f"\nfalse promotions: at most {false:.1%}, allowed {RULE.alpha:.0%}; {time.perf_counter() - start:.0f} s in all"
    )
    return 0 if false <= RULE.alpha else 1


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
