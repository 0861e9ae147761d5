"""Each example lives its whole loop in a copy: `make test-example NAME=storms`, or all of them without NAME.

Its data is checked, a leak is refused; a model is trained, serves and is monitored; two steps are simulated, rebuilt,
and a challenger is put beside it. Then lint, the proof and all tests are green there.
"""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from template.example import lay_over
from template.tests.copies import PROJECT, linked_to_environment, run_make
from tests.proof.execution.commands import Processes, Result, environment_of
from tests.proof.execution.copies import check_own_code
from tests.proof.execution.server import free_port, prefect_server, wait_until_ready
from tests.support.waiting import wait_until

PACKAGE = next(PROJECT.glob("src/*/problem")).parent.name


@dataclass(frozen=True)
class Example:
    """An example, one fault of each kind that its safeguards must find, and what its model must be better than.

    Parameters
    ----------
    table, column, impossible
        A monthly table, its last column, and a value that this never has.
    leak, leaking
        What to replace in features.py, and by what, and a table that uses then what was not yet known.
    model, metric, simple_rule
        What to train, and what a simple rule reaches on the same test rows; lower is better.
    answer, low, high
        A field of the answer, a number or one for each class, and between what it lies.
    step
        How long a step of the simulation is, so that two hold predictions.
    """

    name: str
    table: str
    column: str
    impossible: str
    leak: tuple[str, str]
    leaking: str
    model: str
    metric: str
    simple_rule: float
    answer: str
    low: float
    high: float
    step: timedelta

    @property
    def train(self) -> tuple[str, ...]:
        """The command that trains."""
        return ("-m", "pipelines.training", "--model", self.model)


EXAMPLES = (
    Example(
        name="pageviews",
        table="views",
        column="views",
        impossible="0",
        leak=("at=_.day_start + ibis.interval(days=2)", "at=_.day_start + ibis.interval(days=1)"),
        leaking="page_last_count",
        model="ridge_regression",
        metric="mae",
        simple_rule=0.1549,  # the count of seven days before
        answer="views",
        low=100,
        high=10_000_000,
        step=timedelta(days=1),
    ),
    Example(
        name="repurchase",
        table="purchases",
        column="amount",
        impossible="-1",
        leak=("at=_.day_start + DELIVERED_AFTER", "at=_.day_start"),
        leaking="customer_week",
        model="logistic_regression",
        metric="log_loss",
        simple_rule=0.2029,  # the share of buyers among those with as many purchase days and as recent a last one
        answer="probability",
        low=0,
        high=1,
        step=timedelta(days=7),
    ),
    Example(
        name="storms",
        table="fixes",
        column="pressure",
        impossible="0",
        leak=("published_at=_.at + PUBLISHED_AFTER", "published_at=_.at"),
        leaking="storm_track",
        model="logistic_regression",
        metric="log_loss",
        simple_rule=0.977,  # the shares among the fixes with the same wind
        answer="probabilities",
        low=0,
        high=1,
        step=timedelta(hours=6),
    ),
)


class Loop:
    """Runs the copy's commands as `make` would."""

    def __init__(self, example: Example, processes: Processes, copy: Path, api_url: str) -> None:
        self.example = example
        self.processes, self.copy, self.api_url, self.port = processes, copy, api_url, free_port()

    @property
    def environment(self) -> dict[str, str]:
        return environment_of(self.copy, self.api_url) | {"FLIGHTLINE_SERVING__PORT": str(self.port)}

    def run(self, *command: str) -> Result:
        return self.processes.run(command, self.copy, self.environment)

    @contextmanager
    def serving(self) -> Iterator[None]:
        process = self.processes.start(["-m", "serving"], self.copy, self.environment, subprocess.DEVNULL)
        try:
            self._wait()
            yield
        finally:
            self.processes.end(process)

    def _wait(self) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        wait_until(lambda: direct.open(f"http://127.0.0.1:{self.port}/health/ready", timeout=60).close() is None)


@pytest.fixture(scope="module", params=EXAMPLES, ids=[example.name for example in EXAMPLES])
def loop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """An example's copy, as a project that somebody works in, with its data."""
    processes = Processes()
    folder = tmp_path_factory.mktemp("example")
    lay_over(PROJECT, request.param.name, folder / "copy")
    linked_to_environment(folder / "copy")
    try:
        with prefect_server(processes, folder / "server", PROJECT) as api_url:
            made = Loop(request.param, processes, folder / "copy", api_url)
            check_own_code(processes, made.copy, api_url)
            data = made.run("-m", "pipelines.commands.data")
            assert data.exit_code == 0, data.output
            assert "made from the seed" in data.output
            wait_until_ready(api_url, folder / "server")
            yield made
    finally:
        processes.stop()


