"""The table a training run ends with."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table

from flightline.adapters.dvc.data_version import DataVersion
from flightline.core.problem_spec import Problem
from flightline.promotion.evidence import Evidence
from flightline.promotion.gate import Verdict
from pipelines.common.artifacts import EvaluationFile, FittedFile, Registered, TrainingSet


@dataclass(frozen=True)
class TrainingResult:
    """What a training run came to."""

    data: DataVersion
    clock: datetime
    training_set: TrainingSet
    model: FittedFile
    evaluation: EvaluationFile
    registered: Registered
    champion: Evidence | None
    verdict: Verdict


def print_result(result: TrainingResult, problem: Problem, lower_is_better: Set[str]) -> None:
    """Print data, windows, metrics beside baseline and champion, the verdict, and where to look."""
    console = Console(highlight=False)
    console.print(_summary(result, problem))
    console.print(_metrics(result, lower_is_better))
    console.print(_checks(result))
    console.print(f"[bold]{result.verdict.decision}[/bold]: {'; '.join(result.verdict.reasons)}", soft_wrap=True)
    for warning in result.verdict.warnings:
        console.print(f"[bold]warning[/bold]: {warning}", soft_wrap=True)
    for note in result.verdict.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print("Next: make serve (answer requests), make status (what is live), make ui (the tools' pages)")


def _summary(result: TrainingResult, problem: Problem) -> Table:
    table = Table(show_header=False, box=None)
    rows = result.model.rows
    windows = result.training_set.windows
    table.add_row("data version", str(result.data))
    table.add_row("event clock", f"{result.clock:%Y-%m-%d %H:%M} UTC")
    table.add_row("fit", f"{windows.fit}, {rows['fit']:,} rows")
    table.add_row("validation", f"{windows.validation}, {rows['validation']:,} rows; refit on {rows['refit']:,}")
    test = f"{windows.test.start:%Y-%m-%d} to the clock" if result.clock < windows.test.end else windows.test
    table.add_row("test", f"{test}, {rows['test']:,} rows")
    table.add_row("model version", f"{problem.model_name} {result.registered.version}")
    return table


def _metrics(result: TrainingResult, lower_is_better: Set[str]) -> Table:
    table = Table(title="test window")
    for heading in ("metric", "this model", "baseline", "champion before"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    champion = result.champion.summary.metrics if result.champion else {}
    for name, value in result.evaluation.metrics.items():
        better = "lower" if name in lower_is_better else "higher"
        theirs = f"{champion[name]:.4f}" if name in champion else "none"
        table.add_row(
            f"{name} ({better} is better)", f"{value:.4f}", f"{result.evaluation.baseline_metrics[name]:.4f}", theirs
        )
    return table


def _checks(result: TrainingResult) -> Table:
    table = Table(title="gate")
    for heading in ("check", "value", "bound", "passed"):
        table.add_column(heading, justify="left" if heading == "check" else "right")
    for check in result.verdict.notable_checks:
        table.add_row(check.name, f"{check.value:.5g}", f"{check.bound:.5g}", "yes" if check.is_passed else "no")
    if result.verdict.passed_slices:
        table.add_row(f"{result.verdict.passed_slices} slices not credibly worse", "", "", "yes")
    return table
