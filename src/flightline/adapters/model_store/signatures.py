"""Signatures of model versions: an in-toto statement in a DSSE envelope, over every file that the service reads.

The statement names each file with its sha256, and binds them to the model's name, its version
and the run that trained it, so that neither a file nor a whole version can take the place of
another (docs/decisions/0020-model-signatures.md).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error, VerificationError
from securesystemslib.signer import Key, Signer

from flightline.core.errors import SignatureError

SIGNATURE_FILE = "model.intoto.json"
# Beside the signature, with one of its own: see `approvals`.
APPROVAL_FILE = "approval.intoto.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:flightline:model-version:v1"
REGISTRATION = "registration"


class SignedVersion(BaseModel, frozen=True, extra="forbid"):
    """What a signature says besides the files: the statement's predicate."""

    model: str = Field(description="The registered model.")
    version: str = Field(description="Its version in the registry.")
    run_id: str = Field(description="The run that trained it.")
    training: dict[str, str] = Field(default={}, description="What made it: lineage and training set.")
    signed_by: str = Field(default=REGISTRATION, description="registration, or person:<name>.")
    reason: str = Field(default="", description="Why a person signed it afterwards.")
    signed_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class FileDigest(BaseModel, frozen=True, extra="forbid"):
    """The digest of a file, as in-toto writes it."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Subject(BaseModel, frozen=True, extra="forbid"):
    """A file that a statement is about."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    digest: FileDigest


class AnyStatement(BaseModel):
    """What all in-toto statements, version 1, have in common; the kinds say what they state of their files."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    type_: str = Field(default=STATEMENT_TYPE, alias="_type", pattern=f"^{STATEMENT_TYPE}$")
    subject: tuple[Subject, ...] = Field(min_length=1)

    @property
    def files(self) -> dict[str, str]:
        """The signed files, name to sha256 (hex)."""
        return {subject.name: subject.digest.sha256 for subject in self.subject}


class Statement(AnyStatement):
    """A statement of what a model version is."""

    predicateType: str = Field(default=PREDICATE_TYPE, pattern=f"^{PREDICATE_TYPE}$")  # noqa: N815  # in-toto's name
    predicate: SignedVersion


Kind = TypeVar("Kind", bound=AnyStatement)


def sign_files(signer: Signer, signed: SignedVersion, files: Mapping[str, str]) -> bytes:
    """Sign files by their digests; give the content of `SIGNATURE_FILE`.

    Parameters
    ----------
    files
        Name to sha256 (hex) of each file of the version but the signature.

    Raises
    ------
    SignatureError
        If the signer fails.
    """
    return sign_statement(signer, Statement(subject=subjects_of(files), predicate=signed), f"version {signed.version}")


def subjects_of(files: Mapping[str, str]) -> tuple[Subject, ...]:
    """Give files, name to sha256 (hex), as a statement names them."""
    return tuple(Subject(name=name, digest=FileDigest(sha256=files[name])) for name in sorted(files))


def sign_statement(signer: Signer, statement: AnyStatement, named: str) -> bytes:
    """Put a statement into a signed envelope; raises as `sign_files`."""
    envelope = Envelope(statement.model_dump_json(by_alias=True).encode(), PAYLOAD_TYPE, {})
    try:
        envelope.sign(signer)
    except Exception as err:
        # KMS passes on what its client raises, and the file signer what the library does.
        raise SignatureError(f"{named} could not be signed: {type(err).__name__}: {err}") from err
    return json.dumps(envelope.to_dict(), indent=2).encode() + b"\n"


def verify_statement(content: bytes, keys: Sequence[Key], named: str) -> Statement:
    """Read the content of `SIGNATURE_FILE`; see `verify_envelope`."""
    return verify_envelope(content, keys, f"{SIGNATURE_FILE} of {named}", Statement)


def verify_envelope(content: bytes, keys: Sequence[Key], named: str, kind: type[Kind]) -> Kind:
    """Read a statement after checking that one of the keys signed it.

    Parameters
    ----------
    named
        The file and the version it was found with, for errors.
    kind
        What it must state.

    Raises
    ------
    SignatureError
        If it is no such envelope, or was signed by nobody who is believed.
    """
    try:
        parsed: Any = json.loads(content)
        envelope = Envelope.from_dict(parsed)
    except (ValueError, KeyError, TypeError, AttributeError, Error) as err:
        raise SignatureError(f"{named} is not a DSSE envelope ({type(err).__name__})") from err
    try:
        envelope.verify(list(keys), 1)
    except VerificationError as err:
        raise SignatureError(
            f"{named} was not signed by a trusted key: it names key "
            f"{', '.join(key[:12] for key in envelope.signatures) or 'none'}, trusted is "
            f"{', '.join(key.keyid[:12] for key in keys)}; somebody else has signed it, or it was changed afterwards"
        ) from err
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"{named} signs {envelope.payload_type!r}, expected {PAYLOAD_TYPE!r}")
    try:
        return kind.model_validate_json(envelope.payload)
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors()[:3])
        raise SignatureError(f"{named} signs something else than it should ({wrong})") from err


def read_signed(
    folder: Path, model: str, version: str, keys: Sequence[Key], unread: str
) -> tuple[Statement, dict[str, bytes]]:
    """Read the files of a version after verifying that they, and no others, were signed for it.

    Parameters
    ----------
    folder
        Of this version alone.
    unread
        The name of a file that is signed too, but left to who loads it by the statement's digest: it may be large.

    Returns
    -------
    tuple
        The statement, and the content of each other file: the very bytes that were verified.

    Raises
    ------
    SignatureError
        If the signature is missing or by another key, or speaks of another model, version or content, or a file is
        missing or was added.
    """
    named = f"version {version}"
    try:
        content = (folder / SIGNATURE_FILE).read_bytes()
        # Whoever loads the unread file notices if it is missing.
        there = {entry.name for entry in folder.iterdir()} - {SIGNATURE_FILE, APPROVAL_FILE} | {unread}
    except OSError as err:
        raise SignatureError(
            f"{named} has no signature ({SIGNATURE_FILE}): it was registered before models were signed, or was "
            f'put there past the registration; look at it, then `make sign VERSION={version} BY=you WHY="..."`'
        ) from err
    statement = verify_statement(content, keys, named)
    signed, expected = (statement.predicate.model, statement.predicate.version), (model, version)
    if signed != expected:
        raise SignatureError(
            f"{named} carries the signature of {signed[0]} version {signed[1]}, expected {model} version {version}: "
            "a signature holds for one version"
        )
    if there != set(statement.files):
        raise SignatureError(
            f"the files of {named} are not those that were signed; added: {_names(there - set(statement.files))}, "
            f"missing: {_names(set(statement.files) - there)}"
        )
    return statement, {
        name: _read_as_signed(folder / name, digest, named)
        for name, digest in statement.files.items()
        if name != unread
    }


def _read_as_signed(file: Path, digest: str, named: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as err:
        raise SignatureError(f"{file.name} of {named} cannot be read") from err
    got = hashlib.sha256(content).hexdigest()
    if got != digest:
        raise SignatureError(
            f"{file.name} of {named} has sha256 {got[:16]}..., expected {digest[:16]}... as signed: it was "
            "changed after it was signed"
        )
    return content


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
