"""`make example`: a problem of another kind, laid over a copy by its own files alone, runs the whole loop."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from template.example import ExampleError, cloner_files, differences, lay_over
from template.tests.copies import run_python
from tests.proof.execution.commands import Processes, Result, environment_of
from tests.proof.execution.copies import check_own_code
from tests.proof.execution.server import free_port, prefect_server, wait_until_ready
from tests.support.waiting import wait_until

PROJECT = Path(__file__).parents[2]
PACKAGE = next(PROJECT.glob("src/*/problem")).parent.name
TESTS = Path("tests/problem")


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
        A field of the answer, and between what its values lie.
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
    ),
)
NAMES = [example.name for example in EXAMPLES]


def test_every_example_is_tested():
    assert sorted(folder.name for folder in (PROJECT / "template" / "examples").iterdir() if folder.is_dir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_only_the_files_that_say_so_data_dvc_and_tests_differ(tmp_path, name):
    changed = lay_over(PROJECT, name, tmp_path / "copy")
    assert changed == differences(PROJECT, tmp_path / "copy")
    beside_tests = [file for file in changed if not file.is_relative_to(TESTS)]
    assert beside_tests == sorted(cloner_files(PROJECT) | {Path("data.dvc")})
    assert len(beside_tests) == 9


@pytest.mark.parametrize("name", NAMES)
def test_the_tests_of_the_copy_are_the_example_s(tmp_path, name):
    lay_over(PROJECT, name, tmp_path / "copy")
    example = PROJECT / "template" / "examples" / name
    assert python_files(tmp_path / "copy" / TESTS) == python_files(example / TESTS) != []


def python_files(folder: Path) -> list[Path]:
    return sorted(file.relative_to(folder) for file in folder.rglob("*.py"))


@pytest.mark.parametrize("name", ["", "nothing", "../examples"])
def test_an_example_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(ExampleError, match="expected one of: pageviews, repurchase"):
        lay_over(PROJECT, name, tmp_path / "copy")


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(ExampleError, match="is not empty"):
        lay_over(PROJECT, NAMES[0], tmp_path)


def test_a_folder_inside_the_project_is_refused():
    with pytest.raises(ExampleError, match="lies inside this project"):
        lay_over(PROJECT, NAMES[0], PROJECT / "template" / "new")


def test_an_example_that_needs_more_than_its_files_is_refused(tmp_path):
    root = tmp_path / "root"
    for file, text in {
        "src/acme/problem/config.py": '"""CHANGE ME"""',
        "src/acme/core.py": "",
        "data.dvc": "",
        "tests/problem/test_it.py": "",
        "template/examples/other/src/acme/problem/config.py": "other",
        "template/examples/other/src/acme/core.py": "other",
        "template/examples/other/README.md": "about it",
    }.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    with pytest.raises(ExampleError, match=re.escape("others: ['src/acme/core.py'], same: ['data.dvc']")):
        lay_over(root, "other", tmp_path / "copy")


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_s_own_tests_pass(tmp_path, name):
    lay_over(PROJECT, name, tmp_path / "copy")
    assert " passed" in run_python(tmp_path / "copy", "-m", "pytest", "-p", "no:cacheprovider", str(TESTS))


@pytest.mark.parametrize("name", NAMES)
def test_ruff_finds_nothing_in_the_copy(tmp_path, name):
    lay_over(PROJECT, name, tmp_path / "copy")
    run_python(tmp_path / "copy", "-m", "ruff", "check", "--no-cache", ".")


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


@pytest.fixture(scope="module", params=EXAMPLES, ids=NAMES)
def loop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """An example's copy, with its data; the tests below leave it as they find it."""
    processes = Processes()
    folder = tmp_path_factory.mktemp("example")
    lay_over(PROJECT, request.param.name, folder / "copy")
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_loop_ends_with_a_champion_better_than_a_simple_rule(trained, loop):
    assert "leak test passed" in trained.output
    assert "version 1: PROMOTE" in trained.output
    reached = re.search(rf"test rows, {loop.example.metric} ([\d.]+)", trained.output)
    assert float(reached[1]) < loop.example.simple_rule
    assert json.loads((loop.copy / ".state/serving/current.json").read_text()) == {"version": "1"}


@pytest.mark.slow
def test_the_champion_answers_over_http(trained, loop):
    with loop.serving():
        printed = loop.run("-m", "pipelines.commands.request")
    assert printed.exit_code == 0, printed.output
    answer = json.loads(printed.output.partition("answer:")[2])
    (prediction,) = answer["predictions"]
    assert answer["model"]["version"] == "1"
    # What is missing has no value in truth: a customer's second purchase that has not been.
    assert set(prediction["missing_features"].values()) <= {"no value"}
    assert loop.example.low < prediction[loop.example.answer] < loop.example.high
