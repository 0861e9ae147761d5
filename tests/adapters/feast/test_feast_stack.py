"""The profile `stack`: a registry in PostgreSQL and values in Redis give what the embedded files give."""

from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from flightline.adapters.databases.postgres_databases import ensure_databases
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.feast.registry import open_store
from flightline.core.errors import FeatureError
from flightline.core.settings import DatabasesSettings, Settings
from tests.adapters.feast.conftest import VARIABLES
from tests.support import small_store
from tests.support.servers.postgres import PASSWORD as POSTGRES_PASSWORD
from tests.support.small_service import NOON
from tests.toy_problem import PROBLEM

ASKED = [
    {"shop": "S01", "city": "Bergen"},
    {"shop": "S02", "city": "Tartu"},
    {"shop": "no such", "city": None},
    {},
]


def read(settings: Settings, as_of: datetime = NOON):
    features = OnlineFeatures.open(settings, PROBLEM.feature_service)
    try:
        return features.read(ASKED, as_of), features.definitions_sha256, features.watermarks
    finally:
        features.close()


def test_it_gives_what_the_embedded_store_gives(stack, tmp_path):
    embedded = Settings(root=tmp_path / "embedded")
    for settings in (stack, embedded):
        small_store.make_store(settings)
    assert open_store(stack).config.registry.registry_type == "sql"
    assert not (stack.state_dir / "feast" / "registry.db").exists()
    for as_of in (NOON, NOON + timedelta(hours=2), NOON - timedelta(hours=1)):
        assert read(stack, as_of) == read(embedded, as_of)
    rows, _, _ = read(stack)
    assert rows[0].values == {"mean_units": 60.0, "seats": 9.0}


def test_a_later_materialisation_is_seen_by_the_next_to_open(stack):
    small_store.make_store(stack)
    small_store.write_tables(stack, 5.0, NOON)
    feast_store.materialise(stack, NOON + timedelta(minutes=1))
    rows, _, watermarks = read(stack, NOON + timedelta(minutes=1))
    assert rows[0].values["mean_units"] == 5.0
    assert set(watermarks.values()) == {NOON + timedelta(minutes=1)}


def test_a_corrected_value_takes_the_place_of_the_wrong_one(stack):
    """It became known when the other did, and as a rule Feast's Redis keeps what it has of that moment."""
    small_store.make_store(stack)
    small_store.write_tables(stack, 55.0)
    feast_store.materialise(stack, NOON)
    assert read(stack)[0][0].values["mean_units"] == 55.0


def test_what_is_declared_no_more_is_gone(stack):
    small_store.make_store(stack)
    declared = stack.feature_repo / "definitions.py"
    declared.write_text(declared.read_text().replace("features=[RECENT, PLAN]", "features=[RECENT]"))
    assert feast_store.apply(stack) == ["recent", "plan"]
    rows, _, _ = read(stack)
    assert rows[0].values == {"mean_units": 60.0}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_is_not_set_is_named(stack, monkeypatch, name):
    monkeypatch.delenv(name)
    with pytest.raises(FeatureError, match=rf"feature_store\.stack\.yaml needs the variable\(s\) {name};"):
        open_store(stack)


def test_a_server_that_is_away_is_an_error_of_features(stack, monkeypatch):
    small_store.make_store(stack)
    monkeypatch.setenv("FEAST_REDIS", "127.0.0.1:1")
    with pytest.raises(FeatureError, match=r"cannot be (opened|read)"):
        OnlineFeatures.open(stack, PROBLEM.feature_service)


def test_the_services_user_reads_the_registry_and_cannot_write(stack, monkeypatch, postgres_server):
    address = f"127.0.0.1:{postgres_server.port}"
    admin, passwords = f"postgresql://tester@{address}/postgres", {"feast": "own"}
    wanted = DatabasesSettings(
        admin_url=admin, admin_password=POSTGRES_PASSWORD, passwords=passwords, readers={"feast": "read"}
    )
    list(ensure_databases(wanted))
    monkeypatch.setenv("FEAST_REGISTRY", f"postgresql+psycopg://feast:own@{address}/feast")
    small_store.make_store(stack)
    monkeypatch.setenv("FEAST_REGISTRY", f"postgresql+psycopg://feast_reader:read@{address}/feast")
    assert read(stack)[0][0].values == {"mean_units": 60.0, "seats": 9.0}
    with pytest.raises(ProgrammingError, match="permission denied"):
        feast_store.apply(stack)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        psycopg.connect(f"postgresql://feast_reader:read@{address}/feast").execute(
            "UPDATE feature_views SET feature_view_proto = NULL"
        )
