"""What the Makefile gives its commands: wherever the clone lies, whoever runs it, whatever else is in the shell."""

import os
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_hygiene import make_targets, tracked

ROOT = Path(__file__).parents[1]
SHOW = ".PHONY: show\nshow:\n\t@env -0 > shown\n"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files for make, in a folder whose name has a space and a letter beyond ASCII."""
    folder = tmp_path_factory.mktemp("Mün chen") / "two words"
    for file in tracked():
        if file.name in {"Makefile", "tools.env"} or file.suffix == ".mk" or file.parent.name == "locks":
            target = folder / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    (folder / "show.mk").write_text(f"include Makefile\n{SHOW}", encoding="utf-8")
    return folder


def makefiles() -> list[Path]:
    """The Makefile and its parts."""
    return [file for file in tracked() if file.name == "Makefile" or file.suffix == ".mk"]


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make with nothing of this process's environment but the path."""
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)


Exported = Callable[..., dict[str, str]]


@pytest.fixture
def exported(clone: Path) -> Exported:
    """Give what a recipe is given."""

    def show(*arguments: str, **variables: str) -> dict[str, str]:
        make(clone, "-f", "show.mk", "show", *arguments, **variables)
        entries = (clone / "shown").read_text(encoding="utf-8").split("\0")
        (clone / "shown").unlink()
        return dict(entry.split("=", 1) for entry in entries if entry)

    return show


def test_every_target_works_in_a_path_with_a_space(clone: Path) -> None:
    """No command line breaks the path: what names a part of it names the whole."""
    values = ["IMAGE=a", "FLOWS_IMAGE=b", "BASE=c", "MODEL_INSIDE=.state/serving", "SIMULATION=.state/s", "ENV=staging"]
    values += [f"{name}=d" for name in needed() - {"ENV", "VERSION"}] + ["VERSION=1"]
    python = clone / "bin" / "python 3"
    printed = make(clone, "--dry-run", "--silent", *make_targets(), *values, f"PYTHON={python}").stdout
    words = [word for line in printed.replace("\\\n", " ").splitlines() for word in shlex.split(line, comments=True)]
    assert [word for word in words if "Mün" in word and str(clone) not in word] == []
    assert any(str(python) in word for word in words)
    assert f"PREFECT_HOME={clone}/.state/simulations/prefect" in words


def needs() -> list[tuple[str, str]]:
    """Each target and what it cannot do without."""
    found = [re.findall(r"^NEEDS_(\S+) := (.+)$", file.read_text(), re.MULTILINE) for file in makefiles()]
    return [(target, need) for pairs in found for target, names in pairs for need in names.split()]


def needed() -> set[str]:
    """The variables that some target cannot do without."""
    return {name for _, need in needs() for name in need.split("|")}


def refusal(folder: Path, *arguments: str, **variables: str) -> str:
    """What make says as it refuses, without where in the Makefile."""
    with pytest.raises(subprocess.CalledProcessError) as err:
        make(folder, *arguments, **variables)
    assert err.value.stdout == ""
    (line,) = err.value.stderr.splitlines()
    return re.sub(r"^.*?: \*\*\* ", "", line)


