"""A model that must not be loaded is delivered while another one is served: that one stays, and the reason is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from flightline.adapters.model_store.model_file import digest_of_file, save_model
from flightline.adapters.model_store.served_model import switch_served_model
from flightline.core.settings import Settings
from tests.support.servers.service_load import Load
from tests.support.servers.service_process import Service
from tests.support.small_service import KINDS, STATUS, fitted, manifest_of, put_model, put_signed
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
REFUSED = 'flightline_model_refused{about="model"}'


def deliver_corrupt(settings: Settings) -> None:
    """Deliver a version that was whole when it was signed, at no moment of which the service could have loaded it."""
    file, aside, place = settings.root / "4.skops", settings.root / "aside", settings.serving_models_dir / "4"
    put_signed(settings, manifest_of(KINDS, save_model(fitted(KINDS), file), version="4"), file, aside)
    content = bytearray((aside / "4" / "model.skops").read_bytes())
    content[len(content) // 2] ^= 1
    (aside / "4" / "model.skops").write_bytes(content)
    (aside / "4").rename(place)
    switch_served_model(place.parent, "4")


def deliver_truncated(settings: Settings) -> None:
    put_model(settings, "3")
    content = (settings.root / "3.skops").read_bytes()[:-100]
    (settings.root / "4.skops").write_bytes(content)
    manifest = manifest_of(KINDS, digest_of_file(settings.root / "4.skops"), version="4")
    put_signed(settings, manifest, settings.root / "4.skops")


def deliver_untrusted(settings: Settings) -> None:
    evil = settings.root / "4.skops"
    skops.io.dump(Pipeline([("call", FunctionTransformer(eval))]), evil)
    put_signed(settings, manifest_of(KINDS, digest_of_file(evil), version="4"), evil)


@pytest.mark.parametrize(
    ("deliver", "reason"),
    [
        (deliver_corrupt, "it was altered or cut short after registration and is not loaded"),
        (deliver_truncated, "model.skops is not a readable skops file"),
        (deliver_untrusted, "model.skops holds types outside the allow-list"),
    ],
)
def test_the_old_model_stays_and_the_reason_is_told(
    stored_service: Service, stored_root: Path, deliver: Callable[[Settings], None], reason: str
) -> None:
    settings = Settings(root=stored_root)
    with Load(stored_service) as load:
        deliver(settings)
        wait_until(lambda: stored_service.ask(STATUS).json()["refused"], said="it is refused")
        load.wait_for(20)
    status = stored_service.ask(STATUS).json()
    assert (status["version"], status["ready"], status["refused"]["version"]) == ("3", True, "4")
    assert reason in status["refused"]["reason"]
    assert load.account.failed == {}
    assert load.account.versions == {"3"}
    metrics = stored_service.metrics()
    assert metrics[REFUSED] == 1
    assert metrics["flightline_models_refused_total"] >= 1
    switch_served_model(settings.serving_models_dir, "3")
    wait_until(lambda: stored_service.metrics()[REFUSED] == 0, said="nothing is refused any more")
