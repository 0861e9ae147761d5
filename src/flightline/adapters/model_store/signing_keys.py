"""The keys of model signatures: the one that signs, and those that are believed.

ECDSA on P-256 with SHA-256, by securesystemslib: a PEM file or a key of AWS KMS signs, any PEM
public key verifies. docs/security.md says who holds which.
"""

import os
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.exceptions import Error
from securesystemslib.signer import AWSSigner, CryptoSigner, Key, Signer, SSlibKey

from flightline.core.errors import SignatureError
from flightline.core.settings import Settings

KMS = "awskms:///"
KEY_FILE, PUBLIC_FILE = "key.pem", "public.pem"
_PEM_BLOCK = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_HOW = "`make signing-key` makes a pair and prints the public one"


def open_signer(settings: Settings) -> Signer:
    """Open what signs; the first call in the profile local makes its key.

    Raises
    ------
    SignatureError
        If there is no key, it is of another kind, or KMS does not give it.
    """
    named = settings.signing.key
    if named.startswith(KMS):
        return _kms_signer(named.removeprefix(KMS))
    file = Path(named) if named else settings.signing_dir / KEY_FILE
    if not file.exists():
        if named or settings.profile != "local":
            raise SignatureError(
                f"there is no signing key at {file}, so no model can be registered; set FLIGHTLINE_SIGNING__KEY to a "
                f"PEM file or to {KMS}<key id or ARN> ({_HOW})"
            )
        make_key(file)
    return _pem_signer(file)


def make_key(file: Path) -> None:
    """Make a private key that only its owner can read, and the public one beside it; an existing key stays."""
    signer = CryptoSigner.generate_ecdsa()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(signer.private_bytes)
    try:
        os.link(unfinished, file)  # two that begin at once must not end with two keys
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
    file.with_name(PUBLIC_FILE).write_text(public_text(_pem_signer(file)), encoding="utf-8")


def public_text(signer: Signer) -> str:
    """Give a signer's public key as PEM, for FLIGHTLINE_SIGNING__PUBLIC_KEY."""
    return str(signer.public_key.keyval["public"])


def read_trusted_keys(settings: Settings) -> tuple[Key, ...]:
    """Read the public keys that are believed; anew at each call, so that a change needs no restart.

    Raises
    ------
    SignatureError
        If none is named or the text holds no P-256 public key.
    """
    named = settings.signing.public_key
    if not named and settings.profile != "local":
        raise SignatureError(
            f"FLIGHTLINE_SIGNING__PUBLIC_KEY is not set, so no model can be verified in the profile "
            f"{settings.profile}; set it to the PEM text of the public key, or to a file that those who deliver models "
            f"cannot write ({_HOW})"
        )
    text = named
    if "-----BEGIN" not in named:
        file = Path(named) if named else settings.signing_dir / PUBLIC_FILE
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as err:
            raise SignatureError(
                f"there is no readable public key at {file}, so no model can be verified; the first registration "
                "makes one, or set FLIGHTLINE_SIGNING__PUBLIC_KEY"
            ) from err
    # A line of an environment file holds no line ends.
    blocks = _PEM_BLOCK.findall(text.replace("\\n", "\n"))
    if not blocks:
        raise SignatureError("FLIGHTLINE_SIGNING__PUBLIC_KEY holds no block -----BEGIN PUBLIC KEY-----")
    return tuple(_public_key(block) for block in blocks)


def _public_key(pem: str) -> Key:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as err:
        raise SignatureError("a public key of FLIGHTLINE_SIGNING__PUBLIC_KEY is not readable PEM") from err
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise SignatureError(f"got a {type(key).__name__}, expected a public key on the curve P-256")
    return SSlibKey.from_crypto(key)


def _pem_signer(file: Path) -> Signer:
    try:
        key = load_pem_private_key(file.read_bytes(), None)
        _public_key_of_curve(key.public_key(), file)
        return CryptoSigner(key)
    except (OSError, TypeError, ValueError) as err:
        raise SignatureError(f"{file} is not a readable PEM private key without a password ({err})") from err


def _public_key_of_curve(key: object, named: object) -> None:
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise SignatureError(f"the signing key {named} is a {type(key).__name__}, expected one on the curve P-256")


def _kms_signer(key_id: str) -> Signer:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _, public = AWSSigner.import_(key_id, "ecdsa-sha2-nistp256")
        return AWSSigner(key_id, public)
    except (BotoCoreError, ClientError, Error, ValueError) as err:
        raise SignatureError(
            f"AWS KMS does not give the signing key {key_id} ({err}); it must be of the kind ECC_NIST_P256 for "
            "SIGN_VERIFY, and the task's role needs kms:GetPublicKey and kms:Sign on it"
        ) from err
