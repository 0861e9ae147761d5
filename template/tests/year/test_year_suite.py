"""A year as a team lives it, by the documented commands alone: `make test-year`, 46 minutes on two cores.

Each month its data is ingested, the clock moves through it, a service answers, labels arrive, the monitor decides, a
training learns what is new and the gate decides about it. In two months a canary is judged by the labels that arrived.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.mlflow import registry
from flightline.adapters.ports import free_port
from flightline.core.errors import RequestError
from flightline.core.project import open_project
from flightline.core.settings import Settings
from pipelines.replay.service import Client
from template.tests.copies import PROJECT, commit_changes, linked_to_environment, make_command
from template.tests.year.year_problem import OWN_PACKAGE, first_end
from tests.proof.execution.commands import clean_environment
from tests.support.waiting import wait_until
from tools.tree import copy_tree

PACKAGE = "template.tests.year.year_problem"
MONTHS = 6
DAYS, CANARY_DAYS = (4, 14, 24), tuple(range(2, 28))
FIRST_LOOK = 13  # an earlier one takes its minute and seldom decides
ROWS_A_DAY = 300
DAY, NOON = timedelta(days=1), timedelta(hours=12)
WEAK = {"classification": "gaussian_naive_bayes", "regression": "bayesian_ridge"}
TABLE = "year.md"


@dataclass
class Year:
    """A clone that a team works in, and what happened to it so far."""

    root: Path
    port: int
    months: Path

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment() | {
            "FLIGHTLINE_ROOT": str(self.root),
            "FLIGHTLINE_PROBLEM_PACKAGE": PACKAGE,
            "FLIGHTLINE_SERVING__PORT": str(self.port),
        }

    def settings(self) -> Settings:
        return Settings(root=self.root, problem_package=PACKAGE, serving={"port": self.port})

    def make(self, *arguments: str) -> str:
        """Run make as a person would, and show what it prints."""
        print("make", *arguments, flush=True)
        done = subprocess.run(
            make_command(self.root, *arguments), cwd=self.root, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"make {' '.join(arguments)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    def champion(self) -> registry.ModelVersion:
        problem = open_project(self.settings()).problem
        return registry.version_of(self.settings(), problem.model_name, registry.CHAMPION)

    def live_loss(self) -> str:
        """Give the mean loss of the window that the monitor judged last; "none" without labels."""
        metric = open_project(self.settings()).problem.primary_metric
        decision = json.loads((self.root / ".state" / "monitoring" / "latest_decision.json").read_text())
        metrics = decision["windows"][-1]["metrics"]
        return f"{metrics[metric]['value']:.4f}" if metric in metrics else "none"

    def ingest(self, month: datetime) -> None:
        folder = self.months / f"{month:%Y-%m}"
        self.make("ingest", f"FOLDER={folder}")
        commit_changes(self.root, f"Data of {month:%Y-%m}")

    def move_clock(self, moment: datetime) -> None:
        self.make("clock", f"TO={moment:%Y-%m-%dT%H:%MZ}")

    def ask(self, client: Client, clock: datetime) -> int:
        """Ask about what will be predicted in the day that follows the clock."""
        self.move_clock(clock)
        self.make("materialise")
        client.wait_until_materialised(clock)
        names = list(open_project(self.settings()).request_fields)
        examples = pd.read_parquet(self.settings().features_dir / "current" / "examples" / "examples.parquet")
        coming = examples[(examples["event_timestamp"] >= clock) & (examples["event_timestamp"] < clock + DAY)]
        chosen = coming.sort_values(["event_timestamp", "example_id"]).head(ROWS_A_DAY)[names]
        return client.predict(json.loads(chosen.to_json(orient="records", date_format="iso")))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    """A clone at the end of its first half-year, with its first model."""
    folder = tmp_path_factory.mktemp("year")
    root = folder / "project"
    copy_tree(PROJECT, root)
    (root / "data.dvc").unlink()
    linked_to_environment(root)
    year = Year(root, free_port(), write_months(folder))
    first = [sys.executable, "-m", "pipelines.commands.data", "--first-version"]
    path = os.pathsep.join([str(root / "src"), str(root)])
    subprocess.run(first, cwd=root, env=year.environment | {"PYTHONPATH": path}, check=True)
    commit_changes(root, "The first half-year")
    yield year
    shutil.rmtree(root / ".state", ignore_errors=True)


def write_months(folder: Path) -> Path:
    """Write what comes later into a folder a month, in data/'s layout."""
    own = open_project(Settings(root=PROJECT, problem_package=OWN_PACKAGE))
    whole, months = folder / "whole", folder / "months"
    whole.mkdir()
    own.raw_tables.write_seed(whole)
    for file in sorted(whole.glob("*/*.csv")):
        if file.stem >= f"{first_end(own.problem):%Y-%m}":
            target = months / file.stem / file.parent.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    return months


