"""The event clock jumps forth and back under load: what is too old or not yet known is named, and nothing fails."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.core.settings import Settings
from tests.support.servers.service_load import Load
from tests.support.servers.service_process import Service
from tests.support.small_service import INSTANCE, NOON, PREDICT

pytestmark = pytest.mark.system
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def settings(stored_root: Path) -> Iterator[Settings]:
    yield Settings(root=stored_root)
    set_clock(Settings(root=stored_root), NOON)


def ask_for(service: Service, opens: datetime) -> tuple[int, dict]:
    answer = service.ask(PREDICT, {"instances": [INSTANCE | {"opens": opens.isoformat()}]})
    return answer.status, answer.json()


@pytest.mark.parametrize(
    ("jump", "missing"),
    [
        (timedelta(0), {}),
        (HOUR, {"plan": "stale"}),
        (400 * DAY, {"recent": "stale", "plan": "stale"}),
        (-HOUR, {"recent": "after the clock", "plan": "after the clock"}),
        (-400 * DAY, {"recent": "after the clock", "plan": "after the clock"}),
    ],
)
def test_a_jump_is_answered_with_what_was_known_then(
    stored_service: Service, settings: Settings, jump: timedelta, missing: dict[str, str]
) -> None:
    set_clock(settings, NOON + jump)
    status, answer = ask_for(stored_service, NOON + jump + 2 * HOUR)
    assert status == 200
    (prediction,) = answer["predictions"]
    assert prediction["missing_features"] == missing
    status, answer = ask_for(stored_service, NOON + jump - HOUR)
    assert status == 422
    assert "only what is still to come is predicted" in answer["fields"][0]["reason"]


def test_nothing_fails_while_the_clock_jumps(stored_service: Service, settings: Settings) -> None:
    far = (NOON + 500 * DAY).isoformat()
    with Load(stored_service, [INSTANCE | {"opens": far}]) as load:
        for days in (400, -400, 1, -1, 0):
            set_clock(settings, NOON + days * DAY)
            load.wait_for(20)
    assert load.account.failed == {}
