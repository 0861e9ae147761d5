"""The model sync in the flows' image, beside the service, on one volume and a real MLflow server."""

import pytest

from flightline.adapters.model_store.signing_keys import open_signer, public_text
from flightline.core.settings import Settings
from tests.images.containers import HARDENED, KEYS, STATE, container, network, volume
from tests.support.models.small_registry import crown, register
from tests.support.small_service import INSTANCE, PREDICT, STATUS, fitted
from tests.support.small_store import definitions_digest
from tests.support.waiting import wait_until

MLFLOW = (
    "mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", "--allowed-hosts", "*",
    "--backend-store-uri", "sqlite:////tmp/mlflow.db", "--artifacts-destination", "/tmp/artifacts",
)  # fmt: skip
# It writes its database to /tmp, and needs more than the service.
ROOMY = tuple("2g" if option == "1g" else option for option in HARDENED)


@pytest.fixture
def registry(docker, flows_image):
    """Give a network with an MLflow server in it, and settings by which this process reaches the server too."""
    with (
        network(docker) as name,
        container(
            docker, flows_image, "--network", name, "--network-alias", "mlflow",
            command=MLFLOW, hardening=ROOMY, inner_port=5000,
        ) as server,
    ):  # fmt: skip
        wait_until(lambda: server.service.ask("/health").status == 200, said=server.logs)
        yield name, server


@pytest.fixture
def registered(registry, stored_root, tmp_path):
    _, server = registry
    settings = Settings(root=tmp_path, mlflow_tracking_uri=f"http://127.0.0.1:{server.service.port}")
    views = definitions_digest(Settings(root=stored_root))
    version = register(settings, fitted(), feature_views_sha256=views)
    crown(settings, version)
    # One line, as an environment file has it; whom to believe does not come by the volume.
    text = public_text(open_signer(settings)).replace("\n", "\\n")
    return version, ("--env", f"FLIGHTLINE_SIGNING__PUBLIC_KEY={text}")


def test_the_champion_stays_on_the_volume_without_the_registry(
    docker, service_image, flows_image, registry, registered, stored_root
):
    name, server = registry
    version, believed = registered
    # No model on the volume: whatever is served came by the model sync.
    with volume(docker, service_image, stored_root, "clock.json", "feast") as made:
        shared = ("--volume", f"{made}:{STATE}", *believed)
        sync = ("--network", name, "--env", "FLIGHTLINE_MLFLOW_TRACKING_URI=http://mlflow:5000")
        with container(docker, service_image, *shared, *KEYS) as service:
            with container(docker, flows_image, *shared, *sync) as beside:
                service.wait_until_ready()
                assert service.service.ask(STATUS).json()["version"] == version, beside.logs()
                docker.run("stop", beside.name)
                assert beside.inspect("{{.State.ExitCode}}") == "0"
            docker.run("stop", server.name)
            docker.run("restart", service.name)
            service.wait_until_ready()
            assert service.service.ask(STATUS).json()["version"] == version
            assert service.service.ask(PREDICT, {"instances": [INSTANCE]}).status == 200
