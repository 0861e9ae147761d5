"""A key of AWS KMS signs what the service verifies with its public key alone; against moto's KMS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flightline.adapters.model_store.served_model import load_served_model
from flightline.adapters.model_store.signing_keys import open_signer, public_text
from flightline.core.errors import SignatureError
from flightline.core.project import open_project
from flightline.core.settings import Settings, SigningSettings
from template.tests.infra.emulated.cloud import Cloud, emulated
from tests.support.small_service import put_model


@pytest.fixture(scope="module")
def empty_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with emulated(tmp_path_factory.mktemp("kms")) as made:
        yield made


@pytest.fixture
def client(empty_cloud: Cloud):
    return empty_cloud.client("kms")


def made_key(client, spec: str = "ECC_NIST_P256") -> str:
    return client.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyMetadata"]["Arn"]


def test_a_key_that_never_leaves_kms_signs(client, tmp_path: Path) -> None:
    arn = made_key(client)
    signing = SigningSettings(key=f"awskms:///{arn}")
    public = public_text(open_signer(Settings(root=tmp_path, profile="aws", signing=signing)))
    believing = SigningSettings(key=signing.key, public_key=public)
    settings = Settings(root=tmp_path, profile="aws", signing=believing)
    put_model(settings, "3")
    assert list(tmp_path.rglob("*.pem")) == []
    assert load_served_model(settings.serving_models_dir, open_project(settings)) is not None
    other = public_text(
        open_signer(Settings(root=tmp_path, signing=SigningSettings(key=f"awskms:///{made_key(client)}")))
    )
    doubting = Settings(root=tmp_path, signing=SigningSettings(public_key=other))
    with pytest.raises(SignatureError, match="not signed by a trusted key"):
        load_served_model(settings.serving_models_dir, open_project(doubting))


@pytest.mark.parametrize("named", ["absent", "another curve"])
def test_a_key_that_does_not_sign_is_named(client, tmp_path: Path, named: str) -> None:
    arn = "alias/absent" if named == "absent" else made_key(client, "ECC_NIST_P384")
    with pytest.raises(SignatureError, match="must be of the kind ECC_NIST_P256"):
        open_signer(Settings(root=tmp_path, profile="aws", signing=SigningSettings(key=f"awskms:///{arn}")))
