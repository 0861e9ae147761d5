"""What monitoring leaves behind: the decision record, the gauges, Prefect's artifact, and the page's pictures."""

import json
import math
import shutil
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from flightline.adapters.plots import monitoring_plots as figures
from flightline.adapters.prometheus_textfile import Measured, write_gauges
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.monitoring.decision import Action, MonitoringDecision, WindowEvidence
from flightline.monitoring.window_metrics import DailyRows
from pipelines.monitoring_steps.inputs import Inputs
from pipelines.monitoring_steps.page import Picture, page
from pipelines.monitoring_steps.windows import ChampionRows, Judged

GAUGES_FILE = "flightline_monitor.prom"


def write_report(
    project: Project,
    clock: datetime,
    champion: ChampionRows,
    judged: Judged,
    inputs: Inputs,
    decision: MonitoringDecision,
    folder: Path,
) -> None:
    """Write everything into the window's folder; the newest decision and gauges lie beside it too."""
    record = as_record(project.problem, clock, champion, judged, inputs, decision)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=2)
    (folder / "decision.json").write_text(text, encoding="utf-8")
    pictures = draw(project.problem, judged, inputs, folder)
    words = page(project.problem, clock, champion.version, judged, inputs, decision, pictures)
    (folder / "page.html").write_text(words, encoding="utf-8")
    write_gauges(folder / GAUGES_FILE, gauges(champion.version, clock, judged, inputs, decision))
    for name in ("decision.json", "page.html", GAUGES_FILE):
        unfinished = folder.parent / f"{name}.unfinished"
        shutil.copyfile(folder / name, unfinished)
        unfinished.replace(folder.parent / f"{'latest_' if name != GAUGES_FILE else ''}{name}")


def as_record(
    problem: Problem,
    clock: datetime,
    champion: ChampionRows,
    judged: Judged,
    inputs: Inputs,
    decision: MonitoringDecision,
) -> dict[str, Any]:
    """Give the decision with every number it rests on, in values that JSON has."""
    reference = judged.reference
    record = {
        "decision": asdict(decision),
        "model": problem.model_name,
        "version": champion.version,
        "clock": clock,
        "window": str(judged.windows[-1].window),
        "rule": asdict(problem.monitoring),
        "reference": {"span": str(reference.span), "rows": reference.rows.rows, "metrics": _plain(reference.metrics)},
        "windows": [_window(one) for one in judged.windows],
        "slices": {name: _window(one) for name, one in judged.slices.items()},
        "inputs": asdict(inputs),
    }
    return _finite(record)


def _plain(metrics: Any) -> dict[str, Any]:
    return {name: asdict(one) for name, one in metrics.items()}


def _window(one: WindowEvidence) -> dict[str, Any]:
    return asdict(one) | {"window": str(one.window), "coverage": one.coverage, "is_breached": one.is_breached}


def _finite(value: Any) -> Any:
    """Write what JSON has no word for: NaN and infinity as null, moments and paths as text."""
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)


def draw(problem: Problem, judged: Judged, inputs: Inputs, folder: Path) -> list[Picture]:
    """Draw what there is something to draw of, and say in words what each picture shows."""
    windows, rule = judged.windows, problem.monitoring
    if not any(one.predictions for one in windows):
        return []
    shown = windows[next(i for i, one in enumerate(windows) if one.predictions) :]
    if len(shown) < rule.windows:
        shown = windows[-rule.windows :]
    pictures = []
    if inputs.faults:
        figures.draw_faults(folder / "faults.png", inputs.faults)
        words = (
            "Columns and feature views that did, on days in succession, what no day of the training window did (red). "
            "This is broken data, not a worn model: mend it; a model that learns from it learns the fault."
        )
        pictures.append(Picture("Faults of the data", folder / "faults.png", words, is_wide=True))
    if any(one.metrics for one in shown):
        file = folder / "performance.png"
        figures.draw_performance(file, shown, judged.reference, rule.windows, problem.primary_metric)
        words = (
            "How the served predictions did, window by window. Each dot is a window with its bounds; red is a breach "
            "that decides. The green band is what is allowed, the dashed line what the model reached on its own "
            "held-out rows. A window's loss may be high merely because its days were hard: what decides is the loss "
            "above what the probabilities promise, calibration and discrimination."
            if "excess" in judged.reference.metrics
            else "How the served predictions did, window by window. Each dot is a window with its bounds; red is a "
            "breach. The green band is what is allowed, the dashed line what the model reached on held-out rows."
        )
        pictures.append(Picture("Performance", file, words, is_wide=True))
    if judged.latest is not None:
        file = folder / "calibration.png"
        figures.draw_calibration(file, calibration_of(judged.latest), calibration_of(judged.reference.rows))
        pictures.append(
            Picture(
                "Calibration", file, "What was predicted against what happened, in bins of the reference's deciles."
            )
        )
    figures.draw_coverage(folder / "coverage.png", shown)
    words = "What is known by now of the predicted instances. A window is judged only if enough of it is known."
    pictures.append(Picture("Labels", folder / "coverage.png", words))
    return [*pictures, *_draw_inputs(inputs, folder)]


