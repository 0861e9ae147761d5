"""The monitoring flow, from logged predictions and labels to a decision: `python -m pipelines.monitoring`."""

import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flightline.adapters.event_clock import read_clock
from flightline.core.problem_spec import Monitoring
from flightline.core.project import Project, open_project
from flightline.core.windows import Interval
from flightline.monitoring.behaviours import ByNature
from flightline.monitoring.decision import MonitoringDecision, decide_monitoring, windows_until
from flightline.monitoring.limits import Limits
from pipelines.common.command_line import run_command
from pipelines.common.events import announce_decision
from pipelines.common.progress import stage
from pipelines.common.retries import SCHEDULED
from pipelines.common.servers.by_hand import by_hand
from pipelines.common.step import is_in_flow, step
from pipelines.monitoring_steps.champion import predict_champion_rows, read_champion
from pipelines.monitoring_steps.data_quality import find_data_anomalies
from pipelines.monitoring_steps.inputs import Inputs, examine_inputs
from pipelines.monitoring_steps.page import as_markdown
from pipelines.monitoring_steps.report import write_report
from pipelines.monitoring_steps.sentences import behaviours, reasons, summary
from pipelines.monitoring_steps.served import ServedRows, collect_served_rows
from pipelines.monitoring_steps.training_window import (
    ChampionRows,
    TrainingSample,
    learn_anomaly_limits,
    learn_drift_thresholds,
    sample_training,
)
from pipelines.monitoring_steps.windows import Judged, judge_windows


@dataclass(frozen=True)
class MonitoringResult:
    """What a run of monitoring came to, and where it is written down."""

    decision: MonitoringDecision
    window: Interval
    folder: Path

    @property
    def page(self) -> Path:
        """The page for a person."""
        return self.folder / "page.html"


@dataclass(frozen=True)
class Usual:
    """What the training window says is usual: some of its rows, drift thresholds by column, how far a day may go."""

    thresholds: dict[str, float]
    limits: Limits
    sample: TrainingSample

    def by_nature(self, rule: Monitoring) -> tuple[ByNature, ...]:
        """Name the columns that are not judged as ordinary ones, or are by a hint."""
        natures = {name: support.behaviour for name, support in self.limits.supports.items()}
        return tuple(
            ByNature(name, behaviour, name in rule.hints)
            for name, behaviour in natures.items()
            if behaviour != "ordinary" or name in rule.hints
        )


def prepare_champion(project: Project) -> tuple[ChampionRows, Usual]:
    """Give the champion's own rows and what is usual, reusing what is unchanged."""
    settings, rule = project.settings, project.problem.monitoring
    found = read_champion(project)
    with stage("champion") as progress:
        rows = predict_champion_rows(settings, project.problem, found.judged, found.model_sha256, found.training_set)
        champion = replace(rows, version=found.version)
        by = "" if found.judged == found.version else f" by version {found.judged}, which it is a refit of"
        progress.say(f"version {found.version}, its training and test rows predicted{by}")
    with stage("thresholds") as progress:
        limits = learn_anomaly_limits(settings, champion, rule, project.problem.prediction_horizon)
        thresholds = learn_drift_thresholds(settings, champion, rule)
        usual = Usual(thresholds, limits, sample_training(settings, champion, rule.drift_rows))
        progress.say(f"{len(thresholds)} columns, each month against the rest, and each day")
        if by_nature := usual.by_nature(rule):
            progress.say(behaviours(by_nature))
    return champion, usual


@step()
def report(
    project: Project,
    clock: datetime,
    champion: ChampionRows,
    judged: Judged,
    inputs: Inputs,
    decision: MonitoringDecision,
    folder: Path,
) -> None:
    """Write the decision record, the page, the gauges and, in a flow, Prefect's artifact."""
    write_report(project, clock, champion, judged, inputs, decision, folder)
    if is_in_flow():
        create_markdown_artifact(
            key=f"{project.problem.model_name}-monitoring",
            markdown=as_markdown(project.problem, champion.version, judged, inputs, decision),
            description=summary(decision),
        )


def run_monitoring(project: Project) -> MonitoringResult:
    """Tell the story of a run of monitoring; call it inside a flow."""
    clock = read_clock(project.settings)
    windows = windows_until(clock, project.problem.monitoring)
    champion, usual = prepare_champion(project)
    reports = project.settings.state_dir / "monitoring"
    reports.mkdir(parents=True, exist_ok=True)
    # Served rows are on disk for this run alone: they may be many gigabytes, and their keys may be of people.
    with TemporaryDirectory(prefix=".rows-", dir=reports) as rows:
        with stage("predictions") as progress:
            served = collect_served_rows(project, windows, champion.version, clock, Path(rows))
            progress.say(
                f"{served.rows:,} instances predicted by version {champion.version} since {windows[0].start:%Y-%m-%d}"
            )
        with stage("windows") as progress:
            judged = judge_windows(project.problem, champion, served, windows)
            labelled = sum(one.labelled for one in judged.windows)
            progress.say(f"{labelled:,} labelled, the last window is {windows[-1]}")
        inputs = examine(project, served, windows, clock, usual)
    folder = reports / str(windows[-1]).replace(" ", "_")
    decision = decide_monitoring(
        judged.windows, project.problem.monitoring, inputs.warnings, inputs.anomalies, inputs.mismatch
    )
    with stage("report") as progress:
        report(project, clock, champion, judged, inputs, decision, folder)
        progress.say(f"{decision.action}: page, decision and gauges written")
    return MonitoringResult(decision, windows[-1], folder)


def examine(
    project: Project,
    served: ServedRows,
    windows: list[Interval],
    clock: datetime,
    usual: Usual,
) -> Inputs:
    """Look at the inputs, if there are any, up to the clock: unlike windows they need no labels."""
    newest = windows_until(clock, replace(project.problem.monitoring, label_delay=timedelta(0)))
    with stage("inputs") as progress:
        if not served.rows:
            progress.say("no prediction to look at")
            return Inputs()
        by_nature = usual.by_nature(project.problem.monitoring)
        inputs = examine_inputs(project, usual.sample, served, newest, usual.thresholds, by_nature)
        anomalies = find_data_anomalies(
            project.settings, served, windows, clock, usual.limits, project.problem.monitoring
        )
        inputs = replace(inputs, anomalies=anomalies)
        progress.say(
            f"{inputs.rows:,} predictions against the training window: {len(inputs.drifted)} of {len(inputs.columns)} "
            f"columns above their own threshold; {len(anomalies)} data anomalies"
        )
    return inputs


@flow(name="monitoring", validate_parameters=False, **SCHEDULED)
def monitoring() -> MonitoringResult:
    """Judge the champion's logged predictions by what became of them; a decision to retrain starts a training."""
    project = open_project()
    result = run_monitoring(project)
    print(in_words(result))
    decision = result.decision
    announce_decision(project.problem, decision.action, summary(decision), reasons(decision))
    return result


def in_words(result: MonitoringResult) -> str:
    """Tell the decision, its reasons and where the page is."""
    told = [summary(result.decision), *(f"  - {reason}" for reason in reasons(result.decision))]
    return "\n".join([*told, f"page: {result.page}"])


def main() -> int:
    """Run the flow."""
    return run_command(by_hand(monitoring, starts_server=False))


if __name__ == "__main__":
    sys.exit(main())