@pytest.mark.parametrize(("target", "need"), needs())
def test_a_missing_variable_is_one_line_with_an_example(clone: Path, target: str, need: str) -> None:
    given = [f"{name}=1" for other, one in needs() if other == target and one != need for name in one.split("|")]
    given = [value.replace("ENV=1", "ENV=staging") for value in given]
    said = refusal(clone, target, *given)
    assert said.startswith(f"{target}: {need.replace('|', ' or ')} is missing: make {target} ")
    assert f"{need.split('|')[0]}=" in said.split("missing:")[1], "the example shows it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "SEED=one"], "train: got SEED=one, expected a number; such as: make train MODEL=all SEED=1."),
        (["deploy", "ENV=stage"], "deploy: got ENV=stage, expected one of: staging production; such as: make deploy"),
        (
            ["stack-down", "VOLUMES=keep"],
            "stack-down: got VOLUMES=keep, expected one of: remove; such as: make stack-d",
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_an_example(clone: Path, arguments: list[str], said: str) -> None:
    assert refusal(clone, *arguments).startswith(said)


def test_values_that_will_do_pass_and_those_of_the_shell_are_not_looked_at(clone: Path) -> None:
    values = ["SEED=3", "SHARE=.1", "MODE=split", "ENV=staging", "CONFIRM=staging"]
    make(clone, "--dry-run", "train", "canary-start", "destroy", *values, VERSION="1.0-rc", DAYS="Monday")


def test_the_name_that_windows_gives_its_shells_is_not_taken(exported: Exported) -> None:
    assert "NAME" not in exported(NAME="DESKTOP-1", WSL_DISTRO_NAME="Debian")
    assert exported(NAME="team")["NAME"] == "team"
    assert exported("NAME=team", WSL_DISTRO_NAME="Debian")["NAME"] == "team"


def test_make_alone_prints_ten_targets_and_help_all_every_one(clone: Path) -> None:
    few, every = (re.findall(r"^  make ([a-z-]+) +\S", make(clone, *goal).stdout, re.M) for goal in ([], ["help-all"]))
    assert {"train", "serve", "demo", "status"} <= set(few) < set(every)
    assert len(few) <= 10
    assert set(every) == set(make_targets())


def test_what_listens_on_this_machine_is_asked_directly(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ({}, {"no_proxy": "corp.example"}, {"NO_PROXY": "corp.example"}):
        shown = exported(http_proxy="http://proxy.example:3128", **given)
        assert shown["NO_PROXY"] == shown["no_proxy"]
        monkeypatch.setenv("no_proxy", shown["no_proxy"])
        asked_directly = [urllib.request.proxy_bypass(host) for host in ("127.0.0.1", "localhost", "example.org")]
        assert asked_directly == [True, True, False]
        assert bool(urllib.request.proxy_bypass("corp.example")) == bool(given)
        assert "" not in shown["no_proxy"].split(","), "httpx takes an empty name for every host"


def test_a_user_id_without_a_name_gets_one(exported: Exported, tmp_path: Path) -> None:
    """As in `docker run --user 54321`; getpass.getuser(), which DVC calls, ends in a KeyError there."""
    program = tmp_path / "id"
    program.write_text("#!/bin/sh\n[ $1 = -u ] && echo 54321\n", encoding="utf-8")
    program.chmod(0o755)
    assert exported(PATH=f"{tmp_path}:{os.environ['PATH']}")["LOGNAME"] == "54321"
    assert exported(USER="ada")["LOGNAME"] == "ada"


OF_ANOTHER = {
    "PREFECT_API_URL": "http://another.example/api",
    "PREFECT_API_KEY": "another",
    "PREFECT_PROFILE": "another",
    "MLFLOW_TRACKING_URI": "http://another.example",
    "MLFLOW_EXPERIMENT_NAME": "another",
    "FEAST_FS_YAML_FILE_PATH": "another.yaml",
    "DVC_ROOT": "another",
    "UVICORN_PORT": "1",
    "WEB_CONCURRENCY": "4",
    "PYTHONPATH": "another",
    "PYTHONHOME": "another",
}
OWN = {"FLIGHTLINE_MLFLOW_TRACKING_URI": "http://mlflow.example", "MLFLOW_TRACKING_TOKEN": "t", "AWS_PROFILE": "mine"}


def test_variables_of_another_project_are_not_taken(exported: Exported, clone: Path) -> None:
    shown = exported(**OF_ANOTHER, **OWN)
    assert OF_ANOTHER.keys() & shown.keys() == set()
    assert OWN.items() <= shown.items()
    said = make(clone, "--silent", "help", **OF_ANOTHER, **OWN).stderr
    assert said.startswith(f"make: not taken from the shell: {' '.join(sorted(OF_ANOTHER))} (docs/operations.md")
    assert make(clone, "--silent", "help", **OWN).stderr == ""


def test_what_make_or_a_deployment_is_given_is_taken(exported: Exported) -> None:
    url = OF_ANOTHER["PREFECT_API_URL"]
    assert exported(f"PREFECT_API_URL={url}")["PREFECT_API_URL"] == url
    assert OF_ANOTHER.items() <= exported(FLIGHTLINE_PROFILE="aws", **OF_ANOTHER).items()


def test_tests_take_every_core_whatever_one_process_may_take(clone: Path) -> None:
    """As in a copy's `make test`, which is run with one thread for each process, and took one core."""
    printed = {make(clone, "-n", "test", **more).stdout for more in ({}, {"OMP_NUM_THREADS": "97"})}
    assert len({re.search(r"pytest -n (\d+) ", text)[1] for text in printed}) == 1


def test_the_server_of_a_run_wants_a_new_string_each_time(exported: Exported) -> None:
    first, second = exported(), exported()
    assert first["PREFECT_SERVER_API_AUTH_STRING"] == first["PREFECT_API_AUTH_STRING"]
    assert re.fullmatch("make:[0-9a-f]{32}", first["PREFECT_API_AUTH_STRING"])
    assert first["PREFECT_API_AUTH_STRING"] != second["PREFECT_API_AUTH_STRING"]
    assert "PREFECT_API_AUTH_STRING" not in exported("PREFECT_API_URL=http://another.example/api")


def test_every_command_outlives_who_reads_it() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in [ROOT / "Makefile", *ROOT.glob("*/*.mk")])
    modules = set(re.findall(r"\$\(RUN\) -m ([\w.]+)", text)) - {"pytest", "serving"}
    assert len(modules) > 20
    for module in modules:
        path = ROOT / module.replace(".", "/")
        file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert re.search(r"^from .*\b(run_command|outlive_reader)$", file.read_text(), re.MULTILINE), file