@contextmanager
def serving(year: Year) -> Iterator[Client]:
    """Run `make serve` until the block ends."""
    log = year.root / ".state" / "serve.log"
    client = Client(year.settings(), open_project(year.settings()).problem.model_name)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            make_command(year.root, "serve"), cwd=year.root, env=year.environment, stdout=stream, stderr=stream
        )

    def is_ready() -> bool:
        try:
            return bool(client.status()["ready"])
        except RequestError:
            return False

    try:
        wait_until(lambda: process.poll() is not None or is_ready(), 600, log.read_text)
        assert process.poll() is None, log.read_text()
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(120)


def verdict_of(trained: str) -> str:
    return re.search(r"^(PROMOTE|HOLD|REJECT): .*", trained, re.M)[0]


def first_word(line: str) -> str:
    return re.match(r"\w+", line)[0]


@dataclass(frozen=True)
class Month:
    """What became of a month."""

    name: str
    predictions: int
    loss: str
    monitor: str
    canary: str
    verdict: str
    champion: str
    learned_until: datetime
    parity: str

    def as_row(self) -> str:
        cells = [
            self.name, f"{self.predictions:,}", self.loss, first_word(self.monitor), self.canary or "none",
            first_word(self.verdict), self.champion, f"{self.learned_until:%Y-%m-%d}", self.parity,
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


HEADING = "| month | predictions | live loss | monitor | canary | gate | champion | learned until | parity |"


def live_through(year: Year, month: datetime, days: tuple[int, ...]) -> tuple[int, str]:
    """Answer requests on some days of a month, or until a canary is decided; give how many, and the decision."""
    asked, decided = 0, ""
    with serving(year) as client:
        for day in days:
            asked += year.ask(client, month + (day - 1) * DAY + NOON)
            if days is CANARY_DAYS and day >= FIRST_LOOK:
                year.make("labels")
                said = year.make("canary").strip().splitlines()[-1]
                print("   ", said, flush=True)
                decided = first_word(said) if first_word(said) in ("promote", "drop") else ""
                assert not decided or "mean loss" in said, said  # by labels, and not for errors or time
            if decided:
                break
    return asked, decided


def end_month(year: Year, month: datetime, asked: int, canary: str) -> Month:
    """Let the month's labels arrive, monitor, train, and rebuild what was predicted."""
    year.move_clock(month + NOON)
    year.make("labels")
    monitored = year.make("monitor").splitlines()
    print("   ", *monitored, sep="\n    ", flush=True)
    verdict = verdict_of(year.make("train"))
    print("   ", verdict, flush=True)
    champion = year.champion()
    return Month(
        name=f"{month - DAY:%Y-%m}",
        predictions=asked,
        loss=year.live_loss(),
        monitor=next(line for line in monitored if first_word(line) in ("ok", "watch", "retrain")),
        canary=canary,
        verdict=verdict,
        champion=str(champion.version),
        learned_until=datetime.fromisoformat(champion.tags["learned_until"]),
        parity=re.search(r"[\d,]+ mismatches", year.make("parity"))[0],
    )


@pytest.fixture(scope="module")
def first(year: Year) -> datetime:
    """Train the first champion, and a weaker model that the gate does not promote; say what the champion learned."""
    problem = open_project(year.settings()).problem
    assert verdict_of(year.make("train")).startswith("PROMOTE")
    learned = datetime.fromisoformat(year.champion().tags["learned_until"])
    assert not verdict_of(year.make("train", f"MODEL={WEAK[problem.task]}")).startswith("PROMOTE")
    return learned


@pytest.fixture(scope="module")
def months(year: Year, first: datetime) -> list[Month]:
    """Live through the half-year that follows; two months of it have a canary."""
    start, lived = first_end(open_project(year.settings()).problem), []
    for number in range(MONTHS):
        year.ingest(start)
        if number == 0:
            year.make("canary-start", "VERSION=2", "ANYWAY=yes")
        if number == 1:  # a person overrules the gate, and what it held back comes to show what it is worth
            other = "3" if str(year.champion().version) == "1" else "1"
            year.make("promote", "VERSION=2", "BY=ada", "WHY=it is simpler")
            year.make("canary-start", f"VERSION={other}")
        asked, canary = live_through(year, start, CANARY_DAYS if number < 2 else DAYS)
        year.make("canary-stop")
        start = next_month(start)
        lived.append(end_month(year, start, asked, canary))
        print(lived[-1].as_row(), flush=True)
    table = "\n".join([HEADING, re.sub(r"[^|]+", "---", HEADING), *(month.as_row() for month in lived)])
    (PROJECT / ".state" / TABLE).write_text(table + "\n")
    return lived


def next_month(moment: datetime) -> datetime:
    return (moment.replace(day=1) + 32 * DAY).replace(day=1)


def test_the_last_champion_has_learned_from_later_months(months, first):
    assert months[-1].learned_until > first + 60 * DAY


def test_the_gate_promoted_what_learned_from_new_data(months):
    assert any(month.verdict.startswith("PROMOTE") for month in months)


def test_no_prediction_differs_from_its_features(months):
    assert [month.parity for month in months] == ["0 mismatches"] * MONTHS


def test_labels_dropped_one_canary_and_promoted_another(months):
    assert [month.canary for month in months[:2]] == ["drop", "promote"]


def test_the_monitor_decided_every_month(months):
    assert all(first_word(month.monitor) in ("ok", "watch", "retrain") for month in months)
