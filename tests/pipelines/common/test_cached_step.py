"""A cached step: what its key follows from, what it may read, and when its result is made anew."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import pytest

from flightline.adapters.model_store.model_file import digest_of_file
from flightline.core.problem_spec import Canary, Monitoring, Problem
from flightline.core.project import Project, RequestCode
from flightline.core.settings import Settings
from pipelines.common import source_closure
from pipelines.common.cached_step import cached_step, key_of
from pipelines.common.progress import Stage, stage
from tests.support.small_training_set import run_in_flow
from tests.toy_problem import PROBLEM

NOON = datetime(2020, 7, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Written:
    """What the step below gives: a file."""

    key: str
    file: Path


@cached_step
def write(key: str, settings: Settings, problem: Problem, numbers: tuple[int, ...], progress: Stage) -> Written:
    """Write the label and some numbers, and count how often that was done."""
    settings.root.mkdir(parents=True, exist_ok=True)
    with (settings.root / "runs").open("a") as runs:
        runs.write(f"{key}\n")
    file = settings.root / key[:16]
    file.write_text(f"{problem.label} {numbers}")
    return Written(key, file)


@dataclass(frozen=True)
class Hashed:
    """What the step below gives: a file with its digest."""

    file: Path
    sha256: str


@cached_step
def write_hashed(key: str, settings: Settings) -> Hashed:
    """Write a file that differs each time, as files of models do."""
    file = settings.root / key[:16]
    file.write_text(str(uuid4()))
    return Hashed(file, digest_of_file(file))


@cached_step
def read_a_threshold(key: str, problem: Problem) -> float:
    """Read what is not in the key."""
    return problem.thresholds.min_slice_rows


def run(settings: Settings, numbers: tuple[int, ...] = (1,)) -> Written:
    def story() -> Written:
        with stage("write") as progress:
            return write(settings, PROBLEM, numbers, progress)

    return run_in_flow(story)


def runs(settings: Settings) -> int:
    return len((settings.root / "runs").read_text().splitlines())


def test_the_same_arguments_have_one_key_and_others_another(tmp_path: Path) -> None:
    def key(root: str = "here", problem: Problem = PROBLEM, numbers: tuple[int, ...] = (1,)) -> str:
        return write.key(Settings(root=tmp_path / root), problem, numbers, Stage("any"))

    assert key() == key(root="there")
    assert key() != key(numbers=(2,))
    assert key() != key(problem=replace(PROBLEM, label="other"))


def test_other_packages_make_another_key(tmp_path: Path) -> None:
    def key(lock: str) -> str:
        (tmp_path / "locks").mkdir(exist_ok=True)
        (tmp_path / "locks" / "all.txt").write_text(lock)
        return write.key(Settings(root=tmp_path), PROBLEM, (1,), Stage("any"))

    assert key("scikit-learn==1.9.0") == key("scikit-learn==1.9.0") != key("scikit-learn==1.9.1")


def test_a_rule_that_judges_later_is_not_in_the_key(tmp_path: Path) -> None:
    rules = replace(
        PROBLEM,
        thresholds=replace(PROBLEM.thresholds, floors={}),
        monitoring=Monitoring(windows=9),
        canary=Canary(max_days=9),
    )
    assert key_of(rules) == key_of(PROBLEM)


def test_code_of_the_problem_is_named_by_its_source(toy_place: Project) -> None:
    keys = [key_of(code) for code in (toy_place.raw_tables, toy_place.features, toy_place.requests)]
    assert keys == [key_of(code) for code in (toy_place.raw_tables, toy_place.features, toy_place.requests)]
    assert keys[0] != keys[1] != keys[2]


ON_DEMAND = "def keys(_): ...\ndef features(_): ...\ndef on_demand(requests, stored): return {{'a': {}}}\n"


def test_features_of_request_and_store_together_are_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "asked_package"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def key(source: str, *, is_used: bool = True) -> object:
        (folder / "__init__.py").write_text(source, encoding="utf-8")
        for known in (source_closure._graph, source_closure._source):
            known.cache_clear()
        sys.modules.pop("asked_package", None)
        module = import_module("asked_package")
        return key_of(RequestCode(module.keys, module.features, (module,), module.on_demand if is_used else None))

    assert key(ON_DEMAND.format(1)) == key(ON_DEMAND.format(1) + "# a comment")
    assert key(ON_DEMAND.format(1)) != key(ON_DEMAND.format(2))
    assert key(ON_DEMAND.format(1)) != key(ON_DEMAND.format(1), is_used=False)


@pytest.mark.parametrize("value", [object(), {"a": [object()]}, {1, 2}], ids=["alone", "deep inside", "set"])
def test_an_argument_that_cannot_be_named_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"got a (object|set) as argument of a cached step; give it a `key: str`"):
        key_of(value)


def test_moments_and_paths_are_named_by_their_text(tmp_path: Path) -> None:
    assert key_of({"at": NOON, "in": [tmp_path, None, 1.5]}) == {"at": str(NOON), "in": [str(tmp_path), None, 1.5]}


@pytest.mark.slow
def test_a_result_is_reused_until_its_file_is_gone(
    server: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(root=tmp_path / "root")
    first = run(settings)
    assert "reused" not in capsys.readouterr().out
    assert run(settings) == first
    assert "reused: nothing it depends on has changed" in capsys.readouterr().out
    assert runs(settings) == 1

    first.file.unlink()
    assert run(settings) == first
    assert first.file.is_file()
    assert "reused" not in capsys.readouterr().out
    assert runs(settings) == 2

    assert run(settings, (2,)) != first
    assert runs(settings) == 3


@pytest.mark.slow
@pytest.mark.parametrize("call", [run_in_flow, lambda story: story()], ids=["in a flow", "alone"])
def test_a_file_that_is_no_more_what_was_written_is_made_anew(
    server: None, tmp_path: Path, call: Callable[[Callable[[], object]], Hashed]
) -> None:
    def made() -> Hashed:
        return call(lambda: write_hashed(Settings(root=tmp_path)))

    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "all.txt").write_text(str(tmp_path))
    first = made()
    assert made() == first
    first.file.write_text("cut short")
    second = made()
    assert second.sha256 == digest_of_file(second.file) != first.sha256
    assert made() == second


@pytest.mark.slow
def test_where_no_flow_runs_it_keeps_and_reuses_the_same_results(
    server: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def alone(settings: Settings, numbers: tuple[int, ...] = (1,)) -> Written:
        with stage("write") as progress:
            return write(settings, PROBLEM, numbers, progress)

    settings = Settings(root=tmp_path / "alone")
    of_flow = run(settings, (3,))
    assert (alone(settings, (3,)), runs(settings)) == (of_flow, 1)
    assert "reused: nothing it depends on has changed" in capsys.readouterr().out
    made = alone(settings, (4,))
    assert "reused" not in capsys.readouterr().out
    assert (run(settings, (4,)), alone(settings, (4,)), runs(settings)) == (made, made, 2)

    made.file.unlink()
    assert alone(settings, (4,)) == made
    assert (made.file.is_file(), runs(settings)) == (True, 3)


@pytest.mark.slow
def test_a_step_that_reads_a_rule_fails_with_what_to_do(server: None) -> None:
    with pytest.raises(AttributeError, match=r"reads problem\.thresholds\.min_slice_rows, .* argument of its own"):
        run_in_flow(lambda: read_a_threshold(PROBLEM))
