"""Ways to swap or change a delivered model, as somebody could who may write where it lies but has not the key."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from flightline.adapters.model_store.manifest import ModelManifest
from flightline.adapters.model_store.model_file import digest_of_file
from flightline.adapters.model_store.signatures import APPROVAL_FILE, SIGNATURE_FILE
from flightline.adapters.model_store.signing_keys import make_key
from flightline.core.settings import Settings, SigningSettings
from tests.support.small_service import KINDS, approval_of, fitted, manifest_of, pack, put_model, save_model

Damage = Callable[[Settings, Path], None]


def change_byte_of(name: str) -> Damage:
    def damage(_: Settings, folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return damage


def change_probability(_: Settings, folder: Path) -> None:
    """Swap the model for its opposite, and say so where the service reads it, all but the signature."""
    file = folder / "model.skops"
    digest = save_model(fitted(KINDS, is_contrary=True), file)
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(manifest | {"sha256": digest}))


def remove_signature(_: Settings, folder: Path) -> None:
    (folder / SIGNATURE_FILE).unlink()


def of_another_key(settings: Settings) -> Settings:
    theirs = settings.model_copy(update={"signing": SigningSettings(key=str(settings.root / "their" / "key.pem"))})
    make_key(Path(theirs.signing.key))
    return theirs


def sign_by_another_key(settings: Settings, folder: Path) -> None:
    theirs = of_another_key(settings)
    manifest = manifest_of(KINDS, digest_of_file(folder / "model.skops"), version="4")
    held = folder.parent / "held.skops"
    shutil.move(folder / "model.skops", held)
    shutil.rmtree(folder)
    folder.mkdir()
    pack(theirs, manifest, held, folder)
    held.unlink()


def replay_another_version(settings: Settings, folder: Path) -> None:
    """Put version 3, signature and all, into the place of version 4."""
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("3"), folder)


def replay_another_model(settings: Settings, folder: Path) -> None:
    """Put a model of another name that the same key has signed into the place of this one."""
    held = settings.root / "other.skops"
    manifest = manifest_of(KINDS, save_model(fitted(KINDS), held), version="4", name="another-model")
    shutil.rmtree(folder)
    folder.mkdir()
    pack(settings, manifest, held, folder)


def approve_by_another_key(settings: Settings, folder: Path) -> None:
    (folder / APPROVAL_FILE).write_bytes(approval_of(of_another_key(settings), manifest_in(folder)))


def approve_as_challenger(settings: Settings, folder: Path) -> None:
    (folder / APPROVAL_FILE).write_bytes(approval_of(settings, manifest_in(folder), role="challenger"))


def approve_another_file(settings: Settings, folder: Path) -> None:
    manifest = manifest_in(folder).model_copy(update={"sha256": "0" * 64})
    (folder / APPROVAL_FILE).write_bytes(approval_of(settings, manifest))


def manifest_in(folder: Path) -> ModelManifest:
    return ModelManifest.model_validate_json((folder / "model.json").read_bytes())


def replay_approval(_: Settings, folder: Path) -> None:
    """Give version 4 what version 3 was approved with."""
    shutil.copyfile(folder.with_name("3") / APPROVAL_FILE, folder / APPROVAL_FILE)


def signature_as_approval(_: Settings, folder: Path) -> None:
    shutil.copyfile(folder / SIGNATURE_FILE, folder / APPROVAL_FILE)


def remove_approval(_: Settings, folder: Path) -> None:
    (folder / APPROVAL_FILE).unlink()


def add_file(_: Settings, folder: Path) -> None:
    (folder / "thresholds.json").write_text("{}")


def remove_manifest(_: Settings, folder: Path) -> None:
    (folder / "model.json").unlink()


DAMAGES: dict[str, tuple[Damage, str]] = {
    "model file": (change_byte_of("model.skops"), "it was altered or cut short after registration"),
    "manifest": (change_byte_of("model.json"), r"model\.json of version 4 has sha256 .* as signed"),
    "signature": (change_byte_of(SIGNATURE_FILE), "is not a DSSE envelope|was not signed by a trusted key"),
    "another model, its digest told": (change_probability, r"model\.json of version 4 has sha256 .* as signed"),
    "no signature": (remove_signature, r"has no signature .*make sign VERSION=4"),
    "another key": (sign_by_another_key, "was not signed by a trusted key"),
    "another version": (replay_another_version, "carries the signature of .* version 3, expected .* version 4"),
    "another name": (replay_another_model, "carries the signature of another-model version 4"),
    "file added": (add_file, r"added: thresholds\.json, missing: none"),
    "file removed": (remove_manifest, r"added: none, missing: model\.json"),
    "no approval": (remove_approval, r"has no approval .*make promote VERSION=4"),
    "approved by another key": (approve_by_another_key, r"approval\.intoto\.json .* not signed by a trusted key"),
    "approved as challenger": (approve_as_challenger, "was approved as challenger by gate, not as champion"),
    "approval of another file": (approve_another_file, "or of another model file"),
    "approval of another version": (replay_approval, "carries the approval of toy version 3"),
    "signature as approval": (signature_as_approval, "signs something else than it should"),
}


def deliver_damaged(settings: Settings, name: str) -> None:
    """Put version 4 in place of version 3 which is there, whole, and then do a damage to it."""
    put_model(settings, "4", pipeline=fitted(KINDS, is_contrary=True))
    DAMAGES[name][0](settings, settings.serving_models_dir / "4")
