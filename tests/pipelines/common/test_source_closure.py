"""A change in what a function reaches changes its closure; a change in anything else does not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import invalidate_caches
from pathlib import Path

import pytest

from pipelines.common import source_closure
from pipelines.common.source_closure import closure

pytestmark = pytest.mark.slow

MODULES = {
    "__init__": "",
    "main": '''
"""A step."""
from typing import TYPE_CHECKING
import written.plain
from . import relative
from written.package import handed_on

if TYPE_CHECKING:
    from written.typed import Argument

try:
    from written.fast import engine
except ImportError:
    from written.slow import engine


def helper(value):
    """Help."""
    return value + 1  # a comment


def step(argument):
    """Run."""
    from written.lazy import late
    return helper(written.plain.call()), relative.call(), late(), handed_on(), engine
''',
    "plain": "from written.deep.inner import call\n",
    "deep/__init__": "",
    "deep/inner": "def call():\n    return 'deep'\n",
    "relative": "def call():\n    return 'relative'\n",
    "typed": "class Argument:\n    kind = 'typed'\n",
    "fast": "engine = 'fast'\n",
    "slow": "engine = 'slow'\n",
    "lazy": "def late():\n    return 'late'\n",
    "package/__init__": "from written.package.inside import handed_on\n",
    "package/inside": "def handed_on():\n    return 'handed on'\n",
    "no_import_leads_here": "VALUE = 'no'\n",
}


@pytest.fixture
def closure_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mapping[str, str]], object]]:
    """Writes a package anew, and gives the closure of its step."""
    monkeypatch.syspath_prepend(tmp_path)

    def forget() -> None:
        invalidate_caches()
        source_closure._graph.cache_clear()
        source_closure._source.cache_clear()
        for name in [name for name in sys.modules if name.split(".")[0] == "written"]:
            del sys.modules[name]

    def write(modules: Mapping[str, str]) -> object:
        shutil.rmtree(tmp_path / "written", ignore_errors=True)
        for name, source in modules.items():
            (tmp_path / "written" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "written" / f"{name}.py").write_text(source, encoding="utf-8")
        forget()
        return closure(["written.main"])

    yield write
    forget()


def changed(module: str, old: str, new: str) -> dict[str, str]:
    assert MODULES[module].count(old) == 1, f"{module} holds {old!r} {MODULES[module].count(old)} times"
    return {**MODULES, module: MODULES[module].replace(old, new)}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "value + 1", "value - 1"),
        ("deep/inner", "'deep'", "'changed'"),
        ("relative", "'relative'", "'changed'"),
        ("typed", "'typed'", "'changed'"),
        ("fast", "'fast'", "'changed'"),
        ("slow", "'slow'", "'changed'"),
        ("lazy", "'late'", "'changed'"),
        ("package/inside", "'handed on'", "'changed'"),
    ],
)
def test_what_is_reached_counts(closure_of: Callable[[Mapping[str, str]], object], module, old, new) -> None:
    assert closure_of(changed(module, old, new)) != closure_of(MODULES)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "# a comment", "# another"),
        ("main", '"""Help."""', '"""Help a lot."""'),
        ("main", '    """Help."""\n', ""),
        ("main", '"""A step."""', ""),
        ("main", "value + 1", "(\n        value\n        + 1\n    )"),
        ("no_import_leads_here", "'no'", "'changed'"),
    ],
)
def test_what_is_not_reached_does_not_count(
    closure_of: Callable[[Mapping[str, str]], object], module, old, new
) -> None:
    assert closure_of(changed(module, old, new)) == closure_of(MODULES)


STEPS = {
    "features": ["pipelines.steps.features", "flightline.problem.features"],
    "join": ["pipelines.steps.features", "flightline.problem.request_features"],
    "fit": ["pipelines.steps.models"],
}
SHOW = f"""
import json
from flightline.core.lineage import digest_of
from pipelines.common.source_closure import closure
print(json.dumps({{name: digest_of(closure(modules)) for name, modules in {STEPS}.items()}}))
"""


@pytest.fixture(scope="module")
def tree(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's own code, to change."""
    folder = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("src", "pipelines"):
        shutil.copytree(repository / name, folder / name, ignore=ignored)
    return folder


def digests_in(tree: Path) -> dict[str, str]:
    environment = {"PYTHONPATH": f"{tree / 'src'}:{tree}", "PATH": "", "HOME": str(tree)}
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(tree: Path) -> dict[str, str]:
    return digests_in(tree)


# A file of the real tree, what is added to it, and the steps whose keys follow.
ADDED = [
    (
        "src/flightline/problem/features.py",
        "\nfrom flightline.problem import new_module\nN = new_module.N\n",
        "features",
    ),
    ("src/flightline/problem/request_features.py", "\nADDED = 1\n", "join"),
    ("src/flightline/training/zoo/lightgbm.py", "\nADDED = 1\n", "fit"),  # found by being in its folder
    ("src/flightline/problem/features.py", "\n# a comment\n", ""),
    ("src/flightline/problem/api_schema.py", "\nADDED = 1\n", ""),
    ("pipelines/common/cached_step.py", "\nADDED = 1\n", ""),
    ("pipelines/common/source_closure.py", "\nADDED = 1\n", ""),
    ("pipelines/pages/ui_page.py", "\nADDED = 1\n", ""),
]


@pytest.mark.parametrize(("file", "text", "follows"), ADDED, ids=[f"{Path(f).name}-{s or 'none'}" for f, _, s in ADDED])
def test_keys_of_real_steps_follow_the_real_source(
    tree: Path, before: dict[str, str], file: str, text: str, follows: str
) -> None:
    whole, new = (tree / file).read_text(encoding="utf-8"), tree / "src/flightline/problem/new_module.py"
    new.write_text("N = 1\n", encoding="utf-8")
    (tree / file).write_text(whole + text, encoding="utf-8")
    try:
        after = digests_in(tree)
        followed = {step for step in before if after[step] != before[step]}
        # Whether a problem's tables are made with what its requests need, too, is for its features.py to say.
        assert followed - ({"features"} if file.endswith("/request_features.py") else set()) == set(follows.split())
        if "new_module" in text:
            new.write_text("N = 2\n", encoding="utf-8")
            assert digests_in(tree)[follows] != after[follows]
    finally:
        (tree / file).write_text(whole, encoding="utf-8")
        new.unlink()
