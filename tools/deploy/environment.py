"""One environment as the commands see it: Terraform, its outputs, AWS's clients, and the record of what is live."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tools.deploy import images
from tools.deploy.plan import Change, changes_of
from tools.deploy.steps import DeployError
from tools.terraform import commands as infra
from tools.terraform.terraform import LOCK_TIMEOUT, Terraform

RECORD = "deployments/live.json"
KEPT = 20


@dataclass(frozen=True)
class Release:
    """A pair of images that was live.

    Parameters
    ----------
    service, flows
        By digest.
    at
        When it went live, ISO 8601.
    why
        What made it live: a deployment or a rollback, with the commit or the reason.
    """

    service: str
    flows: str
    at: str = ""
    why: str = ""

    def is_same(self, other: "Release | None") -> bool:
        """Say whether both are the same images."""
        return other is not None and (self.service, self.flows) == (other.service, other.flows)

    def __str__(self) -> str:
        return f"{images.parse(self.service).short} with {images.parse(self.flows).short}"


# Images where none was ever live: Terraform wants some, and nothing runs of them.
NOTHING = Release(f"none/service@sha256:{'0' * 64}", f"none/flows@sha256:{'0' * 64}")


@dataclass(frozen=True)
class Record:
    """What is live and was live before, the newest last, and whether predictions could ever be had."""

    releases: tuple[Release, ...] = ()
    is_filled: bool = False

    @classmethod
    def parse(cls, text: str | bytes) -> "Record":
        """Read a record's JSON; records of before December 2026 say `is_bootstrapped`."""
        found = json.loads(text)
        is_filled = found["is_filled"] if "is_filled" in found else found["is_bootstrapped"]
        return cls(tuple(Release(**one) for one in found["releases"]), is_filled)

    @property
    def live(self) -> Release | None:
        """What is live, if anything was deployed."""
        return self.releases[-1] if self.releases else None

    @property
    def before(self) -> Release | None:
        """What a rollback goes back to."""
        live = self.live
        return next((one for one in reversed(self.releases) if not one.is_same(live)), None)

    def with_live(self, release: Release) -> "Record":
        """Add what went live; the same images again change nothing."""
        if release.is_same(self.live):
            return self
        dated = replace(release, at=datetime.now(UTC).isoformat(timespec="seconds"))
        return replace(self, releases=(*self.releases, dated)[-KEPT:])

    def without_live(self) -> "Record":
        """Take what is live away, as a rollback does, so that the next one goes further back."""
        live, kept = self.live, list(self.releases)
        while kept and kept[-1].is_same(live):
            kept.pop()
        return replace(self, releases=tuple(kept))


@dataclass
class Environment:
    """An environment that Terraform was made ready for."""

    name: str
    root: Terraform
    session: Any = field(default_factory=boto3.Session)
    allow_destroy: bool = False

    @classmethod
    def open(cls, name: str) -> "Environment":
        """Make Terraform ready; raises TerraformError for an account without its setup."""
        root = infra.init(name)
        region = infra.read_backend(name)["region"]
        return cls(name, root, boto3.Session(region_name=region))

    def client(self, service: str) -> Any:
        """Give AWS's client of a service."""
        return self.session.client(service)

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """What was applied put out; empty if nothing was. Forgotten after each apply."""
        return self.root.outputs()

    @property
    def deployment(self) -> dict[str, Any]:
        """The output that these commands ask for.

        Raises
        ------
        DeployError
            If nothing was applied.
        """
        if "deployment" not in self.outputs:
            raise DeployError(
                f"{self.name} has no outputs: it was not applied yet; run: make deploy ENV={self.name} IMAGE=..."
            )
        return self.outputs["deployment"]

    def variables(self, release: Release, *, canary: str = "", percent: int = 0) -> list[str]:
        """Give Terraform's arguments for a pair of images, and for a canary beside them if there is one."""
        given = [f"-var-file=environments/{self.name}.tfvars"]
        given += [f"-var=service_image={release.service}", f"-var=flows_image={release.flows}"]
        if canary:
            given += [f"-var=canary_image={canary}", f"-var=canary_percent={percent}"]
        return [*given, "-var=allow_destroy=true"] if self.allow_destroy else given

    def plan(self, variables: Sequence[str]) -> tuple[Change, ...]:
        """Plan, keep the plan for `apply`, and give its changes."""
        return changes_of(self.root.planned([*variables, "-parallelism=30"]))

    def apply(self) -> None:
        """Apply the plan that was made last, and nothing else."""
        self.root.run_with_progress("apply", "-parallelism=30", LOCK_TIMEOUT, str(self.root.data / "plan"))
        self.forget_outputs()

    def forget_outputs(self) -> None:
        """Read them anew when they are asked for next."""
        self.__dict__.pop("outputs", None)

    def _place(self) -> dict[str, str]:
        return {"Bucket": self.deployment["exports"].removeprefix("s3://"), "Key": RECORD}

    def read_record(self) -> Record:
        """Read what is live; an empty record if nothing was ever deployed."""
        if "deployment" not in self.outputs:
            return Record()
        try:
            text = self.client("s3").get_object(**self._place())["Body"].read()
        except ClientError as err:
            if err.response["Error"]["Code"] in ("NoSuchKey", "404", "NoSuchBucket"):
                return Record()
            raise
        return Record.parse(text)

    def write_record(self, record: Record) -> None:
        """Write what is live; the bucket keeps former versions."""
        body = json.dumps(asdict(record), indent=2).encode()
        # Not by the environment's key: who only plans may read it too, and it holds no secret.
        self.client("s3").put_object(**self._place(), Body=body, ServerSideEncryption="AES256")

    def api_key(self) -> str:
        """Read the key of the smoke test."""
        text = self.client("secretsmanager").get_secret_value(SecretId=self.deployment["key_secret"])["SecretString"]
        return json.loads(text)["password"]
