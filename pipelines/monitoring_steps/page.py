"""The page of a monitoring run: one file that needs no other, pictures first."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

from flightline.core.problem_spec import Problem
from flightline.monitoring.decision import Action, MonitoringDecision, WindowEvidence
from flightline.monitoring.window_metrics import Estimate
from pipelines.monitoring_steps.inputs import Inputs
from pipelines.monitoring_steps.windows import Judged

COLOURS = {Action.OK: "#2b8a3e", Action.WATCH: "#d9730d", Action.RETRAIN: "#c92a2a"}
NEXT = {
    Action.OK: "Nothing is to be done.",
    Action.WATCH: "Look at what is named below; the next window will tell more. Nothing is retrained for this.",
    Action.RETRAIN: "Train again on newer data (<code>make train</code>); the gate decides if the result is better.",
}
BROKEN = {
    Action.WATCH: "Mend the data that is named here. Nothing is retrained for it: a model that learns from broken data "
    "learns the fault.",
    Action.RETRAIN: "Mend the data that is named here first: a model that learns from broken data learns the fault. "
    "Then train again (<code>make train</code>); the gate decides if the result is better.",
}
UNJUDGED = "Too little is known to say whether the model is good enough. See that predictions and labels arrive."
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1f2328;max-width:1240px;margin:0 auto;padding:24px}
header{border-left:8px solid var(--c);padding:4px 20px;margin-bottom:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:32px 0 8px}
.action{display:inline-block;background:var(--c);color:#fff;border-radius:6px;padding:0 12px;margin-right:10px}
.facts{color:#57606a;margin:4px 0}.grid{display:grid;grid-template-columns:1fr 1fr;gap:8px 32px;align-items:start}
.wide{grid-column:1/-1}figure{margin:0}figure h2{margin-top:20px}img{max-width:100%}
figcaption{color:#57606a;font-size:14px;max-width:75ch}
table{border-collapse:collapse;font-size:13px;width:100%}th{text-align:left;border-bottom:2px solid #d0d7de}
td,th{padding:4px 10px 4px 0;vertical-align:top}td{border-bottom:1px solid #eaeef2}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.bad{color:#c92a2a;font-weight:600}
small{color:#57606a}td:first-child{white-space:nowrap}.scroll{overflow-x:auto}@media(max-width:760px){.grid{grid-template-columns:1fr}}
"""


@dataclass(frozen=True)
class Picture:
    """A picture with its title, its PNG file, and what it shows."""

    title: str
    file: Path
    words: str
    is_wide: bool = False


