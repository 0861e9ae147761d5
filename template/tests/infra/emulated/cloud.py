"""An emulated AWS with the project applied to it: the emulator, Terraform over copies of infra/, and the stand-ins."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest

from template.tests.infra.emulated.calls import Call, read_calls
from tests.support.waiting import wait_until
from tools.deploy import passwords
from tools.deploy.environment import Environment
from tools.terraform.terraform import ROOT, Terraform, find_terraform

MOTO = ROOT / ".tools" / "moto" / "bin" / "python"
REGION = "us-east-1"
HOST_NAME = "staging.flightline.example"
REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/flightline"
IMAGES = [
    f"-var=service_image={REGISTRY}/service@sha256:{'a' * 64}",
    f"-var=flows_image={REGISTRY}/flows@sha256:{'b' * 64}",
]
LONGEST_POLICY = 6144
STATE_BUCKET = "flightline-terraform-123456789012"
QUIETLY = ["-auto-approve", "-input=false", "-no-color", "-parallelism=30"]
SUBJECTS = {
    "image": ["repo:owner@12/name@34:ref:refs/heads/main"],
    "plan-staging": ["repo:owner@12/name@34:pull_request", "repo:owner@12/name@34:ref:refs/heads/main"],
    "plan-production": ["repo:owner@12/name@34:ref:refs/heads/main"],
    "staging": ["repo:owner@12/name@34:environment:staging"],
    "production": ["repo:owner@12/name@34:environment:production"],
}


def demand(program: str | Path | None, how: str) -> None:
    """Skip the test where a program is missing; in CI nobody would see that, so there it fails."""
    if program and Path(program).exists():
        return
    if os.environ.get("CI") == "true":
        pytest.fail(how)
    pytest.skip(how)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def running(
    command: list[str | Path], log: Path, url: str | None = None, **environment: str
) -> Iterator[subprocess.Popen]:
    """Run a server until the block ends, and begin when it answers."""
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env={**os.environ, **environment})
    try:
        if url:
            wait_until(lambda: _answers(process, url, log), said=log.read_text)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=600)


def _answers(process: subprocess.Popen, url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3000:]
    urllib.request.urlopen(url, timeout=60).close()
    return True


def copy_infra(to: Path) -> Path:
    """Copy infra/ without what a developer's own Terraform left in it."""
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfplan", "backend.json", "stack")
    return Path(shutil.copytree(ROOT / "infra", to / "infra", ignore=left))


@dataclass
class Cloud:
    """The emulator with the project on it."""

    folder: Path
    url: str
    zone: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    rights: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(service)

    @cached_property
    def infra(self) -> Path:
        return copy_infra(self.folder)

    @cached_property
    def account(self) -> Terraform:
        return Terraform(self.infra / "account", self.folder / "data-account")

    def environment(self, name: str, role: str = "") -> Terraform:
        """Give an environment; calls of a role, else of the one that deploys it, are told apart by their access key."""
        role = role or name
        root = Terraform(self.infra, self.folder / f"data-{role}", {"AWS_ACCESS_KEY_ID": role})
        if not (root.data / "terraform.tfstate").exists():
            backend = {"bucket": STATE_BUCKET, "region": REGION, "key": f"environments/{name}.tfstate"}
            given = [f"-backend-config={key}={value}" for key, value in backend.items()]
            root.run("init", "-input=false", "-no-color", *given)
        return root

    def deployed(self, name: str) -> Environment:
        """Give an environment as `make deploy` has it, with clients of its role."""
        return Environment(
            name, self.environment(name), boto3.Session(aws_access_key_id=name, aws_secret_access_key="test")
        )

    def variables(self, name: str) -> list[str]:
        return [f"-var-file=environments/{name}.tfvars", f"-var=hosted_zone_id={self.zone}", *IMAGES]

    def state(self, root: Terraform) -> list[dict[str, Any]]:
        """Every managed resource with its values."""
        found: list[dict[str, Any]] = []

        def collect(module: dict[str, Any]) -> None:
            found.extend(each for each in module.get("resources", []) if each["mode"] == "managed")
            for child in module.get("child_modules", []):
                collect(child)

        collect(json.loads(root.run("show", "-json"))["values"]["root_module"])
        return found

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[step] = time.monotonic() - started
        print(f"{step}: {self.seconds[step]:.0f} s", flush=True)

    def apply(self) -> None:
        given = 'protected = false\nrepository = "owner/name"\nrepository_ids = { owner = 12, repository = 34 }\n'
        (self.folder / "account.tfvars").write_text(given)
        made = self.client("route53").create_hosted_zone(Name="flightline.example", CallerReference="test")
        self.zone = made["HostedZone"]["Id"].rsplit("/", 1)[-1]
        for file in (self.infra / "environments").glob("*.tfvars"):
            file.write_text(re.sub(r'(hosted_zone_id *= *)"[^"]*"', rf'\1"{self.zone}"', file.read_text()))
        # The provider waits a minute for a bucket's rules to settle; the environment needs only its state's bucket.
        with self.timed("apply"), ThreadPoolExecutor() as beside:
            self.account.run("init", "-input=false", "-no-color")
            shared = beside.submit(self.account.run, "apply", *QUIETLY, f"-var-file={self.folder}/account.tfvars")
            self._wait_for_state(shared)
            deployed = self.deployed("staging")
            passwords.write(deployed, self.variables("staging"))
            deployed.root.run("apply", *QUIETLY, *self.variables("staging"))
            deployed.forget_outputs()
            passwords.hand_over(deployed)
            shared.result()
        assert self.account.outputs()["backend"]["bucket"] == STATE_BUCKET
        self.rights = {name: self._statements(name) for name in SUBJECTS}

    def _statements(self, role: str) -> list[dict[str, Any]]:
        """Read every statement of a role's policies."""
        iam = self.client("iam")
        attached = iam.list_attached_role_policies(RoleName=f"flightline-github-{role}")["AttachedPolicies"]
        found: list[dict[str, Any]] = []
        for one in attached:
            version = iam.get_policy(PolicyArn=one["PolicyArn"])["Policy"]["DefaultVersionId"]
            policy = iam.get_policy_version(PolicyArn=one["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
            assert len(json.dumps(policy, separators=(",", ":"))) <= LONGEST_POLICY, one["PolicyName"]
            found += policy["Statement"]
        return found

    @property
    def calls(self) -> list[Call]:
        """Everything that the emulator was asked so far."""
        return read_calls(self.folder / "calls.jsonl")

    def _wait_for_state(self, shared: Future[str]) -> None:
        def is_there() -> bool:
            if shared.done():
                shared.result()
            return STATE_BUCKET in [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]]

        wait_until(is_there)

    def destroy(self) -> None:
        with self.timed("destroy staging"):
            self.environment("staging").run("destroy", *QUIETLY, *self.variables("staging"))

    def destroy_account(self) -> None:
        with self.timed("destroy account"):
            self.account.run("destroy", *QUIETLY, f"-var-file={self.folder}/account.tfvars")


@contextmanager
def emulated(folder: Path) -> Iterator[Cloud]:
    """Start the emulator, and point every client of AWS at it by the environment alone."""
    demand(find_terraform(), "Terraform is not installed")
    demand(MOTO, "moto is not installed: make test-infra installs it")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    named = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "EMULATOR_CALLS": str(folder / "calls.jsonl"),
    }
    command = [MOTO, ROOT / "template" / "tests" / "infra" / "emulated" / "emulator.py", str(port)]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        with running(command, folder / "emulator.log", f"{url}/moto-api/"):
            yield Cloud(folder, url)
