"""Approvals: who let a model version answer callers. Signed with the key that signs the version, in the same form.

A signature says what a version is; every version that is registered has one, whatever the gate
said of it. An approval says that it may answer. It is bound to the digest of the model file, and
holds for ever: a version that was approved once can be rolled back to.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field
from securesystemslib.signer import Key, Signer

from flightline.adapters.model_store.manifest import ModelManifest
from flightline.adapters.model_store.model_file import MODEL_FILE
from flightline.adapters.model_store.signatures import (
    APPROVAL_FILE,
    AnyStatement,
    sign_statement,
    subjects_of,
    verify_envelope,
)
from flightline.core.errors import SignatureError

PREDICATE_TYPE = "urn:flightline:approval:v1"
# A shadow answers nobody, and so needs no approval.
Role = Literal["champion", "challenger", "shadow"]


class Approval(BaseModel, frozen=True, extra="forbid"):
    """Who let a version answer callers, and why: the statement's predicate."""

    model: str = Field(description="The registered model.")
    version: str = Field(description="Its version in the registry.")
    role: Literal["champion", "challenger"] = Field(
        description="challenger: answers some instances beside a champion; champion: those, and all."
    )
    verdict: str = Field(description="The gate's, or what the version has instead of one.")
    by: str = Field(min_length=1, description="gate, canary or person:<name>.")
    why: str = Field(min_length=1, description="The reason, in words.")
    approved_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class ApprovalStatement(AnyStatement):
    """A statement that a model file may answer callers."""

    predicateType: str = Field(default=PREDICATE_TYPE, pattern=f"^{PREDICATE_TYPE}$")  # noqa: N815  # in-toto's name
    predicate: Approval


def sign_approval(signer: Signer, approval: Approval, sha256: str) -> bytes:
    """Sign an approval of a model file by its digest, and give the content of `APPROVAL_FILE`.

    Raises
    ------
    SignatureError
        If the signer fails.
    """
    statement = ApprovalStatement(subject=subjects_of({MODEL_FILE: sha256}), predicate=approval)
    return sign_statement(signer, statement, f"the approval of version {approval.version}")


def check_approval(folder: Path, manifest: ModelManifest, role: Role, keys: Sequence[Key]) -> None:
    """Demand that a version may be what it is loaded as.

    Parameters
    ----------
    folder
        Of this version alone.
    manifest
        Verified.

    Raises
    ------
    SignatureError
        If its approval is missing, by another key, of another version or model file, or of a challenger only.
    """
    if role == "shadow":
        return
    version = manifest.version
    try:
        content = (folder / APPROVAL_FILE).read_bytes()
    except OSError as err:
        raise SignatureError(
            f"version {version} has no approval ({APPROVAL_FILE}), so it may not be {role}: the gate did not "
            f"promote it, or that was before approvals were signed; {_how(version, role)}"
        ) from err
    statement = verify_envelope(content, keys, f"{APPROVAL_FILE} of version {version}", ApprovalStatement)
    approval = statement.predicate
    approved = (approval.model, approval.version, statement.files)
    if approved != (manifest.name, version, {MODEL_FILE: manifest.sha256}):
        raise SignatureError(
            f"version {version} carries the approval of {approval.model} version {approval.version}, or of another "
            f"model file; expected {manifest.name} version {version}, sha256 {manifest.sha256[:16]}...: "
            f"{_how(version, role)}"
        )
    if role == "champion" and approval.role != "champion":
        raise SignatureError(
            f"version {version} was approved as {approval.role} by {approval.by}, not as champion; "
            f"{_how(version, role)}"
        )


def _how(version: str, role: Role) -> str:
    if role == "challenger":
        return f"a person may let it answer: `make canary-start VERSION={version} MODE=split SHARE=...`"
    return f'look at it, then `make promote VERSION={version} BY=you WHY="..."`'
