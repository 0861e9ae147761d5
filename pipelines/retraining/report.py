"""What a replay leaves behind: the page, its picture, and every number as CSV and JSON; the same bytes each time."""

import base64
import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flightline.adapters.files.atomic_write import atomic_write
from flightline.adapters.plots.retraining_plots import draw_year
from flightline.core.problem_spec import Problem
from flightline.retraining.comparison import Comparison, Judged
from flightline.retraining.matrix import Matrix
from flightline.retraining.policies import break_even, losses_of
from pipelines.common.rendering import render
from pipelines.retraining.findings import chosen_words, findings
from pipelines.retraining.plan import YearPlan

PAGE, PICTURE, TABLE, WEEKS, RECORD = "page.html", "replay.png", "policies.csv", "weeks.csv", "replay.json"


@dataclass(frozen=True)
class LivedYear:
    """A year that was lived again, and what was found; `version` gave the settings."""

    problem: Problem
    plan: YearPlan
    version: str
    matrix: Matrix
    verdicts: dict[str, int]
    compared: Comparison


def write_report(year: LivedYear, folder: Path) -> Path:
    """Write everything into a folder, and the newest page beside it; gives the page."""
    matrix, compared = year.matrix, year.compared
    folder.mkdir(parents=True, exist_ok=True)
    picture = draw_year(folder / PICTURE, matrix, compared)
    as_table(compared).to_csv(folder / TABLE, index=False, float_format="%.8g", lineterminator="\n")
    as_weeks(matrix, compared).to_csv(folder / WEEKS, index=False, float_format="%.8g", lineterminator="\n")
    (folder / RECORD).write_text(json.dumps(as_record(year), indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(as_html(year, picture), encoding="utf-8")
    with atomic_write(folder.parent / f"latest_{PAGE}") as unfinished:
        shutil.copyfile(folder / PAGE, unfinished)
    return folder / PAGE


def as_table(compared: Comparison) -> pd.DataFrame:
    """Give a row for each policy."""
    return pd.DataFrame([_flat(one) for one in (*compared.judged, compared.best)])


def _flat(one: Judged) -> dict[str, object]:
    found: dict[str, object] = {"policy": one.name, "gate": one.has_gate, "drift_threshold": one.threshold}
    for name, span in (("all", one.whole), ("second_half", one.second)):
        values = asdict(span)
        gain = values.pop("gain")
        values |= {"gain": gain["estimate"], "gain_lower": gain["lower"], "gain_upper": gain["upper"]}
        found |= {f"{name}_{key}": value for key, value in values.items()}
    return found


def as_weeks(matrix: Matrix, compared: Comparison) -> pd.DataFrame:
    """Give a row for each policy and week."""
    tables = [
        pd.DataFrame(
            {
                "policy": one.name,
                "gate": one.has_gate,
                "week": [f"{week:%Y-%m-%d}" for week in matrix.weeks],
                "model": [f"{matrix.weeks[model]:%Y-%m-%d}" for model in one.course.served],
                "rows": matrix.weekly_rows.astype(int),
                "loss": losses_of(matrix, one.course) / matrix.weekly_rows.clip(1),
                "trained": one.course.trained,
                "promoted": one.course.promoted,
            }
        )
        for one in (*compared.judged, compared.best)
    ]
    return pd.concat(tables, ignore_index=True)


def as_record(year: LivedYear) -> dict[str, Any]:
    """Give every number in values that JSON has."""
    matrix, compared = year.matrix, year.compared
    record = {
        "model": year.problem.model_name,
        "version": year.version,
        "training_set": year.plan.training_set,
        "parameters": asdict(year.plan.parameters),
        "metric": matrix.metric,
        "weeks": [f"{week:%Y-%m-%d}" for week in matrix.weeks],
        "second_half_from": f"{matrix.weeks[matrix.half]:%Y-%m-%d}",
        "price": compared.price,
        "limit_of_second_half": compared.limit,
        "gate_verdicts": year.verdicts,
        "policies": [_flat(one) for one in (*compared.judged, compared.best)],
        "break_even": dict(zip(("names", "rows"), prices_of(matrix, compared).values(), strict=True)),
        "learned": {
            "values": compared.learned.values.tolist(),
            "drift_edges": compared.learned.drift_edges,
            "excess_edges": compared.learned.excess_edges,
            "against": compared.simple,
            "gain": asdict(compared.learned_gain),
            "is_worth_learning": compared.is_worth_learning,
        },
        "matrix": {
            "rows": matrix.weekly_rows.tolist(),
            "losses": matrix.weekly.tolist(),
            "drift": matrix.drift.tolist(),
            "excess": matrix.excess.tolist(),
            "fires": matrix.fires.tolist(),
            "promotes": matrix.promotes.tolist(),
        },
    }
    return _finite(record)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def prices_of(matrix: Matrix, compared: Comparison) -> dict[str, list]:
    """Give the break-even price of each pair of policies without the gate, over all weeks."""
    shown = [one for one in compared.judged if not one.has_gate]
    rows = [[break_even(matrix, one.course, other.course) for other in shown] for one in shown]
    return {"names": [one.name for one in shown], "rows": rows}


def as_html(year: LivedYear, picture: Path) -> str:
    """Render `retraining.html.j2`."""
    matrix, compared = year.matrix, year.compared
    table = [
        {
            "label": one.label,
            "chosen": chosen_words(one),
            "is_best": one is compared.best,
            "whole": one.whole,
            "second": one.second,
        }
        for one in (*compared.judged, compared.best)
    ]
    return render(
        "retraining.html.j2",
        **vars(year),
        title=f"{year.problem.model_name}: when to retrain",
        compared_metric="the squared error" if matrix.metric == "rmse" else matrix.metric,
        table=table,
        prices=prices_of(matrix, compared),
        picture=base64.b64encode(picture.read_bytes()).decode(),
        findings=findings(matrix, compared),
        rows=int(matrix.weekly_rows.sum()),
        weeks=(matrix.weeks[0], matrix.weeks[matrix.half], year.plan.cuts[-1]),
    )
