"""The online store is locked, written to, removed and made again: reads go on, or say why they cannot."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flightline.adapters.feast import feature_store as feast_store
from flightline.core.settings import Settings
from tests.support.servers.service_load import HIGH, LOW, Load
from tests.support.servers.service_process import Service, running
from tests.support.small_service import NOON, PREDICT, STATUS
from tests.support.small_store import make_store, write_tables
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
BODY = {"instances": [HIGH, LOW]}


@pytest.fixture
def file(stored_root: Path) -> Iterator[Path]:
    yield stored_root / ".state" / "feast" / "online.db"
    make_store(Settings(root=stored_root))


def is_high(service: Service) -> bool:
    return service.ask(PREDICT, BODY).json()["predictions"][0]["probability"] > 0.5


def remove(file: Path) -> None:
    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()


def test_a_store_locked_by_another_process_is_read_all_the_same(stored_service: Service, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with Load(stored_service) as load:
            load.wait_for(50)
        other.execute("ROLLBACK")
    assert load.account.failed == {}


def test_reads_go_on_during_materialisation_and_find_the_new_values(
    stored_service: Service, stored_root: Path, file: Path
) -> None:
    settings = Settings(root=stored_root)
    assert is_high(stored_service)
    with Load(stored_service) as load:
        for _ in range(3):
            feast_store.materialise(settings, NOON)
        write_tables(settings, mean_units=-20.0, known=NOON)
        feast_store.materialise(settings, NOON)
        wait_until(lambda: not is_high(stored_service), said="the new value is used")
    assert load.account.failed == {}
    assert load.account.answers


def test_a_new_store_in_the_place_of_a_removed_one_is_found(
    stored_service: Service, stored_root: Path, file: Path
) -> None:
    settings = Settings(root=stored_root)
    with Load(stored_service) as load:
        remove(file)
        load.wait_for(20)
        make_store(settings, mean_units=-30.0)
        wait_until(lambda: not is_high(stored_service), said="the new store is read")
    # Between the new file and its values there may be a moment without any; it is named, not hidden.
    assert [why for why in load.account.failed if not why.startswith("503 ")] == []


def test_a_service_started_without_the_file_recovers_by_itself(stored_root: Path, tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    make_store(settings)
    remove(tmp_path / ".state" / "feast" / "online.db")
    with running(tmp_path, module="serving", watch=False, poll_seconds=0.2) as service:
        answer = service.ask(PREDICT, BODY)
        assert answer.status == 503
        assert "cannot be read" in answer.json()["error"]
        assert answer.headers["retry-after"]
        assert service.ask("/health/ready").status == 503
        assert "cannot be read" in service.ask(STATUS).json()["reason"]
        make_store(settings)
        wait_until(lambda: service.ask("/health/ready").status == 200, said="it is ready again")
        assert is_high(service)
