"""One emulated AWS for all files here, with Docker in place of Fargate; the files run in the order of their names."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from template.tests.deploy import images, stores
from template.tests.deploy.balancer import Balancer
from template.tests.deploy.containers import Place
from template.tests.deploy.project import Project, Ran, make_project
from template.tests.deploy.stand_in import StandIn
from template.tests.images.image_registry import running_registry
from template.tests.infra.emulated.cloud import HOST_NAME, MOTO, REGION, STATE_BUCKET, demand, free_port, running
from tests.images import conftest as of_images
from tools.images.docker import Docker
from tools.terraform.terraform import ROOT, Terraform, find_terraform

ENVIRONMENT = "flightline-staging"
# A fixture, which pytest finds by this name.
docker = of_images.docker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests: they are what `make test-deploy` runs, and nothing else does."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.slow)


@dataclass
class World:
    """The emulated account, a copy of the project turned to it, and what stands in for what it does not run."""

    project: Project
    registry: str
    images: images.Images
    stand_in: StandIn
    balancer: Balancer
    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(service)

    @property
    def terraform(self) -> Terraform:
        """Terraform as the commands in the copy of the project left it."""
        return Terraform(self.project.root / "infra", self.project.root / ".state" / "terraform" / "staging")

    @contextmanager
    def changed_network(self, addresses: str) -> Iterator[None]:
        """Name other addresses for the network of staging, until the block ends."""
        file = self.project.root / "infra" / "environments" / "staging.tfvars"
        whole = file.read_text()
        file.write_text(whole.replace("10.20.0.0/16", addresses))
        try:
            yield
        finally:
            file.write_text(whole)

    def make(self, target: str, **variables: str) -> Ran:
        started = time.monotonic()
        ran = self.project.make(target, **variables)
        print(f"# make {target}: {time.monotonic() - started:.0f} s", flush=True)
        assert not self.stand_in.failures, self.stand_in.failures[0]
        return ran


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An account with nothing in it but the state's bucket and a hosted zone."""
    client: Docker = request.getfixturevalue("docker")
    demand(find_terraform(), "Terraform is not installed")
    demand(MOTO, "moto is not installed: make test-deploy installs it")
    folder = tmp_path_factory.mktemp("deploy")
    with ExitStack() as stack:
        network, gateway = stack.enter_context(_network(client))
        authority = stores.make_authority(folder)
        registry = stack.enter_context(running_registry(ROOT / ".state" / "registry", folder))
        named = stack.enter_context(_emulator(folder, gateway))
        place = Place(client, network, dict(named), authority=str(authority))
        place.environment = {**named, "SSL_CERT_FILE": "/stand-in/authority.pem"}
        stand_in = StandIn(place, folder / "runs.json", ENVIRONMENT)
        stand_in.prepare = lambda: _open_stores(stack, place, folder, gateway)
        balancer = Balancer(HOST_NAME, stores.make_certificate(folder, HOST_NAME), stand_in).start()
        made = boto3.client("route53").create_hosted_zone(Name="flightline.example", CallerReference="test")
        boto3.client("s3").create_bucket(Bucket=STATE_BUCKET)
        trusted = {"HTTPS_PROXY": balancer.proxy, "SSL_CERT_FILE": str(stores.trust_beside(authority))}
        environment = {**named, **client.environment, **trusted}
        project = make_project(folder, made["HostedZone"]["Id"].rsplit("/", 1)[-1], environment)
        pushed = images.push_all(client, registry, project)
        stack.callback(stand_in.stop)
        yield World(project, registry, pushed, stand_in.start(), balancer, folder)


@contextmanager
def _network(client: Docker) -> Iterator[tuple[str, str]]:
    name = f"deploy-{os.getpid()}"
    client.run("network", "create", name)
    try:
        told = client.run("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", name).stdout
        yield name, told.strip()
    finally:
        client.run("network", "rm", name, check=False)


@contextmanager
def _emulator(folder: Path, host: str) -> Iterator[dict[str, str]]:
    """Run the emulator where containers reach it too, and turn this process to it."""
    port = free_port()
    url = f"http://{host}:{port}"
    named = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [
        MOTO,
        ROOT / "template" / "tests" / "infra" / "emulated" / "emulator.py",
        str(port),
        host,
        folder / "runs.json",
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        with running(command, folder / "emulator.log", f"{url}/moto-api/"):
            yield named


def _open_stores(stack: ExitStack, place: Place, folder: Path, gateway: str) -> None:
    """Start databases under the names, users and tokens that the environment gave them."""
    (database,) = boto3.client("rds").describe_db_instances()["DBInstances"]
    (cache,) = boto3.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    rds_host = database["Endpoint"]["Address"]
    cache_host = boto3.client("ecs").describe_task_definition(taskDefinition=f"{ENVIRONMENT}-worker")["taskDefinition"]
    told = {pair["name"]: pair["value"] for pair in cache_host["containerDefinitions"][0]["environment"]}
    redis_host = told["FEAST_REDIS"].split(":")[0]
    assert cache["ReplicationGroupId"] in redis_host
    place.hosts.update({rds_host: gateway, redis_host: gateway})
    server = stack.enter_context(stores.running_rds(gateway, stores.make_certificate(folder, "rds")))
    admin = stores.password_of(ENVIRONMENT, "database-admin")
    server.add_administrator(admin["username"], admin["password"], database["DBName"])
    token = stores.password_of(ENVIRONMENT, "cache")["password"]
    certificate = stores.make_certificate(folder, redis_host)
    stack.enter_context(stores.running_cache(folder, gateway, token, certificate))
