"""PostgreSQL and Redis where tasks look for RDS and ElastiCache: their ports, TLS, users and tokens."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import certifi
import psycopg

from template.tests.infra.emulated.cloud import demand
from tests.support.servers.postgres import PASSWORD, PostgresServer, find_postgres
from tests.support.waiting import wait_until

DAYS = "3"


def make_authority(folder: Path) -> Path:
    """Make a certificate authority for this run; give its certificate."""
    key, certificate = folder / "authority.key", folder / "authority.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    _run([*command, "-days", DAYS, "-subj", "/CN=stand-in", *extensions])
    certificate.chmod(0o644)
    return certificate


def trust_beside(authority: Path) -> Path:
    """Put an authority behind those that this machine trusts anyway; give the file of all."""
    known = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or certifi.where()
    trusted = authority.with_name("trusted.pem")
    trusted.write_text(f"{Path(known).read_text()}\n{authority.read_text()}")
    return trusted


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Let the authority of a folder sign a certificate for a host; give it and its key."""
    key, request, certificate = folder / f"{host}.key", folder / f"{host}.csr", folder / f"{host}.pem"
    names = folder / f"{host}.ext"
    names.write_text(f"subjectAltName=DNS:{host}\n")
    _run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=stand-in"])
    signed = ["openssl", "x509", "-req", "-in", request, "-CA", folder / "authority.pem", "-CAkey"]
    _run([*signed, folder / "authority.key", "-CAcreateserial", "-days", DAYS, "-extfile", names, "-out", certificate])
    return certificate, key


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Rds(PostgresServer):
    """A cluster on PostgreSQL's own port of one address, which asks for a password and speaks TLS."""

    def __init__(self, folder: Path, host: str, certificate: tuple[Path, Path]) -> None:
        super().__init__(find_postgres(), folder, "off")
        self.host, self.port, self.certificate = host, 5432, certificate

    def start(self) -> None:
        for name, file in zip(("server.crt", "server.key"), self.certificate, strict=True):
            shutil.copy(file, self.folder / name)
            shutil.chown(self.folder / name, "postgres", "postgres")
            (self.folder / name).chmod(0o600)
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("hostssl all all all scram-sha-256\n")
        options = {
            "port": self.port, "listen_addresses": self.host, "unix_socket_directories": "", "fsync": self.fsync,
            "ssl": "on", "ssl_cert_file": self.folder / "server.crt", "ssl_key_file": self.folder / "server.key",
            "max_connections": 200,
        }  # fmt: skip
        command = [self.binaries / "postgres", "-D", self.folder / "data"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self._as)
        wait_until(self._answers, said=(self.folder / "log").read_text)

    def _answers(self) -> bool:
        assert self._process.poll() is None, f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}"
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=60).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgresql://tester:{PASSWORD}@{self.host}:{self.port}/{database}"

    def add_administrator(self, name: str, password: str, database: str) -> None:
        """Make the administrator as RDS does: no superuser, but he makes users and databases."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'")
            connection.execute(f"CREATE DATABASE {database} OWNER {name}" if database != "postgres" else "SELECT 1")


@contextmanager
def running_rds(host: str, certificate: tuple[Path, Path]) -> Iterator[Rds]:
    """Run a cluster until the block ends."""
    demand(find_postgres(), "PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="rds-of-tests-"))
    server = Rds(folder, host, certificate)
    try:
        server.init()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_cache(folder: Path, host: str, token: str, certificate: tuple[Path, Path]) -> Iterator[None]:
    """Run Redis on its own port of one address, with TLS only and a token, until the block ends."""
    demand(shutil.which("redis-server"), "Redis is not installed (Debian: apt-get install redis-server)")
    options = {
        "port": "0", "tls-port": "6379", "bind": host, "requirepass": token, "save": "", "dir": str(folder),
        "tls-cert-file": str(certificate[0]), "tls-key-file": str(certificate[1]),
        "tls-ca-cert-file": str(folder / "authority.pem"), "tls-auth-clients": "no", "protected-mode": "no",
    }  # fmt: skip
    command = ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", value))]
    with (folder / "redis.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def password_of(environment: str, name: str) -> dict[str, str]:
    """Read user and password of a secret of an environment."""
    text = boto3.client("secretsmanager").get_secret_value(SecretId=f"{environment}/{name}")["SecretString"]
    return json.loads(text)
