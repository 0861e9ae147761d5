"""A model is loaded only as it was signed, by whom it should be, for what it is."""

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from flightline.adapters.model_store.served_model import (
    is_whole,
    load_served_model,
    load_served_version,
    switch_served_model,
)
from flightline.adapters.model_store.signatures import (
    PAYLOAD_TYPE,
    SIGNATURE_FILE,
    SignedVersion,
    sign_files,
    verify_statement,
)
from flightline.adapters.model_store.signing_keys import make_key, open_signer, public_text, read_trusted_keys
from flightline.core.errors import ModelFileError, SignatureError
from flightline.core.settings import Settings, SigningSettings
from tests.support.models.damaged_models import DAMAGES, deliver_damaged
from tests.support.small_service import put_model
from tests.toy_problem import PROBLEM, make_project

SIGNED = SignedVersion(model="m", version="1", run_id="r")
FILES = {"model.skops": "a" * 64}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


@pytest.mark.parametrize("name", DAMAGES)
def test_what_was_not_signed_as_it_is_is_not_loaded(settings: Settings, name: str) -> None:
    put_model(settings, "3")
    deliver_damaged(settings, name)
    folder, keys = settings.serving_models_dir, read_trusted_keys(settings)
    with pytest.raises(ModelFileError, match=DAMAGES[name][1]):
        load_served_version(folder, "4", keys, PROBLEM)
    assert not is_whole(folder, "4", keys, PROBLEM)
    assert is_whole(folder, "3", keys, PROBLEM)


def test_the_envelope_is_dsse_and_the_statement_in_toto(settings: Settings) -> None:
    put_model(settings, "3")
    envelope = json.loads((settings.serving_models_dir / "3" / SIGNATURE_FILE).read_text())
    assert envelope["payloadType"] == PAYLOAD_TYPE == "application/vnd.in-toto+json"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert [subject["name"] for subject in statement["subject"]] == ["model.json", "model.skops"]
    assert statement["predicate"]["version"] == "3"


def test_an_older_version_that_was_signed_can_be_served_again(settings: Settings) -> None:
    put_model(settings, "3")
    put_model(settings, "4")
    switch_served_model(settings.serving_models_dir, "3")
    served = load_served_model(settings.serving_models_dir, make_project(settings))
    assert served is not None
    assert served.manifest.version == "3"


def test_the_key_is_made_once_and_only_its_owner_reads_it(settings: Settings) -> None:
    first = public_text(open_signer(settings))
    file = settings.signing_dir / "key.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert public_text(open_signer(settings)) == first == (settings.signing_dir / "public.pem").read_text()
    make_key(file)
    assert public_text(open_signer(settings)) == first


def test_elsewhere_no_key_is_made(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, profile="stack")
    with pytest.raises(SignatureError, match=r"there is no signing key at .* set FLIGHTLINE_SIGNING__KEY"):
        open_signer(settings)
    named = Settings(root=tmp_path, signing=SigningSettings(key=str(tmp_path / "mine.pem")))
    with pytest.raises(SignatureError, match=r"there is no signing key at .*mine\.pem"):
        open_signer(named)
    assert list(tmp_path.rglob("*.pem")) == []


def test_elsewhere_the_believed_key_must_be_named(settings: Settings) -> None:
    open_signer(settings)
    with pytest.raises(SignatureError, match="FLIGHTLINE_SIGNING__PUBLIC_KEY is not set"):
        read_trusted_keys(settings.model_copy(update={"profile": "aws"}))


def believe(settings: Settings, text: str) -> Settings:
    return settings.model_copy(update={"profile": "aws", "signing": SigningSettings(public_key=text)})


def test_the_key_is_read_as_text_on_one_line_or_from_a_file(settings: Settings) -> None:
    text = public_text(open_signer(settings))
    (key,) = read_trusted_keys(settings)
    file = settings.root / "other.pem"
    file.write_text(text)
    for given in (text, text.replace("\n", "\\n"), str(file)):
        assert read_trusted_keys(believe(settings, given)) == (key,)


def test_while_keys_change_both_are_believed(settings: Settings) -> None:
    texts, signatures = [], []
    for name in ("old", "new"):
        make_key(settings.root / name / "key.pem")
        signer = open_signer(
            Settings(root=settings.root, signing=SigningSettings(key=f"{settings.root}/{name}/key.pem"))
        )
        texts.append(public_text(signer))
        signatures.append(sign_files(signer, SIGNED, FILES))
    both = read_trusted_keys(believe(settings, "".join(texts)))
    assert [verify_statement(signature, both, "it").files for signature in signatures] == [FILES, FILES]
    only_new = read_trusted_keys(believe(settings, texts[1]))
    with pytest.raises(SignatureError, match="not signed by a trusted key"):
        verify_statement(signatures[0], only_new, "it")


@pytest.mark.parametrize("text", ["", "nothing", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_public_key_believes_nobody(settings: Settings, text: str) -> None:
    with pytest.raises(SignatureError):
        read_trusted_keys(believe(settings, text))


def test_keys_of_another_kind_are_refused(settings: Settings, tmp_path: Path) -> None:
    for number, key in enumerate((rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()))):
        file = tmp_path / f"{number}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with pytest.raises(SignatureError, match="P-256"):
            open_signer(Settings(root=tmp_path, signing=SigningSettings(key=str(file))))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(SignatureError, match="P-256"):
            read_trusted_keys(believe(settings, public))


def test_a_signature_of_something_else_is_none_of_a_model(settings: Settings) -> None:
    from securesystemslib.dsse import Envelope

    signer, keys = open_signer(settings), read_trusted_keys(settings)
    for payload, kind, said in ((b"{}", PAYLOAD_TYPE, "something else"), (b"{}", "text/plain", "signs 'text/plain'")):
        envelope = Envelope(payload, kind, {})
        envelope.sign(signer)
        with pytest.raises(SignatureError, match=said):
            verify_statement(json.dumps(envelope.to_dict()).encode(), keys, "it")
