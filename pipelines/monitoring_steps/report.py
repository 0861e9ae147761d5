"""What monitoring leaves behind: the decision record, the gauges, and the page with its pictures."""

import json
import math
import shutil
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from flightline.adapters.files.atomic_write import atomic_write
from flightline.adapters.gauges.prometheus_textfile import Measured, write_gauges
from flightline.adapters.plots import monitoring_plots as figures
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.monitoring.decision import Action, MonitoringDecision, WindowEvidence
from flightline.monitoring.window_metrics import DailyRows
from pipelines.monitoring_steps.inputs import Inputs
from pipelines.monitoring_steps.page import as_html
from pipelines.monitoring_steps.published import publish_report
from pipelines.monitoring_steps.sentences import reasons, summary
from pipelines.monitoring_steps.training_window import ChampionRows
from pipelines.monitoring_steps.windows import Judged

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
    page = as_html(project.problem, clock, champion.version, judged, inputs, decision, pictures)
    (folder / "page.html").write_text(page, encoding="utf-8")
    measured = gauges(champion.version, clock, judged, inputs, decision)
    write_gauges(folder / GAUGES_FILE, measured)
    written = [*pictures.values()]
    for name in ("decision.json", "page.html", GAUGES_FILE):
        newest = folder.parent / f"{'latest_' if name != GAUGES_FILE else ''}{name}"
        with atomic_write(newest) as unfinished:
            shutil.copyfile(folder / name, unfinished)
        written += [folder / name, newest]
    publish_report(project.settings, folder.parent, written, measured)


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
        "decision": {
            "action": decision.action,
            "basis": decision.basis,
            "is_judged": decision.is_judged,
            "breached": decision.breached,
            "summary": summary(decision),
            "reasons": reasons(decision),
        },
        "model": problem.model_name,
        "version": champion.version,
        "clock": clock,
        "window": str(judged.windows[-1].window),
        "rule": asdict(problem.monitoring),
        "reference": {
            "span": str(reference.span),
            "rows": reference.rows.rows,
            "metrics": _plain(reference.metrics),
            "independence": reference.independence,
        },
        "windows": [_window(each) for each in judged.windows],
        "slices": {name: _window(each) for name, each in judged.slices.items()},
        "inputs": asdict(inputs),
    }
    return _finite(record)


def _plain(metrics: Any) -> dict[str, Any]:
    return {name: asdict(one) for name, one in metrics.items()}


def _window(evidence: WindowEvidence) -> dict[str, Any]:
    return asdict(evidence) | {
        "window": str(evidence.window),
        "coverage": evidence.coverage,
        "is_breached": evidence.is_breached,
        "criteria": [asdict(each) | {"is_breached": each.is_breached} for each in evidence.criteria],
    }


def _finite(value: Any) -> Any:
    """Write what JSON has no word for: NaN and infinity as null, moments and paths as text."""
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)


def draw(problem: Problem, judged: Judged, inputs: Inputs, folder: Path) -> dict[str, Path]:
    """Draw what there is something to draw of; give the files by the names that the page's template has for them."""
    windows, rule = judged.windows, problem.monitoring
    if not any(each.predictions for each in windows):
        return {}
    first = next(place for place, each in enumerate(windows) if each.predictions)
    shown = windows[min(first, len(windows) - rule.windows) :]
    file = {
        name: folder / f"{name}.png"
        for name in ("weeks", "anomalies", "performance", "calibration", "coverage", "drift", "missing")
    }
    drawn = {"coverage": figures.draw_coverage(file["coverage"], shown)}
    if inputs.anomalies:
        drawn["anomalies"] = figures.draw_anomalies(file["anomalies"], inputs.anomalies)
    if any(each.metrics for each in shown):
        drawn["weeks"] = figures.draw_weeks(file["weeks"], shown, judged.reference, rule.windows, problem.label)
        drawn["performance"] = figures.draw_performance(file["performance"], shown, judged.reference, rule.windows)
    if judged.latest is not None:
        bins, usual = calibration_of(judged.latest), calibration_of(judged.reference.rows)
        drawn["calibration"] = figures.draw_calibration(file["calibration"], bins, usual, problem.task, problem.label)
    if inputs.columns:
        drawn["drift"] = figures.draw_drift(file["drift"], inputs.columns)
        drawn["missing"] = figures.draw_missing(file["missing"], inputs.columns)
    return drawn


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
    """Give the values that Prometheus reads."""
    latest = judged.windows[-1]
    values = [
        Measured(
            "flightline_monitor_decision", "1 for what monitoring asks for.", decision.action is one, {"decision": one}
        )
        for one in Action
    ]
    values += [
        Measured("flightline_monitor_info", "The champion that was monitored.", 1, {"version": version}),
        Measured("flightline_monitor_clock_seconds", "Event clock of the run.", clock.timestamp()),
        Measured("flightline_monitor_judged", "1 if enough was known to decide anything.", decision.is_judged),
        Measured("flightline_monitor_breached_windows", "Of the last windows, those in breach.", decision.breached),
        Measured("flightline_monitor_predictions", "Predicted instances of the latest window.", latest.predictions),
        Measured("flightline_monitor_label_coverage", "Share of them whose outcome is known.", latest.coverage),
        Measured("flightline_monitor_drifted_columns", "Columns above their own threshold.", len(inputs.drifted)),
    ]
    values.append(
        Measured("flightline_monitor_anomalies", "Columns and views with a data anomaly.", len(inputs.anomalies))
    )
    for anomaly in inputs.anomalies:
        labels = {"column": anomaly.column, "kind": anomaly.kind}
        values.append(
            Measured("flightline_monitor_anomaly", "1 for each column or view with a data anomaly.", 1, labels)
        )
    for name, one in latest.metrics.items():
        for bound, value in asdict(one).items():
            meaning = "Metrics of the latest window, with bounds."
            values.append(Measured("flightline_monitor_metric", meaning, value, {"metric": name, "bound": bound}))
    for each in latest.criteria:
        meaning = "1 where the latest window breaches a criterion."
        values.append(Measured("flightline_monitor_breach", meaning, each.is_breached, {"criterion": each.name}))
    for view in inputs.views:
        labels = {"view": view.view}
        values.append(
            Measured("flightline_monitor_lag_hours", "Age of materialisation, 95th percentile.", view.lag_hours, labels)
        )
        values.append(
            Measured("flightline_monitor_missing", "Share of predictions without the view.", view.missing, labels)
        )
    return values
