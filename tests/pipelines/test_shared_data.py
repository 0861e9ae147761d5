"""A version made in one clone reaches another and CI, over git and a shared remote of each kind, on real servers."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.clones import PROJECT, contents
from tests.support.servers.s3_server import BUCKET, run_s3
from tests.support.servers.ssh_server import run_ssh
from tests.toy_problem import sale, write_raw

pytestmark = pytest.mark.system
NEW = "sales/2020-08.csv"


@dataclass(frozen=True)
class Shared:
    """A place for a shared remote.

    Parameters
    ----------
    arguments
        Of `python -m pipelines.commands.data`.
    access
        Environment of those who may use it.
    no_access
        What goes over that, for somebody who may not.
    says
        What they then read.
    """

    arguments: list[str]
    access: dict[str, str]
    no_access: dict[str, str]
    says: str
    away: Path | None = None


@pytest.fixture(params=["folder", "s3", "ssh"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shared]:
    """A folder that is not mounted everywhere; a bucket that wants a key; a host that wants one."""
    if request.param == "folder":
        folder = tmp_path / "mnt" / "share"
        folder.parent.mkdir()
        yield Shared(["--remote", str(folder)], {}, {}, "There is no folder", folder)
    elif request.param == "s3":
        with run_s3(tmp_path / "s3") as server:
            at = ["--remote", f"s3://{BUCKET}/data", "--endpoint", server.endpoint]
            nobody = dict.fromkeys(server.credentials, "") | {"AWS_EC2_METADATA_DISABLED": "true"}
            yield Shared(at, server.credentials, nobody, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE")
    else:
        (tmp_path / "ssh").mkdir()
        with run_ssh(tmp_path / "ssh") as ssh:
            at = ["--remote", f"{ssh.url}{tmp_path}/ssh/store"]
            yield Shared(at, {"HOME": str(ssh.home)}, {"HOME": str(ssh.home_without_key)}, "Keys are looked for")


@dataclass
class Clone:
    """A git clone in which commands are run; each gets an environment that holds nothing of the developer's."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, module: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        none = str(self.root.parent / "none")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}",
            "FLIGHTLINE_ROOT": str(self.root),
            "FLIGHTLINE_PROBLEM_PACKAGE": "tests.toy_problem",
            "PREFECT_HOME": str(self.root / ".state" / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "NO_PROXY": "127.0.0.1",
            "HOME": none,
            "DVC_GLOBAL_CONFIG_DIR": none,
            "DVC_SYSTEM_CONFIG_DIR": none,
        }
        (self.root / ".state" / "prefect").mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=environment | self.environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,  # nobody is there to ask for a password
        )

    def data(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run("pipelines.commands.data", *arguments, **more)

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def obey(self, said: str, message: str) -> None:
        """Do what a command said to commit, and push it."""
        (command,) = [line for line in said.splitlines() if "git add" in line]
        assert command.endswith(f"&& git commit --message '{message}' && git push")
        self.git("add", *command.partition("git add ")[2].partition(" &&")[0].split())
        self.git("commit", "--message", message)
        self.git("push", "origin", "HEAD:main")


@pytest.fixture
def author(tmp_path: Path) -> Clone:
    """A clone with the first version, which is the seed, pushed to `origin.git`."""
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", tmp_path / "origin.git"], check=True)
    clone = Clone(tmp_path / "author")
    (clone.root / ".dvc").mkdir(parents=True)
    config = subprocess.run(["git", "show", "HEAD:.dvc/config"], cwd=PROJECT, capture_output=True, text=True)
    (clone.root / ".dvc" / "config").write_text(config.stdout or (PROJECT / ".dvc" / "config").read_text())
    (clone.root / ".gitignore").write_text(
        "/data/\n/.dvcstore/\n/.state/\n/.dvc/cache/\n/.dvc/tmp/\n/.dvc/config.local\n"
    )
    shutil.copy(PROJECT / ".dvcignore", clone.root)
    clone.git("init", "--quiet", "-b", "main")
    clone.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    assert clone.data("--first-version").returncode == 0
    clone.git("add", ".dvc/config", ".dvcignore", ".gitignore", "data.dvc")
    clone.git("commit", "--message", "First version")
    clone.git("push", "origin", "HEAD:main")
    return clone


def cloned(tmp_path: Path, name: str, **environment: str) -> Clone:
    subprocess.run(["git", "clone", "--quiet", tmp_path / "origin.git", tmp_path / name], check=True)
    return Clone(tmp_path / name, environment)


def ingest(clone: Clone, incoming: Path, shops: int) -> str:
    """Ingest a new month with a sale in each of so many shops; give what was said."""
    rows = [sale(f"2020-08-{day:02d}T06:00:00Z", shop=f"S{day:02d}") for day in range(1, shops + 1)]
    (incoming / "sales").mkdir(parents=True)
    (incoming / "all").mkdir()
    write_raw(incoming / "all", {"sales": rows})
    shutil.copy(incoming / "all" / NEW, incoming / NEW)
    shutil.rmtree(incoming / "all")
    ended = clone.run("pipelines.ingest", "--folder", str(incoming))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_version_that_only_its_clone_has(tmp_path: Path, author: Clone) -> None:
    said = ingest(author, tmp_path / "incoming", shops=2)
    assert "Only this clone has it" in said
    assert "make data-remote URL=..." in said
    version = said.partition("New version ")[2].split()[0]
    author.obey(said, f"Data version {version[:8]}")
    clone = cloned(tmp_path, "ci", CI="true")
    ended = clone.data()
    assert ended.returncode == 1
    for words in (version, f"'local' ({clone.root}/.dvcstore)", "a version made in another clone", "make data-remote"):
        assert words in ended.stderr
    assert not (clone.root / "data").exists()


def test_a_version_reaches_every_clone_and_ci(tmp_path: Path, author: Clone, shared: Shared) -> None:
    author.environment = shared.access
    ended = author.data(*shared.arguments)
    assert ended.returncode == 0, ended.stderr
    author.obey(ended.stdout, "Shared data remote")
    other = cloned(tmp_path, "other", **shared.access)

    said = ingest(author, tmp_path / "incoming", shops=3)
    assert f"Others get it from the remote 'shared' ({shared.arguments[1]})" in said
    version = said.partition("New version ")[2].split()[0]
    author.obey(said, f"Data version {version[:8]}")
    other.git("pull", "origin", "main")
    for clone in (other, cloned(tmp_path, "ci_with_access", CI="true", **shared.access)):
        ended = clone.data()
        assert ended.returncode == 0, ended.stderr
        assert contents(clone.root / "data") == contents(author.root / "data")

    ended = without_access(cloned(tmp_path, "ci_without_access", CI="true"), shared)
    assert ended.returncode == 1
    for words in (version, shared.arguments[1], shared.says):
        assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def without_access(clone: Clone, shared: Shared) -> subprocess.CompletedProcess[str]:
    if shared.away is not None:
        shared.away.rename(shared.away.with_name("not mounted"))
    return clone.data(**shared.access | shared.no_access)


def test_s3_that_refuses_leaves_the_configuration(tmp_path: Path, author: Clone) -> None:
    before = (author.root / ".dvc" / "config").read_bytes()
    with run_s3(tmp_path / "s3") as server:
        cases = [
            ("s3://nobodys/data", {}, "bucket does not exist"),
            (f"s3://{BUCKET}/data", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "signature"),
            (f"s3://{BUCKET}/data", {"AWS_ACCESS_KEY_ID": "nobody"}, "Access Key Id you provided does not exist"),
        ]
        for url, wrong, says in cases:
            ended = author.data("--remote", url, "--endpoint", server.endpoint, **server.credentials | wrong)
            assert ended.returncode == 1
            for words in (says, url, "AWS_PROFILE"):
                assert words in ended.stderr
            assert server.credentials["AWS_SECRET_ACCESS_KEY"] not in ended.stderr
            assert (author.root / ".dvc" / "config").read_bytes() == before
