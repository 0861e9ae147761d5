"""One column of the matrix: what gate and monitor would have said at a decision, of every model that could be serving.

The gate judges the procedure one step earlier, as the trial of a refit does (decision 29): its challenger was fitted
some weeks before the decision (`YearPlan.judged`) and is judged on the rows since then whose labels are known; the
model that would go into service has learned from them too. Where the champion is newer than that challenger, it is
held, as the gate holds what has learned from no later rows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.core.problem_spec import Problem
from flightline.core.windows import Interval
from flightline.evaluation.losses import row_losses
from flightline.evaluation.metrics import evaluate, rows_digest
from flightline.monitoring.decision import (
    Action,
    Reference,
    WindowEvidence,
    decide_monitoring,
    judge_window,
    make_reference,
    windows_until,
)
from flightline.monitoring.labels import LABELLED
from flightline.monitoring.window_metrics import DailyRows, bin_edges, sum_by_day
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
from pipelines.retraining.cut import ANSWERS_FILE, FACTS_FILE, read_examples
from pipelines.retraining.plan import YearPlan

SAME_COST = Cost(1e-3, 1e-2, 1_000_000)  # the settings are the same, so no model is cheaper than another


@dataclass(frozen=True)
class Fitted:
    """A model of the matrix: what it answers for the rows from its cut on, and what else is known of it."""

    answers: np.ndarray
    baseline: np.ndarray
    learned_until: pd.Timestamp


@lru_cache(maxsize=64)
def read_fitted(folder: Path) -> Fitted:
    """Read what `measure_cut` wrote; answers stay on the disk until they are needed."""
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    answers = np.load(folder / ANSWERS_FILE, mmap_mode="r")
    return Fitted(answers, np.array(facts["baseline"]), pd.Timestamp(facts["learned_until"]))


@dataclass(frozen=True)
class Year:
    """The examples and the models that were fitted up to a decision, by the number of their cut."""

    problem: Problem
    plan: YearPlan
    examples: pd.DataFrame
    folders: tuple[Path, ...]

    def between(self, start: int, end: int) -> np.ndarray:
        """Find the rows from one cut to another, by position."""
        first, last = (np.datetime64(self.plan.cuts[each].replace(tzinfo=None)) for each in (start, end))
        times = self.examples["event_timestamp"].dt.tz_convert(None).to_numpy()
        return np.arange(*np.searchsorted(times, [first, last]))

    def answers(self, cut: int, rows: np.ndarray) -> np.ndarray:
        """Give what the model of a cut answers for later rows, by position."""
        answers = read_fitted(self.folders[cut]).answers
        return np.asarray(answers[rows - (len(self.examples) - len(answers))])

    def known(self, rows: np.ndarray, decision: int) -> np.ndarray:
        """Keep the rows whose label was known at a decision."""
        clock, examples = self.plan.cuts[decision], self.examples.iloc[rows]
        is_settled = examples["event_timestamp"] < clock - self.plan.settling
        return rows[(is_settled & (examples["label_known_at"] < clock)).to_numpy()]


def judge_week(problem: Problem, plan: YearPlan, decision: int, folders: tuple[Path, ...], file: Path) -> Path:
    """Ask gate and monitor at a decision, by their own code and the problem's own rules, and write what they say.

    Parameters
    ----------
    decision
        The number of its cut.
    folders
        Of the models, by the number of their cut, those before the decision.
    file
        To be written, as JSON: by the number of the champion's cut ``gate``, ``fires``, ``basis`` and ``excess``.
    """
    year = Year(problem, plan, read_examples(plan.folder), folders)
    champions = range(plan.judged, decision)
    older = range(plan.judged, decision - plan.judged)
    gates = dict.fromkeys(champions, str(Decision.HOLD)) | ask_gate(year, decision, older)
    found = {str(each): {"gate": gates[each], **ask_monitor(year, each, decision)} for each in champions}
    atomic_write_text(file, json.dumps(found))
    return file


def ask_gate(year: Year, decision: int, champions: Sequence[int]) -> dict[int, str]:
    """Let the gate compare the challenger of a decision with champions that are older; give its verdicts."""
    cut = decision - year.plan.judged
    rows = year.known(year.between(cut, decision), decision)
    if not len(champions) or not len(rows):
        return {}
    fitted = read_fitted(year.folders[cut])
    baseline = np.broadcast_to(fitted.baseline.squeeze(), (len(rows), *fitted.answers.shape[1:]))
    sides = {
        Role.CHALLENGER: _evidence(year, Role.CHALLENGER, cut, rows, year.answers(cut, rows)),
        Role.BASELINE: _evidence(year, Role.BASELINE, cut, rows, np.array(baseline)),
    }
    window = Interval(year.plan.cuts[cut], year.plan.cuts[decision])
    verdicts = {}
    for champion in champions:
        theirs = _evidence(year, Role.CHAMPION, champion, rows, year.answers(champion, rows))
        verdicts[champion] = str(
            decide_promotion(
                sides[Role.CHALLENGER],
                sides[Role.BASELINE],
                theirs,
                ExpectedModels(_registered(sides[Role.CHALLENGER]), _registered(theirs), window),
                year.problem.thresholds,
                year.problem.primary_metric,
            ).decision
        )
    return verdicts


def _registered(evidence: Evidence) -> RegisteredModel:
    return RegisteredModel(evidence.version, evidence.model, evidence.summary.losses)


def _evidence(year: Year, role: Role, cut: int, rows: np.ndarray, answers: np.ndarray) -> Evidence:
    named = f"{role} of {year.plan.cuts[cut]:%Y-%m-%d}"
    is_baseline = role is Role.BASELINE
    learned = None if is_baseline else read_fitted(year.folders[cut]).learned_until.to_pydatetime()
    return Evidence(
        role, named, named, _summary(year, role, rows, answers), None if is_baseline else SAME_COST, learned
    )


def _summary(year: Year, role: Role, rows: np.ndarray, answers: np.ndarray) -> EvaluationSummary:
    problem, examples = year.problem, year.examples.iloc[rows]
    label, slice_by = examples[problem.label].astype(float), examples[list(problem.slices)]
    losses = row_losses(problem.task, problem.primary_metric, label.to_numpy(), answers)
    if role is Role.CHAMPION:  # of it only losses are asked
        metrics, digest = {}, rows_digest(examples["example_id"], label)
    else:
        by_slice = slice_by.iloc[:, :0]
        least = problem.thresholds.min_slice_rows
        judged = evaluate(problem.task, examples["example_id"], label, answers, by_slice, least, problem.classes)
        metrics, digest = judged.metrics, judged.rows_digest
    return summarise_evaluation(metrics, digest, losses, examples["event_timestamp"], slice_by)


def ask_monitor(year: Year, champion: int, decision: int) -> dict[str, object]:
    """Judge the windows that decide, of what the champion served since its cut and with labels known by now."""
    rule, clock = year.problem.monitoring, year.plan.cuts[decision]
    reference, edges = _reference(year, champion)
    served = year.between(champion, decision)
    windows = windows_until(clock, rule)[-rule.windows :]
    judged = [_judge_window(year, champion, decision, served, window, reference, edges) for window in windows]
    made = decide_monitoring(judged, rule)
    return {
        "fires": made.action is Action.RETRAIN,
        "basis": str(made.basis),
        "excess": _excess(judged, reference),
    }


def _reference(year: Year, champion: int) -> tuple[Reference | None, np.ndarray]:
    """Measure the model before it on the weeks that it has not seen, as monitoring does for a refit."""
    before = champion - year.plan.judged
    rows = year.known(year.between(before, champion), champion)
    if not len(rows):
        return None, np.zeros(0)
    answers = year.answers(before, rows)
    edges = bin_edges(answers)
    return make_reference(_by_day(year, rows, answers, edges), year.problem.monitoring), edges


def _judge_window(
    year: Year,
    champion: int,
    decision: int,
    served: np.ndarray,
    window: Interval,
    reference: Reference | None,
    edges: np.ndarray,
) -> WindowEvidence:
    times = year.examples["event_timestamp"].iloc[served]
    inside = served[((times >= window.start) & (times < window.end)).to_numpy()]
    known = year.known(inside, decision)
    rows = _by_day(year, known, year.answers(champion, known), edges) if len(known) else None
    return judge_window(window, len(inside), {LABELLED: len(known)}, rows, reference, year.problem.monitoring)


def _by_day(year: Year, rows: np.ndarray, answers: np.ndarray, edges: np.ndarray) -> DailyRows:
    problem, examples = year.problem, year.examples.iloc[rows]
    label = examples[problem.label].to_numpy(float)
    of = problem.task, problem.primary_metric
    return sum_by_day(*of, examples["event_timestamp"], label, answers, edges, problem.classes)


def _excess(judged: list[WindowEvidence], reference: Reference | None) -> float | None:
    """Give by what share of the usual loss the newest judged window lies above what is promised, or usual."""
    newest = next((each for each in reversed(judged) if each.criteria), None)
    if newest is None or reference is None:
        return None
    loss = reference.metrics[reference.rows.metric].value
    name = "excess" if "excess" in newest.metrics else reference.rows.metric
    return (newest.metrics[name].value - reference.metrics[name].value) / loss if loss else None
