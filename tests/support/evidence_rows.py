"""Evidence made by hand: literal daily losses, ten days of a hundred rows, for the tests of the gate."""

from dataclasses import replace
from datetime import UTC, datetime

from flightline.core.windows import Interval
from flightline.evaluation.bootstrap import DailyLosses
from flightline.promotion.evidence import Cost, EvaluationSummary, Evidence, ExpectedModels, RegisteredModel, Role

DAYS = tuple(f"2013-09-{day:02}" for day in range(1, 11))
ROWS_A_DAY = 100
WINDOW = Interval(datetime(2013, 9, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
FIRST, LAST = datetime(2013, 9, 1, 8, tzinfo=UTC), datetime(2013, 9, 10, 20, tzinfo=UTC)
LEARNED_UNTIL = datetime(2013, 8, 31, 20, tzinfo=UTC)
GOOD = {"log_loss": 0.43, "brier": 0.13, "roc_auc": 0.76, "pr_auc": 0.5, "ece": 0.01}
COST = Cost(one_row_seconds=0.004, thousand_rows_seconds=0.02, size_bytes=1_000_000)
VERSIONS = {Role.CHALLENGER: "2", Role.CHAMPION: "1", Role.BASELINE: ""}


def daily(*means: float, days: tuple[str, ...] = DAYS, rows: int = ROWS_A_DAY) -> DailyLosses:
    """Mean losses of the days; one value counts for all."""
    every = means * len(days) if len(means) == 1 else means
    return DailyLosses(days, tuple(mean * rows for mean in every), (rows,) * len(days))


def make_evidence(
    role: Role = Role.CHALLENGER,
    model: str = "new",
    *,
    losses: DailyLosses | None = None,
    slices: dict[str, DailyLosses] | None = None,
    rows: str = "rows",
    cost: Cost | None = COST,
    **metrics: float,
) -> Evidence:
    """Make evidence of a good model, but for what is said otherwise; its losses follow its log_loss."""
    told = GOOD | metrics
    summary = EvaluationSummary(
        metrics=told,
        rows_digest=rows,
        first_prediction=FIRST,
        last_prediction=LAST,
        losses=losses or daily(told["log_loss"]),
        slices=slices or {},
    )
    return Evidence(role, VERSIONS[role], model, summary, cost, LEARNED_UNTIL)


def make_champion(**said: object) -> Evidence:
    """Make the champion's evidence."""
    return make_evidence(Role.CHAMPION, **{"model": "old", **said})


def judged(evidence: Evidence, **other: object) -> Evidence:
    """Alter a summary."""
    return replace(evidence, summary=replace(evidence.summary, **other))


def registered(evidence: Evidence) -> RegisteredModel:
    """Make the registry's side of what evidence says."""
    return RegisteredModel(evidence.version, evidence.model, evidence.summary.losses)


def expected_of(challenger: Evidence, champion: Evidence | None) -> ExpectedModels:
    """Make the expected that fits the evidence."""
    return ExpectedModels(registered(challenger), registered(champion) if champion else None, WINDOW)


BASELINE = make_evidence(
    Role.BASELINE, "baseline", cost=None, log_loss=0.52, brier=0.17, roc_auc=0.5, pr_auc=0.2, ece=0.01
)
