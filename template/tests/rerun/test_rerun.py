"""A second training with nothing changed runs no flow, and one with anything changed does; on the toy problem."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.feast.registry import store_files
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.model_file import MODEL_FILE
from flightline.adapters.model_store.signatures import SIGNATURE_FILE
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.promotion.gate import Decision
from pipelines.common.progress import stage
from pipelines.rerun import __main__ as rerun
from pipelines.rerun.last_training import find_last, made_digest
from pipelines.steps.summary import TrainingResult
from tests.support.clones import make_toy_clone
from tests.support.models.toy_flow import LOGISTIC, toy_training
from tests.toy_problem import PROBLEM

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")]
ASKED = ("--model", "logistic_regression")
REUSED = ", reused: nothing it depends on has changed"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_toy_clone(tmp_path_factory.mktemp("again"))


@pytest.fixture(scope="module")
def settings(project: Project) -> Settings:
    return project.settings


@pytest.fixture(scope="module")
def trained(project: Project, server: None) -> TrainingResult:
    found: list[TrainingResult] = []
    rerun.train(project, ASKED, lambda: found.append(toy_training(project, LOGISTIC)) or found[0])
    return found[0]


def again(project: Project) -> TrainingResult | None:
    last = find_last(project.settings, ASKED)
    return last and rerun.train_again(project, last)


@contextmanager
def appended(file: Path, more: bytes = b"\n") -> Iterator[None]:
    """Let a file end with a byte more for a while."""
    whole = file.read_bytes()
    file.write_bytes(whole + more)
    try:
        yield
    finally:
        file.write_bytes(whole)


@contextmanager
def later_clock(settings: Settings) -> Iterator[None]:
    set_clock(settings, PROBLEM.first_clock + timedelta(hours=1))
    yield
    set_clock(settings, PROBLEM.first_clock)


@contextmanager
def without_tag(settings: Settings) -> Iterator[None]:
    name, client = PROBLEM.model_name, registry.connect(settings)
    tag = registry.get_version(settings, name, "1").tags["training_set"]
    client.delete_model_version_tag(name, "1", "training_set")
    yield
    client.set_model_version_tag(name, "1", "training_set", tag)


@contextmanager
def without_champion(settings: Settings) -> Iterator[None]:
    client = registry.connect(settings)
    client.delete_registered_model_alias(PROBLEM.model_name, registry.CHAMPION)
    yield
    client.set_registered_model_alias(PROBLEM.model_name, registry.CHAMPION, "1")


LOOKED_AT: dict[str, Callable[[Settings], AbstractContextManager[None]]] = {
    "a byte of data": lambda settings: appended(settings.data_dir / "shops.csv"),
    "the clock": later_clock,
    "a tag of the version": without_tag,
    "the champion": without_champion,
    "the registered file": lambda settings: appended(
        next((settings.state_dir / "mlflow" / "artifacts").rglob(MODEL_FILE))
    ),
    "what is signed": lambda settings: appended(
        next((settings.state_dir / "mlflow" / "artifacts").rglob(SIGNATURE_FILE)), b"}"
    ),
}


@pytest.mark.parametrize("change", LOOKED_AT)
def test_data_clock_and_registry_are_looked_at_anew(trained, project, settings, change):
    with LOOKED_AT[change](settings):
        assert again(project) is None
    assert again(project) is not None


def test_a_damaged_copy_of_the_champion_is_delivered_again(trained, project, settings):
    served = settings.serving_models_dir / "1" / MODEL_FILE
    whole = served.read_bytes()
    served.write_bytes(whole[:-1])
    assert again(project) is not None
    assert served.read_bytes() == whole


def test_the_online_store_is_the_same_with_its_rows_in_the_journal_and_without(trained, settings):
    store = store_files(settings)[1]
    whole = store.read_bytes()
    with closing(sqlite3.connect(store)) as connection:
        with connection:
            connection.execute("CREATE TABLE further (value)")
        in_the_journal = made_digest(settings, trained)
    assert made_digest(settings, trained) == in_the_journal
    assert find_last(settings, ASKED) is None
    store.write_bytes(whole)
    assert find_last(settings, ASKED) is not None


def test_other_options_and_settings_are_another_training(trained, project, settings):
    assert find_last(settings, (*ASKED, "--seed", "1")) is None
    assert find_last(settings.model_copy(update={"threads": 7}), ASKED) is None


def test_a_training_whose_inputs_change_meanwhile_is_not_noted(trained, project, settings):
    definitions = next(settings.feature_repo.glob("*.py"))
    whole = definitions.read_bytes()

    def run() -> TrainingResult:
        definitions.write_bytes(whole + b"\n")
        with stage("train"):
            return trained

    rerun.train(project, ("other",), run)
    definitions.write_bytes(whole)
    assert find_last(settings, ("other",)) is None


def test_a_second_one_comes_to_what_a_flow_comes_to(trained, project, settings, capsys):
    result = again(project)
    lines = capsys.readouterr().out.splitlines()
    held = registry.get_version(settings, PROBLEM.model_name, trained.registered.version).tags
    flown = toy_training(project, LOGISTIC)
    printed = capsys.readouterr().out.splitlines()
    assert result is not None
    assert (result.verdict.decision, result.verdict.reasons) == (Decision.HOLD, flown.verdict.reasons)
    assert (held["verdict"], held["verdict_reasons"]) == ("HOLD", "; ".join(flown.verdict.reasons))
    names = [check.name for check in flown.verdict.checks]
    assert [(check.name, check.is_passed) for check in result.verdict.checks] == [(name, True) for name in names]
    assert (result.verdict.warnings, result.verdict.notes) == (flown.verdict.warnings, flown.verdict.notes)
    assert result.champion.summary == flown.champion.summary
    assert (result.registered, result.evaluation, result.training_set, result.data) == (
        flown.registered,
        flown.evaluation,
        flown.training_set,
        flown.data,
    )

    def said(all_lines: list[str]) -> list[str]:
        return [line.rpartition(" (")[0].replace(REUSED, "") for line in all_lines if line.endswith(" s)")]

    assert said(lines) == said(printed)
    assert sum(REUSED in line for line in lines) == 8  # all but pull, register and gate