def page(
    problem: Problem,
    clock: datetime,
    version: str,
    judged: Judged,
    inputs: Inputs,
    decision: MonitoringDecision,
    pictures: Sequence[Picture],
) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    pictures
        Their files are read and put into the page.
    """
    windows, latest = judged.windows, judged.windows[-1]
    shown = [one for one in windows if one.predictions]
    parts = [
        _head(problem, clock, version, latest, decision),
        f"<div class=grid>{''.join(map(_figure, pictures))}</div>",
        _section("Why", _list(decision.reasons) if decision.reasons else "<p>There is nothing to tell.</p>"),
        _section("Faults of the data", _faults(inputs)) if inputs.faults else "",
        _section("Windows", _windows(problem, judged, shown)) if shown else "",
        _section(f"Slices, over the {problem.monitoring.windows} windows that decide", _slices(problem, judged.slices))
        if judged.slices
        else "",
        _section("Columns above their own drift threshold", _drift(inputs)) if inputs.columns else "",
        _section("Feature views in the latest window", _views(inputs)) if inputs.views else "",
        _section("How it was judged", _method(problem, judged, inputs)),
    ]
    title = f"{problem.model_name}: {decision.action}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        "<meta name=viewport content='width=device-width'>"
        f"<style>:root{{--c:{COLOURS[decision.action]}}}{STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _head(problem: Problem, clock: datetime, version: str, latest: WindowEvidence, decision: MonitoringDecision) -> str:
    told = (BROKEN if decision.faults else NEXT)[decision.action] if decision.is_judged else UNJUDGED
    sentence = decision.summary.removeprefix(f"{decision.action}: ")
    sentence = sentence[:1].upper() + sentence[1:]
    return (
        f"<header><h1><span class=action>{decision.action}</span>{escape(sentence)}.</h1><p>{told}</p>"
        f"<p class=facts>{escape(problem.model_name)} version {escape(version)}; latest window {latest.window}, "
        f"{latest.predictions:,} predictions, outcome known of {latest.coverage:.0%}; event clock "
        f"{clock:%Y-%m-%d %H:%M} UTC</p></header>"
    )


def _figure(picture: Picture) -> str:
    content = base64.b64encode(picture.file.read_bytes()).decode()
    kind = " class=wide" if picture.is_wide else ""
    return (
        f"<figure{kind}><h2>{escape(picture.title)}</h2><img alt='{escape(picture.title)}' "
        f"src='data:image/png;base64,{content}'><figcaption>{escape(picture.words)}</figcaption></figure>"
    )


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}"


def _list(words: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_marked(one)}</li>' for one in words)}</ul>"


def _marked(words: str) -> str:
    return escape(words).replace("BREACHED", "<span class=bad>breached</span>")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """Write a table whose first `words` and last column are text, the others numbers."""

    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = ["" if place < words or place == len(values) - 1 else " class=n" for place in range(len(values))]
        return "".join(f"<{tag}{kind}>{value}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{cells('th', heads)}</tr>{body}</table></div>"


def _number(one: Estimate | None, digits: int = 3) -> str:
    if one is None or not math.isfinite(one.value):
        return ""
    if not (math.isfinite(one.lower) and math.isfinite(one.upper)):
        return f"{one.value:.{digits}f}"
    return f"{one.value:.{digits}f}<br><small>({one.lower:.{digits}f} to {one.upper:.{digits}f})</small>"


def _said(one: WindowEvidence) -> str:
    """Name what is in breach, red if it counts."""
    breached = [each for each in one.criteria if each.is_breached]
    named = [f"<span class=bad>{each.name}</span>" if each.is_deciding else each.name for each in breached]
    return ", ".join(named) or escape(one.unjudged or "no")


def _windows(problem: Problem, judged: Judged, shown: Sequence[WindowEvidence]) -> str:
    metrics = list(judged.reference.metrics)
    heads = ["window", "rows", "known", *metrics, "in breach"]
    rows = [
        [
            str(one.window),
            f"{one.predictions:,}",
            f"{one.coverage:.0%}",
            *(_number(one.metrics.get(name)) for name in metrics),
            _said(one),
        ]
        for one in reversed(shown)
    ]
    reference = judged.reference
    numbers = [_number(reference.metrics[name]) for name in metrics]
    return _table(heads, [*rows, ["reference", f"{reference.rows.rows:,}", "", *numbers, ""]], words=1)


def _slices(problem: Problem, slices: Mapping[str, WindowEvidence]) -> str:
    metrics = [name for name in (problem.primary_metric, "gap", "slope", "roc_auc") if _has(slices, name)]
    heads = ["slice", "labels", *metrics, "in breach"]
    rows = [
        [escape(name), f"{one.labelled:,}", *(_number(one.metrics.get(each)) for each in metrics), _said(one)]
        for name, one in slices.items()
    ]
    tested = f"<p>Each is held against its own reference. {len(slices)} slices are looked at, so one may stand out by chance; slices explain, they do not decide.</p>"  # noqa: E501 a sentence of the page
    return tested + _table(heads, rows, words=1)


def _has(slices: Mapping[str, WindowEvidence], name: str) -> bool:
    return any(name in one.metrics for one in slices.values())


def _drift(inputs: Inputs) -> str:
    if not inputs.drifted:
        return f"<p>None of {len(inputs.columns)}.</p>"
    rows = [
        [escape(one.column), f"{one.score:.3f}", f"{one.threshold:.3f}", f"{one.excess:.1f}", ""]
        for one in inputs.drifted
    ]
    told = f"<p>{len(rows)} of {len(inputs.columns)}.</p>"
    return told + _table(["column", "score", "threshold", "multiple", ""], rows, words=1)


def _faults(inputs: Inputs) -> str:
    heads = ["column or view", "what", "since", "until", "seen", "likely cause"]
    rows = [
        [*map(escape, (one.name, one.kind)), *map(_day, (one.since, one.until)), *map(escape, (one.words, one.cause))]
        for one in inputs.faults
    ]
    return _table(heads, rows, words=len(heads))


def _day(date: str) -> str:
    return f"<span class=n>{date}</span>"


def _views(inputs: Inputs) -> str:
    heads = ["view", "value's age, median h", "95 %, h", "since materialised, 95 %, h", "no value", ""]
    rows = [
        [
            escape(one.view),
            *(
                f"{hours:,.1f}" if math.isfinite(hours) else ""
                for hours in (one.typical_hours, one.late_hours, one.lag_hours)
            ),
            f"{one.missing:.1%}",
            "",
        ]
        for one in inputs.views
    ]
    return _table(heads, rows, words=1)


def _method(problem: Problem, judged: Judged, inputs: Inputs) -> str:
    rule, reference = problem.monitoring, judged.reference
    reports = (
        f" Evidently's own reports on {inputs.rows:,} of these predictions: <code>evidently ui --workspace "
        ".state/evidently</code>."
        if inputs.workspace
        else ""
    )
    return (
        f"<p>The reference is what this version reached on {reference.rows.rows:,} held-out rows of {reference.span}. "
        f"Bounds come from a bootstrap of whole days, each at {rule.confidence:.0%}. Retrain: the latest window and "
        f"{rule.breaches} of the last {rule.windows} are in breach of a criterion that decides. "
        f"<code>make bench-monitor</code> measures how often that errs, and what goes unseen how long.{reports}</p>"
    )
