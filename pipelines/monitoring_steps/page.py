"""A run of monitoring as a page: HTML in one file that needs no other, and Markdown for Prefect."""

import base64
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from flightline.core.problem_spec import Problem
from flightline.monitoring.decision import MonitoringDecision
from pipelines.common.rendering import render
from pipelines.monitoring_steps import sentences
from pipelines.monitoring_steps.inputs import Inputs
from pipelines.monitoring_steps.windows import Judged


def as_html(
    problem: Problem,
    clock: datetime,
    version: str,
    judged: Judged,
    inputs: Inputs,
    decision: MonitoringDecision,
    pictures: Mapping[str, Path],
) -> str:
    """Render `monitoring.html.j2`.

    Parameters
    ----------
    pictures
        PNG files by name, which are put into the page.
    """
    return render(
        "monitoring.html.j2",
        title=f"{problem.model_name}: {decision.action}",
        problem=problem,
        clock=clock,
        version=version,
        judged=judged,
        inputs=inputs,
        decision=decision,
        pictures={name: base64.b64encode(file.read_bytes()).decode() for name, file in pictures.items()},
        plain=sentences.PLAIN[decision.basis],
        results=sentences.results(problem, judged.windows, judged.reference),
        headline=sentences.headline(decision),
        warnings=[sentences.warning(each) for each in decision.warnings],
        causes=sentences.CAUSES,
        allowed=sentences.allowed,
        seen=sentences.seen,
        unjudged=sentences.unjudged,
    )


def as_markdown(problem: Problem, version: str, judged: Judged, inputs: Inputs, decision: MonitoringDecision) -> str:
    """Render `monitoring.md.j2`."""
    return render(
        "monitoring.md.j2",
        problem=problem,
        version=version,
        judged=judged,
        inputs=inputs,
        decision=decision,
        summary=sentences.summary(decision),
        reasons=sentences.reasons(decision),
        causes=sentences.CAUSES,
        breaches=sentences.breaches,
        behaviours=sentences.behaviours,
    )
