"""Fills the matrix in parallel; each cut and week is kept by what it follows from, so that a run goes on.

A key is derived as that of a cached step (decision 6): from the arguments and from the source of all that the function
reaches. Nothing goes through Prefect, since processes of their own do the work.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from flightline.core.lineage import digest_of
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.evaluation.losses import row_losses
from flightline.retraining.matrix import Matrix
from pipelines.common.cached_step import key_of
from pipelines.common.progress import stage
from pipelines.common.source_closure import source_digest
from pipelines.retraining.cut import FACTS_FILE, measure_cut, read_examples
from pipelines.retraining.parallel import Jobs, run_all
from pipelines.retraining.plan import WEEK, YearPlan
from pipelines.retraining.week import Year, judge_week

DAYS = 7


def retraining_dir(settings: Settings) -> Path:
    """Say where replays keep what they made."""
    return settings.state_dir / "retraining"


def fill_matrix(project: Project, plan: YearPlan) -> tuple[Matrix, dict[str, int]]:
    """Fit, judge and collect, reusing what is unchanged; gives the gate's verdicts by kind too."""
    problem, home = project.problem, retraining_dir(project.settings)
    keys = cut_keys(problem, plan)
    folders = tuple(home / "cuts" / key[:16] for key in keys)
    with stage("fit") as progress:
        rule = problem.monitoring
        jobs: Jobs = {
            f"{cut:%Y-%m-%d}": (folder, (problem, rule, plan, cut, folder))
            for cut, folder in zip(plan.cuts[:-1], folders, strict=True)
        }
        run_all(jobs, measure_cut, project.settings.threads, progress)
        learned = [json.loads((each / FACTS_FILE).read_text())["learned_rows"] for each in folders]
        progress.say(
            f"{len(folders)} models, each on what was known at its cut: {learned[0]:,} to {learned[-1]:,} rows"
        )
    with stage("judge") as progress:
        decisions = range(plan.judged + 1, len(folders))
        files = [home / "weeks" / f"{key[:16]}.json" for key in week_keys(problem, keys, decisions)]
        jobs = {
            f"{plan.cuts[decision]:%Y-%m-%d}": (file, (problem, plan, decision, folders[:decision], file))
            for decision, file in zip(decisions, files, strict=True)
        }
        run_all(jobs, judge_week, project.settings.threads, progress)
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        verdicts = pd.Series([each["gate"] for week in found for each in week.values()], dtype=object).value_counts()
        fires = sum(each["fires"] for week in found for each in week.values())
        progress.say(
            f"{sum(map(len, found)):,} pairs of champion and week: in {verdicts.get('PROMOTE', 0):,} the gate would "
            f"promote, in {fires:,} the monitor would ask for a training"
        )
    return collect(problem, plan, folders, found), {str(name): int(count) for name, count in verdicts.items()}


def cut_keys(problem: Problem, plan: YearPlan) -> list[str]:
    """Name what the model of each cut, and its drift, follow from."""
    source = source_digest(measure_cut)
    made_of = key_of(problem), key_of(problem.monitoring), key_of(replace(plan, folder=Path()))
    return [digest_of(*made_of, str(cut), source) for cut in plan.cuts[:-1]]


def week_keys(problem: Problem, keys: Sequence[str], decisions: Sequence[int]) -> list[str]:
    """Name what gate and monitor say at each decision follows from."""
    source, rules = source_digest(judge_week), (key_of(problem.thresholds), key_of(problem.monitoring))
    return [digest_of(keys[:decision], rules, decision, source) for decision in decisions]


def collect(problem: Problem, plan: YearPlan, folders: tuple[Path, ...], found: Sequence[Mapping[str, dict]]) -> Matrix:
    """Bring what was measured into one matrix of models and weeks."""
    year = Year(problem, plan, read_examples(plan.folder), folders)
    size, weeks = plan.weeks, plan.cuts[plan.judged : -1]
    empty = np.full((size, size), np.nan)
    drift, excess, fires, promotes = empty.copy(), empty.copy(), empty > 0, empty > 0
    losses, rows = np.full((size, size, DAYS), np.nan), np.zeros((size, DAYS))
    for model in range(size):
        losses[model, model:], rows[model:] = _losses_by_day(year, model + plan.judged)
        facts = json.loads((folders[model + plan.judged] / FACTS_FILE).read_text(encoding="utf-8"))
        drift[model, model + 1 :] = [facts["drift"][week.isoformat()] for week in weeks[model + 1 :]]
    for decision, week in enumerate(found, start=1):
        for model in range(decision):
            said = week[str(model + plan.judged)]
            fires[model, decision], promotes[model, decision] = said["fires"], said["gate"] == "PROMOTE"
            excess[model, decision] = np.nan if said["excess"] is None else said["excess"]
    known = year.examples["label_known_at"].groupby((year.examples["event_timestamp"] - weeks[0]) // WEEK).max()
    known_at = tuple(known.get(week, pd.Timestamp(weeks[week])).to_pydatetime() for week in range(size))
    return Matrix(problem.primary_metric, weeks, known_at, rows, losses, drift, fires, excess, promotes)


def _losses_by_day(year: Year, cut: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum a model's losses, and count rows, by week and day from its cut on; shapes (weeks, 7)."""
    problem, weeks = year.problem, len(year.plan.cuts) - 1 - cut
    rows = year.between(cut, len(year.plan.cuts) - 1)
    examples = year.examples.iloc[rows]
    label = examples[problem.label].to_numpy(float)
    losses = row_losses(problem.task, problem.primary_metric, label, year.answers(cut, rows))
    day = ((examples["event_timestamp"] - year.plan.cuts[cut]) // timedelta(days=1)).to_numpy()
    sums = np.bincount(day, weights=losses, minlength=weeks * DAYS)
    counts = np.bincount(day, minlength=weeks * DAYS).astype(float)
    return sums.reshape(weeks, DAYS), counts.reshape(weeks, DAYS)
