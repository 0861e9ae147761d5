"""Images by digest: whether a registry holds them, and which one a tag names."""

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tools.deploy.steps import DeployError

_REFERENCE = re.compile(r"(?P<host>[^/@]+)/(?P<repository>[^@:]+)@(?P<digest>sha256:[0-9a-f]{64})")
_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
_LOOPBACK = ("127.0.0.1", "localhost")
_MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)
_NOT_TO_BE_HAD = (401, 403, 404)


@dataclass(frozen=True)
class Reference:
    """An image: where it is and which bytes it is."""

    host: str
    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}@{self.digest}"

    @property
    def short(self) -> str:
        """Enough of it for a line on the screen."""
        return f"{self.repository.rsplit('/', 1)[-1]}@{self.digest[:19]}"


def parse(text: str) -> Reference:
    """Read host/repository@sha256:digest.

    Raises
    ------
    DeployError
        If it is anything else, such as a tag.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise DeployError(
            f"got the image {text!r}, expected host/repository@sha256:<64 hex digits>: a tag may mean another image "
            "tomorrow; `make image-push` prints the digests"
        )
    return Reference(**found.groupdict())


def find_digest(repository: str, reference: str, session: Any) -> str | None:
    """Ask a registry for an image: ECR by AWS's interface, any other by the protocol of registries.

    Parameters
    ----------
    repository
        As host/name.
    reference
        A tag, or a digest.

    Returns
    -------
    str or None
        Its digest; None if the registry holds none, or lets nobody look without a login.

    Raises
    ------
    DeployError
        If the registry answers with another error, or has no such repository.
    """
    host, _, name = repository.partition("/")
    ecr = _ECR.fullmatch(host)
    if ecr is None:
        # Registries on loopback have no TLS, for Docker too.
        scheme = "http" if host.split(":")[0] in _LOOPBACK else "https"
        url = f"{scheme}://{host}/v2/{name}/manifests/{reference}"
        request = urllib.request.Request(url, headers={"Accept": _MANIFESTS}, method="HEAD")  # noqa: S310  # of two schemes
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
                return str(answer.headers["Docker-Content-Digest"])
        except urllib.error.HTTPError as err:
            if err.code in _NOT_TO_BE_HAD:
                return None
            raise DeployError(f"{host} answered {err.code} when asked for {name} at {reference}") from err
    wanted = {"imageDigest" if reference.startswith("sha256:") else "imageTag": reference}
    try:
        found = session.client("ecr", region_name=ecr["region"]).describe_images(
            registryId=ecr["account"], repositoryName=name, imageIds=[wanted]
        )
    except ClientError as err:
        code = err.response["Error"]["Code"]
        if code == "RepositoryNotFoundException":
            raise DeployError(f"{host} has no repository {name}: `make infra-account` makes it") from err
        if code == "ImageNotFoundException":
            return None
        raise
    return str(found["imageDetails"][0]["imageDigest"])


def demand(image: Reference, session: Any) -> None:
    """Demand that the registry holds an image.

    Raises
    ------
    DeployError
        If it does not.
    """
    if find_digest(f"{image.host}/{image.repository}", image.digest, session) is None:
        raise DeployError(
            f"{image.host} holds no {image.repository}@{image.digest}, or lets nobody look without a login"
        )
