"""Lives through the last weeks in some minutes: `python -m pipelines.demo`, in the empty root `.state/demo`.

The service's own code answers some instances of each day, without HTTP; its answers are logged, labelled and monitored.
In the last week a feature is broken, and a challenger runs in shadow. Afterwards every page has something to show.
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import pandas as pd
from prefect import flow

from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.event_clock import read_clock, set_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.model_store.canary_setting import canary_folder, write_setting
from flightline.adapters.prediction_log.challenger_counts import read_counts
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.project import Project, open_project
from flightline.monitoring.replay_plan import Plan, arrivals_between
from flightline.promotion.canary import CanaryDecision, CanarySetting, decide_canary
from flightline.training.splits import windows_of
from pipelines import labels
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.servers.by_hand import by_hand
from pipelines.demo import parts
from pipelines.demo.joined import join_rows
from pipelines.demo.process import Process, running_process
from pipelines.monitoring import MonitoringResult, in_words, run_monitoring
from pipelines.monitoring_steps.champion import find_champion, find_judged, training_set_dir
from pipelines.promotion_steps.canary_rows import collect_days
from pipelines.replay.root import make_root
from pipelines.steps.preparation import pull

WEEKS, LAST = 8, timedelta(days=7)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Planted:
    """What the last week has that the others have not."""

    since: datetime
    feature: str
    setting: CanarySetting


def live(project: Project, plan: Plan, client: Process, challenger: CanarySetting) -> Iterator[tuple[datetime, int]]:
    """Ask about some instances of each day, each at its prediction time; give the day's first moment and its rows."""
    settings, names = project.settings, list(project.request_fields)
    file = settings.features_dir / "current" / "examples" / "examples.parquet"
    examples = pd.read_parquet(file, columns=[*names, "event_timestamp", "example_id"])
    days = list(parts.days_of(examples, plan))
    joined = iter(join_rows(project, pd.concat(days)))
    is_alone = True
    for day in days:
        begins, ends = (moment.to_pydatetime() for moment in day["event_timestamp"].iloc[[0, -1]])
        if is_alone and begins >= challenger.since:
            write_setting(canary_folder(settings), challenger)
            client.look()
            is_alone = False
        for moment, asked in arrivals_between(day, begins, ends + INSTANT):
            set_clock(settings, moment)
            client.predict(project.requests_of(asked), list(islice(joined, len(asked))))
        yield begins, len(day)


def live_weeks(project: Project, plan: Plan, challenger: CanarySetting) -> int:
    """Live through the plan with the service's own code, and print each week; give the number of predictions."""
    asked, week, of_week = 0, plan.start, 0
    with stage("weeks") as progress, running_process(project.settings) as client:
        for moment, rows in live(project, plan, client, challenger):
            while moment >= week + LAST:
                progress.note(f"week of {week:%Y-%m-%d}: {of_week:,} predictions")
                week, of_week = week + LAST, 0
            asked, of_week = asked + rows, of_week + rows
            progress.advance((moment - plan.start).days, (plan.end - plan.start).days)
        progress.say(f"{asked:,} predictions, {plan.start:%Y-%m-%d} to {plan.end:%Y-%m-%d}")
    set_clock(project.settings, plan.end)
    feast_store.materialise_since(project.settings, plan.start, plan.end)  # for who serves it afterwards
    return asked


def prepare(project: Project, weeks: int) -> tuple[Project, Plan, Planted]:
    """Make the root, with what is planted in the last week."""
    found, training_set = find_champion(project)
    judged, folder = find_judged(project, found), training_set_dir(project.settings, training_set)
    times = pd.read_parquet(folder / "examples.parquet", columns=["event_timestamp", "label_known_at"])
    test = windows_of(times, project.problem.windows).test
    plan = parts.last_weeks(read_clock(project.settings), test.start, weeks)
    since = plan.end - LAST
    with stage("root") as progress:
        root = project.settings.state_dir / "demo"
        demo = make_root(project, plan, project.settings.serving.port, root=root)
        view, feature = parts.most_important_feature(demo, judged)
        parts.break_feature(demo, view, feature, since)
        learned_until = pd.Timestamp(found.tags["learned_until"])
        setting = parts.put_challenger(demo, folder, min(learned_until, pd.Timestamp(test.start)), since)
        progress.say(f"{root.relative_to(project.settings.root)}, version {found.version} is served")
        progress.say(f"from {since:%Y-%m-%d} on {feature} of {view} is broken, and a {parts.CHALLENGER_MODEL} runs")
    return demo, plan, Planted(since, feature, setting)


@dataclass(frozen=True)
class DemoResult:
    """What a demo came to, and where it lies."""

    project: Project
    planted: Planted
    monitored: MonitoringResult
    canary: CanaryDecision


def run_demo(project: Project, data: DataVersion, weeks: int = WEEKS) -> DemoResult:
    """Tell the story of a demo; call it inside a flow."""
    here, plan, planted = prepare(project, weeks)
    live_weeks(here, plan, planted.setting)
    with stage("labels") as progress:
        file = here.settings.features_dir / "current" / "examples" / "examples.parquet"
        progress.say(labels.in_figures(labels.join_labels(here, file, plan.end, data.md5)))
    monitored = run_monitoring(here)
    with stage("canary") as progress:
        days = collect_days(here, planted.setting, plan.end)
        decision = decide_canary(days, read_counts(here.settings, planted.setting), here.problem.canary)
        progress.say(f"the challenger in shadow: {decision.summary}")
    return DemoResult(here, planted, monitored, decision)


@flow(name="demo", validate_parameters=False)
def demo() -> DemoResult:
    """Live through the last weeks with the champion, judge them, and say where to look."""
    project = open_project()
    found = run_demo(project, pull(project))
    tell(found.project, found.monitored, found.planted)
    return found


def tell(project: Project, result: MonitoringResult, planted: Planted) -> None:
    """Say what was found, and how to look at it."""
    print(in_words(result))
    found = any(anomaly.column == planted.feature for anomaly in result.decision.anomalies)
    print(f"the planted fault, {planted.feature} without values, was {'found' if found else 'NOT found'}")
    with closing(PredictionLog.open(project.settings)) as log:
        newest = log.read(start=planted.since, by="clock", columns=("prediction_id", "role"))
    answered = newest.loc[newest["role"] == "champion", "prediction_id"]
    print("Next, each in the demo's own place:")
    print("  make serve DEMO=yes                the service and its page, http://127.0.0.1:8000")
    print("  make ui DEMO=yes                   the pages of monitoring, Evidently, MLflow, Prefect and Feast")
    if len(answered):
        print(f"  make why DEMO=yes PREDICTION={answered.iloc[-1]}")


def main() -> int:
    """Run the flow."""
    return run_command(by_hand(demo))


if __name__ == "__main__":
    sys.exit(main())
