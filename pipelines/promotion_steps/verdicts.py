"""Verdicts: made of the evidence, and kept with the version, with its run, and on disk. No Prefect, and no model."""

import json
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten

from flightline.adapters.mlflow import registry
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.promotion.evidence import Evidence, Gathered
from flightline.promotion.gate import Verdict, decide_promotion
from pipelines.common.artifacts import Registered

TAG_LENGTH = 4000  # MLflow refuses longer values, each store at another length
VERDICT_FILE = "verdict.json"


def decide(project: Project, given: Gathered) -> Verdict:
    """Decide on a challenger by what was gathered of it, with the problem's thresholds of today."""
    return decide_promotion(
        challenger=given.challenger,
        baseline=given.baseline,
        champion=given.champion,
        expected=given.expected,
        thresholds=project.problem.thresholds,
        primary_metric=project.problem.primary_metric,
        champion_unjudged=given.champion_unjudged,
    )


def keep_verdict(project: Project, registered: Registered, given: Gathered, verdict: Verdict) -> None:
    """Store a verdict: decision and reasons as tags of the version; every number, and a picture, with its run."""
    tags = {"verdict": str(verdict.decision), "verdict_reasons": reasons_of(verdict)}
    registry.tag_version(project.settings, project.problem.model_name, registered.version, tags)
    folder = verdict_folder(project.settings, registered.version, given.champion)
    folder.mkdir(parents=True, exist_ok=True)
    record = {"verdict": asdict(verdict), **given.as_record()}
    (folder / VERDICT_FILE).write_text(json.dumps(record, indent=2, default=str), encoding="utf-8")
    if verdict.comparisons:
        from flightline.adapters.plots.evaluation_plots import draw_comparisons  # imports matplotlib

        draw_comparisons(folder / "gate.png", verdict, project.problem.thresholds)
    registry.log_folder(project.settings, registered.run_id, folder, f"gate/{folder.name}")


def verdict_folder(settings: Settings, version: str, champion: Evidence | None) -> Path:
    """Say where the verdict of a version lies that was held against a champion, or against none."""
    against = f"against_version_{champion.version}" if champion else "without_champion"
    return settings.state_dir / "gates" / f"version_{version}" / against


def reasons_of(verdict: Verdict) -> str:
    """Give the reasons in one line, short enough for a tag."""
    return shorten("; ".join(verdict.reasons), TAG_LENGTH, placeholder=" ...")
