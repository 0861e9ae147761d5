"""What training registers is signed and reaches the service; what was changed in the registry does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import move_champion
from flightline.adapters.model_store.served_model import current_manifest, load_served_model, read_refusal
from flightline.adapters.model_store.signatures import SIGNATURE_FILE
from flightline.core.errors import RegistryError, SignatureError
from flightline.core.settings import Settings, SigningSettings
from pipelines.commands.model_sync import ModelSync
from pipelines.commands.signing import sign_afterwards
from pipelines.promotion_steps.champion import load_version
from pipelines.steps.signing import BOM_FILE, sign_version
from tests.support.models.small_registry import EVIDENCE, crown, model_file_of, papers_of, register, sign_unseen
from tests.support.small_service import KINDS, fitted, save_model
from tests.toy_problem import PROBLEM, make_project

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give a registry in which version 1 is served and version 2 is champion."""
    settings = Settings(root=tmp_path)
    crown(settings, register(settings, fitted(KINDS)))
    ModelSync(make_project(settings)).poll()
    crown(settings, register(settings, fitted(KINDS, is_contrary=True)))
    return settings


def swap_model(settings: Settings) -> None:
    digest = save_model(fitted(KINDS), model_file_of(settings, "2"))
    registry.tag_version(settings, PROBLEM.model_name, "2", {"model_sha256": digest})


def swap_file(settings: Settings) -> None:
    save_model(fitted(KINDS), model_file_of(settings, "2"))


def swap_with_manifest(settings: Settings) -> None:
    swap_model(settings)
    digest = registry.get_version(settings, PROBLEM.model_name, "2").tags["model_sha256"]
    file = papers_of(settings, "2") / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sha256": digest}))


def sign_by_another_key(settings: Settings) -> None:
    swap_model(settings)
    theirs = settings.model_copy(
        update={"root": settings.root / "theirs", "mlflow_tracking_uri": settings.tracking_uri}
    )
    sign_unseen(theirs, "2")


def replay(settings: Settings) -> None:
    """Put the whole of version 1 into the place of version 2."""
    shutil.copyfile(model_file_of(settings, "1"), model_file_of(settings, "2"))
    shutil.copytree(papers_of(settings, "1"), papers_of(settings, "2"), dirs_exist_ok=True)
    found = registry.get_version(settings, PROBLEM.model_name, "1")
    registry.tag_version(settings, PROBLEM.model_name, "2", dict(found.tags))


def change_tag(settings: Settings) -> None:
    registry.tag_version(settings, PROBLEM.model_name, "2", {"model_sha256": "0" * 64})


def change_bom(settings: Settings) -> None:
    file = papers_of(settings, "2") / BOM_FILE
    file.write_text(file.read_text().replace("scikit-learn", "scikit-learnt"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap_model, "has the tag model_sha256"),
        (swap_file, "model.skops has sha256"),
        (swap_with_manifest, "model.json of version 2 has sha256"),
        (sign_by_another_key, "was not signed by a trusted key"),
        (replay, "carries the signature of"),
        (change_tag, "has the tag model_sha256 0000"),
        (change_bom, "model.cdx.json of version 2 has sha256"),
        (lambda one: (papers_of(one, "2") / "thresholds.json").write_text("{}"), "added: thresholds.json"),
        (lambda one: (papers_of(one, "2") / SIGNATURE_FILE).unlink(), "make sign VERSION=2"),
        (lambda one: shutil.rmtree(papers_of(one, "2")), "make sign VERSION=2"),
    ],
)
def test_what_was_changed_in_the_registry_never_reaches_the_service(
    settings: Settings, change: Callable[[Settings], None], said: str
) -> None:
    change(settings)
    ModelSync(make_project(settings)).poll()
    refusal = read_refusal(settings.serving_models_dir)
    assert refusal is not None
    assert said in refusal.reason
    assert refusal.version == "2"
    manifest = current_manifest(settings.serving_models_dir)
    assert manifest is not None
    assert manifest.version == "1"
    if change is not change_tag:
        with pytest.raises((SignatureError, RegistryError, Exception), match=r"version 2|model\.skops"):
            load_version(make_project(settings), "2")


def test_what_was_registered_is_served_with_its_bill_of_materials(settings: Settings) -> None:
    ModelSync(make_project(settings)).poll()
    served = load_served_model(settings.serving_models_dir, make_project(settings))
    assert served is not None
    assert served.manifest.version == "2"
    bom = json.loads((settings.serving_models_dir / "2" / BOM_FILE).read_text())
    assert bom["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": served.manifest.sha256}]
    assert {"scikit-learn", "numpy"} <= {part["name"] for part in bom["components"]}


def test_a_served_copy_that_was_changed_is_brought_again(settings: Settings) -> None:
    sync = ModelSync(make_project(settings))
    sync.poll()
    folder = settings.serving_models_dir / "2"
    for name in ("model.json", SIGNATURE_FILE, BOM_FILE):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-2])
        sync.poll()
        assert (folder / name).read_bytes() == whole
    (folder / "added").write_text("")
    sync.poll()
    assert not (folder / "added").exists()


def test_without_a_key_nothing_is_registered(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, signing=SigningSettings(key=str(tmp_path / "absent.pem")))
    with pytest.raises(SignatureError, match="no model can be registered"):
        register(settings, fitted(KINDS))
    assert registry.version_of(settings, PROBLEM.model_name, registry.CHALLENGER) is None


def test_a_version_from_before_is_signed_by_a_person_who_looked(settings: Settings, capsys) -> None:
    version = register(settings, fitted(KINDS), is_signed=False)
    move_champion(settings, PROBLEM.model_name, version, by="gate", why="better", evidence=EVIDENCE)
    sync = ModelSync(make_project(settings), now=lambda: 0.0)  # no pause ever ends
    for _ in range(3):
        sync.poll()
    assert f"make sign VERSION={version}" in read_refusal(settings.serving_models_dir).reason
    sign_afterwards(make_project(settings), version, "", "")
    assert "not signed" in capsys.readouterr().out
    sync.poll()
    assert read_refusal(settings.serving_models_dir) is not None
    with pytest.raises(SignatureError, match="say who signs and why"):
        sign_afterwards(make_project(settings), version, "ada", "")
    sign_afterwards(make_project(settings), version, "ada", "registered before signatures")
    sync.poll()
    assert read_refusal(settings.serving_models_dir) is None
    assert current_manifest(settings.serving_models_dir).version == version
    tags = registry.get_version(settings, PROBLEM.model_name, version).tags
    assert (tags["signed_by"], tags["signed_why"]) == ("person:ada", "registered before signatures")


def test_what_training_wrote_is_what_is_registered_and_signed(settings: Settings) -> None:
    trained = (settings.root / "trained" / "model.skops").read_bytes()
    assert model_file_of(settings, "2").read_bytes() == trained
    found = registry.get_version(settings, PROBLEM.model_name, "2")
    with pytest.raises(SignatureError, match="it was changed in the registry at once, and is not signed"):
        sign_version(make_project(settings), "0" * 64, found)


def test_what_was_swapped_is_not_signed_afterwards(settings: Settings) -> None:
    version = register(settings, fitted(KINDS), is_signed=False)
    save_model(fitted(KINDS, is_contrary=True), model_file_of(settings, version))
    with pytest.raises(Exception, match="it was altered or cut short after registration"):
        sign_afterwards(make_project(settings), version, "ada", "registered before signatures")
