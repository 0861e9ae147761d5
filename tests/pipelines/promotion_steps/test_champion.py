"""Champion is what a recorded move put there and a signed approval lets answer, whoever can write to the registry."""

import base64
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.canary_record import write_canary
from flightline.adapters.mlflow.champion_moves import move_champion
from flightline.adapters.model_store.canary_setting import canary_folder, read_setting
from flightline.adapters.model_store.served_model import Refusal, current_manifest, read_refusal
from flightline.adapters.model_store.signatures import APPROVAL_FILE
from flightline.core.errors import ChampionMoveError, RegistryError, SignatureError
from flightline.core.settings import Settings, SigningSettings
from flightline.promotion.canary import CanarySetting
from pipelines.canary import start_canary
from pipelines.commands.champion import promote, roll_back, unrecorded_move
from pipelines.commands.model_sync import ModelSync
from pipelines.promotion_steps.champion import approve, fetch_champion
from pipelines.promotion_steps.evidence import load_champion
from pipelines.steps.models import HeldOut
from pipelines.steps.signing import read_signed
from tests.support.models.small_registry import EVIDENCE, crown, model_file_of, reference_features, register
from tests.support.small_service import KINDS, fitted
from tests.toy_problem import PROBLEM, make_project

pytestmark = pytest.mark.slow