def test_a_broken_row_is_refused_and_changes_nothing(loop, tmp_path):
    example = loop.example
    last = sorted((loop.copy / "data" / example.table).glob("*.csv"))[-1]
    lines = last.read_text().splitlines()
    (tmp_path / example.table).mkdir()
    broken = [*lines[:2], f"{lines[2].rpartition(',')[0]},{example.impossible}", *lines[3:]]
    (tmp_path / example.table / last.name).write_text("\n".join(broken) + "\n")
    pointer = (loop.copy / "data.dvc").read_bytes()
    refused = loop.run("-m", "pipelines.ingest", "--folder", str(tmp_path))
    assert refused.exit_code == 1
    where = f"{example.table}/{last.name}:3: {example.column}='{example.impossible}'"
    assert f"{where} breaks: lies between" in refused.output
    assert (loop.copy / "data.dvc").read_bytes() == pointer


def test_a_planted_leak_is_caught(loop):
    features = loop.copy / "src" / PACKAGE / "problem" / "features.py"
    honest = features.read_text(encoding="utf-8")
    leaking = honest.replace(*loop.example.leak)
    assert leaking != honest
    features.write_text(leaking, encoding="utf-8")
    try:
        refused = loop.run(*loop.example.train)
    finally:
        features.write_text(honest, encoding="utf-8")
    assert refused.exit_code == 1
    assert re.search(r"LeakError: \d+ leak\(s\)", refused.output), refused.output
    assert loop.example.leaking in refused.output


@pytest.fixture(scope="module")
def trained(loop: Loop) -> Result:
    result = loop.run(*loop.example.train)
    assert result.exit_code == 0, result.output
    return result


def test_the_loop_ends_with_a_champion_better_than_a_simple_rule(trained, loop):
    assert "leak test passed" in trained.output
    assert "version 1: PROMOTE" in trained.output
    reached = re.search(rf"test rows, {loop.example.metric} ([\d.]+)", trained.output)
    assert float(reached[1]) < loop.example.simple_rule
    assert json.loads((loop.copy / ".state/serving/current.json").read_text()) == {"version": "1"}


def test_the_champion_answers_over_http(trained, loop):
    with loop.serving():
        printed = loop.run("-m", "pipelines.commands.request")
    assert printed.exit_code == 0, printed.output
    answer = json.loads(printed.output.partition("answer:")[2])
    (prediction,) = answer["predictions"]
    assert answer["model"]["version"] == "1"
    # What is missing has no value in truth: a customer's second purchase that has not been.
    assert set(prediction["missing_features"].values()) <= {"no value"}
    value = prediction[loop.example.answer]
    numbers = value.values() if isinstance(value, dict) else [value]
    assert all(loop.example.low < number < loop.example.high for number in numbers)
    assert not isinstance(value, dict) or sum(numbers) == pytest.approx(1)


def test_the_monitor_judges_what_was_answered(trained, loop):
    judged = loop.run("-m", "pipelines.monitoring")
    assert judged.exit_code == 0, judged.output
    assert re.search(r"^(ok|watch): ", judged.output, re.MULTILINE), judged.output


def test_two_steps_are_lived_through_and_every_prediction_is_rebuilt(trained, loop):
    clock = datetime.fromisoformat(json.loads((loop.copy / ".state/clock.json").read_text())["now"])
    start, step = clock - 2 * loop.example.step, str(loop.example.step // timedelta(minutes=1))
    lived = loop.run(
        "-m", "pipelines.simulation", "--from", start.isoformat(), "--to", clock.isoformat(), "--step", step
    )
    assert lived.exit_code == 0, lived.output
    assert re.search(r"^parity +0 mismatches in [1-9]", lived.output, re.MULTILINE), lived.output


def test_what_was_answered_over_http_is_rebuilt(trained, loop):
    rebuilt = loop.run("-m", "pipelines.parity")
    assert rebuilt.exit_code == 0, rebuilt.output
    assert re.search(r"^parity +0 mismatches in [1-9]", rebuilt.output, re.MULTILINE), rebuilt.output


def test_a_challenger_runs_beside_the_champion(trained, loop):
    another = loop.run("-m", "pipelines.training", "--model", "hist_gradient_boosting")
    assert another.exit_code == 0, another.output
    versions = {"1", "2"} - {json.loads((loop.copy / ".state/serving/current.json").read_text())["version"]}
    started = loop.run("-m", "pipelines.canary", "start", "--version", *versions, "--anyway")
    assert started.exit_code == 0, started.output
    judged = loop.run("-m", "pipelines.canary", "judge")
    assert judged.exit_code == 0, judged.output
    assert "0 labelled pairs" in judged.output


def test_lint_is_green(loop):
    run_make(loop.copy, "lint")


def test_planted_faults_are_caught(loop):
    proved = run_make(loop.copy, "prove")
    print(proved)
    assert "did not hold" not in proved


@pytest.mark.parametrize("target", ["test", "test-system"])
def test_all_tests_pass(loop, target):
    last = run_make(loop.copy, target).strip().splitlines()[-1]
    assert re.search(r"\d+ passed", last), last
