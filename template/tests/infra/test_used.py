"""What Terraform put out drives the project's own code: data, models, features and secrets, by the environment alone.

Stand-ins where the emulator runs nothing: Debian's Redis and PostgreSQL for ElastiCache and RDS,
and the MLflow server as the task definition starts it.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.core.errors import StartError
from flightline.core.project import open_project
from flightline.core.settings import PredictionLogSettings, Settings
from pipelines.commands.databases import set_up
from serving.middleware.api_keys import digest_of
from serving.middleware.rate_limits import check_shared_counts
from template.tests.infra.emulated.cloud import REGION, Cloud, demand, free_port, running
from tests.support import small_store
from tests.support.models import small_registry
from tests.support.small_service import NOON
from tests.toy_problem import PROBLEM
from tools.terraform.commands import write_settings
from tools.terraform.terraform import ROOT

# Feast leaves the temporary file of a registry that is not there yet to the garbage collector, which may come in the
# test after.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


def secret(cloud: Cloud, place: str) -> str:
    """Read a secret as ECS does: ARN, then a key in it, then two empty parts."""
    parts = place.split(":")
    text = cloud.client("secretsmanager").get_secret_value(SecretId=":".join(parts[:7]))["SecretString"]
    return json.loads(text)[parts[7]] if len(parts) > 7 else text


def container_of(cloud: Cloud, task: str, name: str) -> dict[str, Any]:
    found = cloud.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]
    return next(one for one in found["containerDefinitions"] if one["name"] == name)


@pytest.fixture(scope="session")
def outputs(cloud: Cloud) -> dict[str, Any]:
    return cloud.environment("staging").outputs()


@pytest.fixture(scope="session")
def profile(cloud: Cloud) -> dict[str, str]:
    """The settings, read back from the file that `make infra-settings` writes."""
    lines = write_settings("staging", cloud.environment("staging")).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture
def place(profile, outputs, cloud, monkeypatch, tmp_path) -> Settings:
    """Settings of the `aws` profile, built from the environment as everywhere."""
    for name, value in profile.items():
        monkeypatch.setenv(name, value)
    for name, where in outputs["secrets"].items():
        monkeypatch.setenv(name, secret(cloud, where))
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(tmp_path))
    return Settings()


def test_the_profile_is_what_the_tasks_are_given(cloud, profile, outputs):
    kept_apart = {"FLIGHTLINE_MLFLOW_TRACKING_URI", "FLIGHTLINE_DVC_REMOTE_URL", "PREFECT_API_URL"}
    for task, name in (("stable", "service"), ("model-sync", "model-sync"), ("worker", "worker")):
        given = container_of(cloud, f"flightline-staging-{task}", name)
        environment = {pair["name"]: pair["value"] for pair in given["environment"]}
        assert profile.keys() - environment.keys() == (kept_apart if name == "service" else set())
        assert {key: environment[key] for key in profile.keys() & environment.keys()}.items() <= profile.items()
        places = {pair["name"]: pair["valueFrom"] for pair in given["secrets"]}
        assert places.items() <= outputs["secrets"].items()
        assert given["image"].split("@")[0].endswith("service" if name == "service" else "flows")


def test_the_worker_works_on_a_copy_of_the_project(cloud, tmp_path):
    given = container_of(cloud, "flightline-staging-worker", "worker")
    image, work = tmp_path / "image", tmp_path / "work"
    (image / ".dvc").mkdir(parents=True)
    (image / "data.dvc").write_text("outs: []\n")
    work.mkdir()
    entry = [part.replace("/srv/flightline", str(image)).replace("/work", str(work)) for part in given["entryPoint"]]
    said = subprocess.run([*entry, "ls", "-A", "."], capture_output=True, text=True, check=True).stdout
    assert said.split() == [".dvc", "data.dvc"]
    assert {"name": "FLIGHTLINE_ROOT", "value": "/work"} in given["environment"]
    assert {mount["containerPath"] for mount in given["mountPoints"]} == {"/work", "/tmp"}


def test_the_profile_fills_the_settings(place, profile):
    assert (place.profile, place.clock) == ("aws", "set")
    assert place.dvc_remote_url == "s3://flightline-staging-dvc-123456789012/data"
    assert place.tracking_uri == "http://mlflow.flightline-staging.internal:5000"
    assert place.prediction_log.url.get_secret_value().startswith("postgresql://predictions@")
    assert (
        place.prediction_log.export_url == "s3://flightline-staging-exports-123456789012/predictions?region=us-east-1"
    )
    known = {f"FLIGHTLINE_{name.upper()}" for name in Settings.model_fields} | {
        f"FLIGHTLINE_PREDICTION_LOG__{name.upper()}" for name in PredictionLogSettings.model_fields
    }
    assert {name for name in profile if name.startswith("FLIGHTLINE_")} <= known
    store = yaml.safe_load((ROOT / "feature_repo" / "feature_store.aws.yaml").read_text())
    asked = {part.split("}")[0] for part in f"{store['registry']} {store['online_store']}".split("${")[1:]}
    assert asked == {"FEAST_REGISTRY", "FEAST_REDIS", "FEAST_REDIS_PASSWORD"}


def test_data_is_pushed_to_the_bucket_and_pulled_from_it(place, cloud, tmp_path):
    shutil.copytree(ROOT / ".dvc", place.root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    staged = place.root / "staged"
    (staged / "months").mkdir(parents=True)
    (staged / "months" / "2013-01.csv").write_text("a,b\n1,2\n")
    (staged / "places.csv").write_text("c\n3\n")
    version = dvc_data.add_version(place, staged)
    shutil.rmtree(place.data_dir)
    shutil.rmtree(place.root / ".dvc" / "cache")
    assert dvc_data.pull(open_project(place)) == version
    assert (place.data_dir / "months" / "2013-01.csv").read_text() == "a,b\n1,2\n"
    held = cloud.client("s3").list_objects_v2(Bucket="flightline-staging-dvc-123456789012")["Contents"]
    assert len(held) == 3


def test_secrets_are_read_and_are_what_was_promised(cloud, outputs):
    key = secret(cloud, f"{outputs['deployment']['key_secret']}:password::")
    assert len(key) == 48
    digests = json.loads(secret(cloud, outputs["secrets"]["FLIGHTLINE_SERVING__API_KEYS"]))
    assert digests == {"deployment": digest_of(key)}


def test_all_tasks_of_the_service_count_its_limits_together(cloud, redis):
    given = container_of(cloud, "flightline-staging-stable", "service")
    environment = {pair["name"]: pair["value"] for pair in given["environment"]}
    url = environment["FLIGHTLINE_SERVING__LIMITS_URL"]
    address = secret_of_environment("FEAST_REDIS_OF_PROFILE").split(",")[0]
    assert url == f"rediss://{address}/1"
    places = {pair["name"]: pair["valueFrom"] for pair in given["secrets"]}
    assert places["FLIGHTLINE_SERVING__LIMITS_PASSWORD"] == places["FEAST_REDIS_PASSWORD"]
    here, _, certificate = secret_of_environment("FEAST_REDIS").split(",")
    token = secret(cloud, places["FLIGHTLINE_SERVING__LIMITS_PASSWORD"])
    check_shared_counts(url.replace(address, here) + f"?{certificate}", token)
    with pytest.raises(StartError, match="refuses its URL"):
        check_shared_counts(url.replace(address, here) + f"?{certificate}", "another")


@pytest.fixture
def redis(place, tmp_path, monkeypatch) -> Iterator[None]:
    """Redis over TLS, with the token that ElastiCache was given."""
    demand(shutil.which("redis-server"), "Redis is not installed (Debian: apt-get install redis-server)")
    demand(shutil.which("openssl"), "openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    subprocess.run(
        [*command, "-days", "2", "-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    token, port = secret_of_environment("FEAST_REDIS_PASSWORD"), free_port()
    options = {
        "port": "0",
        "tls-port": str(port),
        "bind": "127.0.0.1",
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(certificate),
        "tls-auth-clients": "no",
        "requirepass": token,
        "save": "",
        "dir": str(tmp_path),
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    host, given = secret_of_environment("FEAST_REDIS").split(",", 1)
    assert host.startswith("master.flightline-staging.")
    assert given == "ssl=true"
    monkeypatch.setenv("FEAST_REDIS_OF_PROFILE", f"{host},{given}")
    monkeypatch.setenv("FEAST_REDIS", f"127.0.0.1:{port},{given},ssl_ca_certs={certificate}")
    with running(["redis-server", *arguments], tmp_path / "redis.log"):
        yield


def secret_of_environment(name: str) -> str:
    return os.environ[name]


def test_features_are_applied_to_s3_and_materialised_into_redis(place, redis, cloud):
    place.feature_repo.mkdir()
    shutil.copy(ROOT / "feature_repo" / "feature_store.aws.yaml", place.feature_repo)
    (place.feature_repo / "definitions.py").write_text(small_store.DECLARATIONS)
    small_store.write_tables(place, 60.0)
    assert feast_store.apply(place) == ["recent", "plan"]
    feast_store.materialise(place, NOON)
    assert cloud.client("s3").head_object(Bucket="flightline-staging-feast-123456789012", Key="registry.pb")
    online = OnlineFeatures.open(place, PROBLEM.feature_service)
    try:
        (row,) = online.read([{"shop": "S01", "city": "Bergen"}], NOON)
        assert row.values == {"mean_units": 60.0, "seats": 9.0}
        assert online.watermarks["recent"] == NOON
    finally:
        online.close()
    del online
    gc.collect()


@pytest.fixture
def databases(place, outputs, cloud, postgres_server, monkeypatch) -> int:
    """PostgreSQL set up by the task `setup`, with its own environment and secrets; gives the port."""
    given = container_of(cloud, outputs["deployment"]["setup_task"], "setup")
    assert given["command"] == ["python", "-m", "pipelines.commands.databases"]
    for pair in given["environment"]:
        monkeypatch.setenv(pair["name"], pair["value"])
    for pair in given["secrets"]:
        monkeypatch.setenv(pair["name"], secret(cloud, pair["valueFrom"]))
    # The administrator is the test server's own; users and passwords are those of the cloud.
    monkeypatch.setenv("FLIGHTLINE_DATABASES__ADMIN_URL", postgres_server.url("postgres"))
    monkeypatch.setenv("FLIGHTLINE_DATABASES__ADMIN_PASSWORD", postgres_server.url("").split(":")[2].split("@")[0])
    host = f"127.0.0.1:{postgres_server.port}"
    monkeypatch.setenv("FLIGHTLINE_PREDICTION_LOG__URL", f"postgresql://predictions@{host}/predictions")
    monkeypatch.setenv("PGSSLMODE", "disable")  # the test server has no certificate
    set_up(Settings())
    set_up(Settings())  # once after each apply
    return postgres_server.port


def test_a_model_goes_through_mlflow_to_the_bucket_and_back(place, databases, cloud, outputs, monkeypatch, tmp_path):
    given = container_of(cloud, "flightline-staging-mlflow", "mlflow")
    port = free_port()
    command = [str(part) for part in given["command"]]
    at = command.index("--backend-store-uri") + 1
    assert command[at].startswith("postgresql+psycopg://mlflow@")
    command[at] = f"postgresql+psycopg://mlflow@127.0.0.1:{databases}/mlflow"
    command[command.index("--host") + 1], command[command.index("--port") + 1] = "127.0.0.1", str(port)
    environment = {pair["name"]: pair["value"] for pair in given["environment"]} | {
        "PGSSLMODE": "disable",
        "HOME": str(tmp_path),
    }
    environment |= {pair["name"]: secret(cloud, pair["valueFrom"]) for pair in given["secrets"]}
    assert environment["AWS_REGION"] == REGION
    program = Path(sys.executable).with_name("mlflow")
    url = f"http://127.0.0.1:{port}"
    with running([program, *command[1:]], tmp_path / "mlflow.log", f"{url}/health", **environment):
        # The client needs no right on the bucket.
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("FLIGHTLINE_MLFLOW_TRACKING_URI", url)
        round_trip(Settings())
    monkeypatch.undo()
    held = cloud.client("s3").list_objects_v2(Bucket="flightline-staging-mlflow-123456789012")["Contents"]
    assert any(item["Key"].endswith("model.skops") for item in held)


def round_trip(settings: Settings) -> None:
    from flightline.adapters.mlflow import registry
    from flightline.adapters.model_store.signing_keys import make_key
    from flightline.core.settings import SigningSettings
    from pipelines.promotion_steps.champion import fetch_champion
    from tests.support.small_service import KINDS, fitted

    if not settings.signing.key:  # where Terraform names no key of KMS, the test brings a file
        make_key(settings.signing_dir / "key.pem")
        signing = SigningSettings(
            key=str(settings.signing_dir / "key.pem"), public_key=str(settings.signing_dir / "public.pem")
        )
        settings = settings.model_copy(update={"signing": signing})
    version = small_registry.register(settings, fitted(KINDS))
    small_registry.crown(settings, version)
    project = open_project(settings)
    found = registry.version_of(settings, project.problem.model_name, registry.CHAMPION)
    assert str(found.version) == version
    fetch_champion(project)
    assert list(settings.serving_models_dir.rglob("model.skops"))