NOON = datetime(2020, 7, 1, 12, tzinfo=UTC)
ROWS = HeldOut(reference_features(), reference_features())


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give a registry with two models."""
    settings = Settings(root=tmp_path_factory.mktemp("registered"))
    set_clock(settings, NOON)
    register(settings, fitted(KINDS))
    register(settings, fitted(KINDS, is_contrary=True))
    return settings


@pytest.fixture
def settings(registered: Settings) -> Settings:
    """Make version 1 champion and serve it; version 2 is on HOLD and approved by nobody."""
    shutil.rmtree(registered.serving_models_dir, ignore_errors=True)
    for approval in (registered.state_dir / "mlflow" / "artifacts").rglob("approved/version_2"):
        shutil.rmtree(approval)
    registry.tag_version(registered, PROBLEM.model_name, "2", {"verdict": "HOLD", "verdict_reasons": "no better"})
    crown(registered, "1")
    ModelSync(make_project(registered)).poll()
    return registered


def move_in_the_database(settings: Settings, version: str) -> None:
    with closing(sqlite3.connect(settings.state_dir / "mlflow" / "mlflow.db")) as database, database:
        moved = "UPDATE registered_model_aliases SET version = ? WHERE alias = 'champion'"
        assert database.execute(moved, [version]).rowcount == 1


def look(settings: Settings) -> tuple[str, Refusal | None]:
    """Let the model sync look once, and say what is served then and what is refused."""
    ModelSync(make_project(settings)).poll()
    served = current_manifest(settings.serving_models_dir)
    assert served is not None
    return served.version, read_refusal(settings.serving_models_dir)


def test_an_alias_moved_in_the_database_moves_nothing(settings: Settings) -> None:
    project = make_project(settings)
    move_in_the_database(settings, "2")
    served, refused = look(settings)
    assert (served, refused.version, refused.about) == ("1", "2", "move")
    assert "the last recorded move put it at version 1" in refused.reason
    with pytest.raises(ChampionMoveError, match="past `make promote`"):
        fetch_champion(project)
    assert "no standard to compare with: champion of toy points at" in load_champion(project, ROWS)[2]
    assert "put it at version 1" in str(unrecorded_move(project))
    promote(project, "1", "ada", "it was moved past us")
    assert look(settings) == ("1", None)
    assert unrecorded_move(project) is None


def test_a_move_that_was_recorded_without_an_approval_moves_nothing(settings: Settings) -> None:
    project = make_project(settings)
    move_champion(settings, PROBLEM.model_name, "2", by="gate", why="forged", evidence=EVIDENCE)
    registry.tag_version(settings, PROBLEM.model_name, "2", {"verdict": "PROMOTE"})
    served, refused = look(settings)
    assert (served, refused.version, refused.about) == ("1", "2", "signature")
    assert "version 2 has no approval" in refused.reason
    assert "no standard to compare with: version 2 has no approval" in load_champion(project, ROWS)[2]


def test_a_person_promotes_what_the_gate_held_and_it_can_be_undone(settings: Settings) -> None:
    project = make_project(settings)
    promote(project, "2", "ada", "slices look better")
    assert look(settings) == ("2", None)
    envelope = json.loads((settings.serving_models_dir / "2" / APPROVAL_FILE).read_text())
    approval = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    assert (approval["by"], approval["why"], approval["verdict"]) == ("person:ada", "slices look better", "HOLD")
    promote(project, "2", "ada", "twice, and still the one before is version 1")
    public = SigningSettings(key="absent.pem", public_key=str(settings.signing_dir / "public.pem"))
    roll_back(make_project(settings.model_copy(update={"signing": public})), "no key is needed for a way back")
    assert look(settings) == ("1", None)
    move_in_the_database(settings, "2")  # approved once, but nobody recorded that it is back
    assert look(settings)[1].about == "move"


def test_a_move_that_was_broken_off_once_champion_stood_there_is_undone(settings: Settings) -> None:
    project, client = make_project(settings), registry.connect(settings)
    promote(project, "2", "ada", "then the power went")
    experiment = client.get_experiment_by_name(f"{PROBLEM.model_name}-champion-moves")
    (newest,) = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"], max_results=1)
    client.update_run(newest.info.run_id, status="RUNNING")
    assert look(settings) == ("2", None)
    roll_back(project, "it is worse")
    assert look(settings) == ("1", None)


def test_what_is_gone_or_changed_is_not_promoted(settings: Settings) -> None:
    file = model_file_of(settings, "2")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(SignatureError, match="it was altered or cut short"):
        promote(make_project(settings), "2", "ada", "a test")
    file.write_bytes(whole)
    away = file.parent.rename(file.parent.with_name("away"))
    with pytest.raises(RegistryError, match="the registry gives no model file of version 2"):
        promote(make_project(settings), "2", "ada", "a test")
    away.rename(file.parent)
    assert look(settings) == ("1", None)


def test_what_answers_beside_the_champion_is_approved_too(settings: Settings) -> None:
    project, folder = make_project(settings), canary_folder(settings)
    asked = CanarySetting(version="2", champion="1", mode="split", share=0.5, since=NOON)
    write_canary(settings, PROBLEM.model_name, asked)  # as somebody could who writes to the database
    look(settings)
    assert read_setting(folder) is None
    assert read_refusal(folder).about == "signature"
    shadow = asked.model_copy(update={"mode": "shadow", "share": 0.0})
    write_canary(settings, PROBLEM.model_name, shadow)
    look(settings)
    assert (read_setting(folder), read_refusal(folder)) == (shadow, None)  # it answers nobody
    started = start_canary(project, "2", "split", 0.5)
    look(settings)
    assert read_setting(folder) == started
    move_champion(settings, PROBLEM.model_name, "2", by="gate", why="forged", evidence=EVIDENCE)
    assert "was approved as challenger by canary, not as champion" in look(settings)[1].reason
    first = registry.get_version(settings, PROBLEM.model_name, "1")
    approve(project, first, "challenger", by="canary", why="a test")
    assert read_signed(project, first, "champion").version == "1"


def test_a_champion_of_other_classes_is_not_judged(settings: Settings) -> None:
    registry.tag_version(settings, PROBLEM.model_name, "1", {"learned_until": "2020-06-01T00:00:00+00:00"})
    problem = replace(PROBLEM, task="multiclass", classes=("none", "little", "much"))
    label = {"event_timestamp": pd.Timestamp(NOON), PROBLEM.label: 2.0}
    rows = HeldOut(ROWS.examples.assign(**label), ROWS.features)
    champion, _, unjudged = load_champion(replace(make_project(settings), problem=problem), rows)
    assert champion is None
    assert "version 1 has the classes none, expected none, little, much" in unjudged
