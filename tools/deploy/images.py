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
NOT_FOUND = 404
_NOT_LET_IN = (401, 403)


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


def is_held(image: Reference, session: Any) -> bool:
    """Ask the registry for an image: ECR by AWS's interface, any other by the protocol of registries."""
    ecr = _ECR.fullmatch(image.host)
    if ecr is None:
        return _is_held_by_registry(image)
    client = session.client("ecr", region_name=ecr["region"])
    try:
        client.describe_images(
            registryId=ecr["account"], repositoryName=image.repository, imageIds=[{"imageDigest": image.digest}]
        )
    except ClientError as err:
        if err.response["Error"]["Code"] in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return False
        raise
    return True


def digest_of_tag(repository: str, tag: str, session: Any) -> str | None:
    """Ask a registry which digest a tag names.

    Parameters
    ----------
    repository
        As host/name.

    Returns
    -------
    str or None
        None if it holds no such tag, or lets nobody look without a login.
    """
    host, _, name = repository.partition("/")
    ecr = _ECR.fullmatch(host)
    if ecr is None:
        try:
            with urllib.request.urlopen(_manifest(host, name, tag), timeout=30) as answer:  # noqa: S310  # of two schemes
                return str(answer.headers["Docker-Content-Digest"])
        except urllib.error.HTTPError as err:
            if err.code in (NOT_FOUND, *_NOT_LET_IN):
                return None
            raise
    client = session.client("ecr", region_name=ecr["region"])
    try:
        found = client.describe_images(registryId=ecr["account"], repositoryName=name, imageIds=[{"imageTag": tag}])
    except ClientError as err:
        if err.response["Error"]["Code"] == "ImageNotFoundException":
            return None
        raise
    return str(found["imageDetails"][0]["imageDigest"])


def _manifest(host: str, repository: str, reference: str) -> urllib.request.Request:
    # Registries on loopback have no TLS, for Docker too.
    scheme = "http" if host.split(":")[0] in _LOOPBACK else "https"
    url = f"{scheme}://{host}/v2/{repository}/manifests/{reference}"
    return urllib.request.Request(url, headers={"Accept": _MANIFESTS}, method="HEAD")  # noqa: S310  # of two schemes


def _is_held_by_registry(image: Reference) -> bool:
    request = _manifest(image.host, image.repository, image.digest)
    try:
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310  # the scheme is one of two
            return True
    except urllib.error.HTTPError as err:
        if err.code == NOT_FOUND:
            return False
        raise DeployError(f"{image.host} answered {err.code} when asked for {image.short}") from err


def demand(image: Reference, session: Any) -> None:
    """Demand that the registry holds an image.

    Raises
    ------
    DeployError
        If it does not.
    """
    if not is_held(image, session):
        raise DeployError(f"{image.host} holds no {image.repository}@{image.digest}")