def _draw_inputs(inputs: Inputs, folder: Path) -> list[Picture]:
    if not inputs.columns:
        return []
    figures.draw_drift(folder / "drift.png", inputs.columns)
    figures.draw_missing(folder / "missing.png", inputs.columns)
    moved = (
        "The columns that moved most. 1 is the column's own threshold: how far its farthest month of training was "
        "from the rest, and a quarter more. Drift explains, it does not decide."
    )
    gone = "Shares of missing values in the latest window, where they differ most from the training window."
    return [Picture("Drift", folder / "drift.png", moved), Picture("Missing values", folder / "missing.png", gone)]


def calibration_of(rows: DailyRows) -> pd.DataFrame:
    """Give predicted and observed means by bin."""
    total = rows.bins.sum(axis=0)
    total = total[total[:, 0] > 0]
    return pd.DataFrame(
        {"rows": total[:, 0], "predicted": total[:, 1] / total[:, 0], "observed": total[:, 2] / total[:, 0]}
    )


def gauges(
    version: str, clock: datetime, judged: Judged, inputs: Inputs, decision: MonitoringDecision
) -> list[Measured]:
    """Give what Prometheus is to know."""
    latest = judged.windows[-1]
    told = [
        Measured(
            "flightline_monitor_decision", "1 for what monitoring asks for.", decision.action is one, {"decision": one}
        )
        for one in Action
    ]
    told += [
        Measured("flightline_monitor_info", "The champion that was monitored.", 1, {"version": version}),
        Measured("flightline_monitor_clock_seconds", "Event clock of the run.", clock.timestamp()),
        Measured("flightline_monitor_judged", "1 if enough was known to decide anything.", decision.is_judged),
        Measured("flightline_monitor_breached_windows", "Of the last windows, those in breach.", decision.breached),
        Measured("flightline_monitor_predictions", "Predicted instances of the latest window.", latest.predictions),
        Measured("flightline_monitor_label_coverage", "Share of them whose outcome is known.", latest.coverage),
        Measured("flightline_monitor_drifted_columns", "Columns above their own threshold.", len(inputs.drifted)),
    ]
    told.append(Measured("flightline_monitor_faults", "Columns and views with a data fault.", len(inputs.faults)))
    for fault in inputs.faults:
        labels = {"column": fault.column, "kind": fault.kind}
        told.append(Measured("flightline_monitor_fault", "1 for each column or view with a data fault.", 1, labels))
    for name, one in latest.metrics.items():
        for bound, value in asdict(one).items():
            meaning = "Metrics of the latest window, with bounds."
            told.append(Measured("flightline_monitor_metric", meaning, value, {"metric": name, "bound": bound}))
    for each in latest.criteria:
        meaning = "1 where the latest window breaches a criterion."
        told.append(Measured("flightline_monitor_breach", meaning, each.is_breached, {"criterion": each.name}))
    for view in inputs.views:
        labels = {"view": view.view}
        told.append(
            Measured("flightline_monitor_lag_hours", "Age of materialisation, 95th percentile.", view.lag_hours, labels)
        )
        told.append(
            Measured("flightline_monitor_missing", "Share of predictions without the view.", view.missing, labels)
        )
    return told


def as_markdown(
    problem: Problem, champion: ChampionRows, judged: Judged, inputs: Inputs, decision: MonitoringDecision
) -> str:
    """Give the decision for Prefect's pages."""
    lines = [f"# {problem.model_name} version {champion.version}: {decision.action}", "", decision.summary, ""]
    lines += [f"- {reason}" for reason in decision.reasons]
    lines += ["", "| window | predictions | outcome known | loss | in breach |", "|---|---|---|---|---|"]
    for one in judged.windows:
        loss = one.metrics.get(problem.primary_metric)
        shown = f"{loss.value:.4f}" if loss else ""
        breach = ", ".join(each.name for each in one.criteria if each.is_breached) or one.unjudged or "no"
        lines.append(f"| {one.window} | {one.predictions:,} | {one.coverage:.0%} | {shown} | {breach} |")
    drifted = ", ".join(one.column for one in inputs.drifted) or "none"
    if inputs.faults:
        lines += ["", "| data fault | kind | since | until | likely cause |", "|---|---|---|---|---|"]
        lines += [f"| {one.name} | {one.kind} | {one.since} | {one.until} | {one.cause} |" for one in inputs.faults]
    return "\n".join([*lines, "", f"Columns above their own drift threshold: {drifted}."])
