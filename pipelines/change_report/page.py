"""The report of a change: Markdown that fits into a comment of GitHub, and a page with the picture first."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flightline.core.problem_spec import Problem
from flightline.evaluation.metrics import LOWER_IS_BETTER
from flightline.promotion.change_report import CONFIDENCE, Compared
from flightline.promotion.gate import Comparison, Decision
from pipelines.common.rendering import markdown_cell, render

MOST_BYTES = 60_000
MOST_SLICES = 12
LEAST_LOSS = 1e-12  # of which a difference is a share where the champion errs in no row
CUT = "\n\n(The rest was cut off: a comment of GitHub holds no more.)\n"
WHAT_CHANGED = {
    "data_md5": "data version (data.dvc)",
    "features_sha256": "feature definitions",
    "feature_service": "feature service",
    "model": "model",
    "chosen": "hyperparameters chosen on the validation window",
    "calibration": "calibration",
    "lock_sha256": "packages (locks/all.txt)",
    "windows": "windows",
}


COLOURS = {Decision.PROMOTE: "ok", Decision.HOLD: "watch", Decision.REJECT: "retrain"}  # of base.html.j2
Facts = Mapping[str, Any]


def as_markdown(problem: Problem, base: Facts, new: Facts, compared: Compared) -> str:
    """Render `change_report.md.j2`, cut to what a comment holds.

    Parameters
    ----------
    base, new
        What each tree was trained on and with, see `Side.facts`.
    """
    slices = compared.verdict.comparisons[1:]
    text = render(
        "change_report.md.j2",
        **_values(problem, base, new, compared),
        slices={"count": len(slices), "shown": worst_and_best(slices)},
        examples=[_example(row) for row in compared.changed.to_dict("records")],
    )
    content = text.encode()
    return text if len(content) < MOST_BYTES else content[: MOST_BYTES - 200].decode(errors="ignore") + CUT


def as_html(problem: Problem, base: Facts, new: Facts, compared: Compared, picture: Path | None) -> str:
    """Render `change_report.html.j2`, with the picture in it if there is one."""
    return render(
        "change_report.html.j2",
        **_values(problem, base, new, compared),
        title=f"{problem.model_name}: what this change does",
        plain=in_plain_words(problem, compared),
        colour=COLOURS[compared.verdict.decision],
        picture=base64.b64encode(picture.read_bytes()).decode() if picture else "",
    )


def in_plain_words(problem: Problem, compared: Compared) -> str:
    """Say what the change does to the model, by the interval of the primary metric."""
    if compared.is_same:
        return "This change leaves every prediction as it was"
    sign = -1 if problem.primary_metric in LOWER_IS_BETTER else 1
    found = next(each for each in compared.metrics if each.name == problem.primary_metric)
    low, high = sorted((sign * found.lower, sign * found.upper))
    better, worse = "This change makes the model better", "This change makes the model worse"
    return better if low > 0 else worse if high < 0 else "This change makes no difference that the test rows can show"


def _values(problem: Problem, base: Facts, new: Facts, compared: Compared) -> dict[str, Any]:
    return {
        "problem": problem,
        "base": base,
        "new": new,
        "compared": compared,
        "confidence": CONFIDENCE,
        "lower_is_better": LOWER_IS_BETTER,
        "differences": [
            {"what": what, "base": _shown(base.get(name)), "new": _shown(new.get(name))}
            for name, what in WHAT_CHANGED.items()
            if base.get(name) != new.get(name)
        ],
        "columns": [
            ("new columns", [name for name in new["columns"] if name not in base["columns"]]),
            ("columns gone", [name for name in base["columns"] if name not in new["columns"]]),
        ],
    }


def worst_and_best(slices: tuple[Comparison, ...]) -> list[Comparison]:
    """Order slices from the worst to the best, and leave out the middle of many."""
    ordered = sorted(slices, key=lambda each: each.improvement.estimate / (each.champion_loss or LEAST_LOSS))
    half = MOST_SLICES // 2
    return ordered if len(ordered) <= MOST_SLICES else [*ordered[:half], *ordered[-half:]]


def _example(row: Mapping[Any, Any]) -> dict[str, Any]:
    known = ("base", "new", "label")
    request = {name: value for name, value in row.items() if name not in known}
    return {"request": request, **{name: row[name] for name in known}}


def _shown(value: Any) -> str:
    text = ", ".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, Mapping) else str(value)
    is_digest = len(text) >= 32 and " " not in text
    return f"`{markdown_cell(text[:12] if is_digest else text) or 'none'}`"
