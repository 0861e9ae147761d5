"""A change in what a function reaches changes its closure; a change in anything else does not."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import invalidate_caches
from pathlib import Path

import pytest

from pipelines.common import source_closure
from pipelines.common.source_closure import closure, source_digest

MODULES = {
    "main": '''
"""A step."""
from typing import TYPE_CHECKING
import written.plain
import written.deep.inner
import written.aliased as other
from written import module_used, module_passed, package
from written.names import first as renamed, Holder
from . import relative
from .relative import from_relative
from written.star import *
import written.effects

if TYPE_CHECKING:
    from written.typed import Argument

try:
    from written.fast import engine
except ImportError:
    from written.slow import engine

LIMIT = 3
TABLE = {"a": lambda: in_table()}
TABLE["b"] = written.plain.added


def in_table():
    return "in the table"


def register(function):
    TABLE[function.__name__] = function
    return function


@register
def registered():
    return "registered"


def helper(value):
    """Help."""
    return value + LIMIT  # a comment


def step(argument: "Argument", names=renamed):
    """Run."""
    from written.lazy import late
    hidden = argument.method()
    relative.call(getattr(module_passed, hidden), TABLE)
    for unreached in range(3):
        helper(unreached)
    return [Holder.VALUE, other.call(), module_used.call(), package.handed_on(), late(), engine(), from_relative(),
            written.plain.call(), written.deep.inner.call(), starred()]


def unreached():
    return "unreached"


if __name__ == "__main__":
    unreached()
''',
    "plain": "def call():\n    return 'plain'\ndef added():\n    return 'added'\ndef other():\n    return 'no'\n",
    "deep/inner": "def call():\n    return 'deep'\n",
    "aliased": "def call():\n    return 'aliased'\ndef other():\n    return 'no'\n",
    "module_used": "def call():\n    return 'used'\ndef other():\n    return 'no'\n",
    "module_passed": "def some():\n    return 'passed'\n",
    "names": "def first():\n    return 'first'\nclass Holder:\n    VALUE = 'held'\nclass Other:\n    VALUE = 'no'\n",
    "relative": "def call(*args):\n    return 'relative'\ndef from_relative():\n    return 'from relative'\n",
    "star": "def starred():\n    return 'starred'\n",
    "effects": "import os\nos.environ['effect'] = 'set'\n",
    "typed": "class Argument:\n    def method(self):\n        return 'of an argument'\n",
    "fast": "def engine():\n    return 'fast'\n",
    "slow": "def engine():\n    return 'slow'\n",
    "lazy": "def late():\n    return 'late'\n",
    "package/__init__": "from .inside import handed_on, never_read\n",
    "package/inside": "def handed_on():\n    return 'handed on'\ndef never_read():\n    return 'no'\n",
    "no_import_leads_here": "VALUE = 'no'\n",
}


class Written:
    """A package of this project, to change and to look at again."""

    def __init__(self, folder: Path):
        self._folder = folder

    def closure(self, modules: Mapping[str, str]) -> dict[str, list[str]]:
        """Write the package anew, and give the closure of its step."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name, source in {"__init__": "", "deep/__init__": "", **modules}.items():
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{name}.py").write_text(source, encoding="utf-8")
        forget()
        return closure([("written.main", ("step",))])


def forget() -> None:
    """Let modules be read again."""
    invalidate_caches()
    source_closure._module.cache_clear()
    source_closure._top_level.cache_clear()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    monkeypatch.setattr(source_closure, "_ROOTS", (tmp_path,))
    monkeypatch.syspath_prepend(tmp_path)
    yield Written(tmp_path / "written")
    forget()


def changed(module: str, old: str, new: str) -> dict[str, str]:
    assert MODULES[module].count(old) == 1, f"{module} holds {old!r} {MODULES[module].count(old)} times"
    return {**MODULES, module: MODULES[module].replace(old, new)}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "value + LIMIT", "value - LIMIT"),
        ("main", "LIMIT = 3", "LIMIT = 4"),
        ("main", "names=renamed", "names=None"),
        ("main", '"in the table"', '"changed"'),
        ("main", 'return "registered"', 'return "changed"'),
        ("plain", "'plain'", "'changed'"),
        ("plain", "'added'", "'changed'"),
        ("deep/inner", "'deep'", "'changed'"),
        ("aliased", "'aliased'", "'changed'"),
        ("module_used", "'used'", "'changed'"),
        ("module_passed", "'passed'", "'changed'"),
        ("names", "'first'", "'changed'"),
        ("names", "'held'", "'changed'"),
        ("relative", "'relative'", "'changed'"),
        ("relative", "'from relative'", "'changed'"),
        ("star", "'starred'", "'changed'"),
        ("effects", "'set'", "'changed'"),
        ("typed", "'of an argument'", "'changed'"),
        ("fast", "'fast'", "'changed'"),
        ("slow", "'slow'", "'changed'"),
        ("lazy", "'late'", "'changed'"),
        ("package/inside", "'handed on'", "'changed'"),
    ],
)
def test_what_is_reached_counts(written: Written, module: str, old: str, new: str) -> None:
    assert written.closure(changed(module, old, new)) != written.closure(MODULES)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "# a comment", "# another"),
        ("main", '"""Help."""', '"""Help a lot."""'),
        ("main", '    """Help."""\n', ""),
        ("main", '"""A step."""', ""),
        ("main", "value + LIMIT", "(\n        value\n        + LIMIT\n    )"),
        ("main", 'return "unreached"', 'return "changed"'),
        ("main", "    unreached()\n", "    unreached()\n    print()\n"),
        ("plain", "'no'", "'changed'"),
        ("aliased", "'no'", "'changed'"),
        ("module_used", "'no'", "'changed'"),
        ("names", "'no'", "'changed'"),
        ("package/inside", "'no'", "'changed'"),
        ("no_import_leads_here", "'no'", "'changed'"),
    ],
)
def test_what_is_not_reached_does_not_count(written: Written, module: str, old: str, new: str) -> None:
    assert written.closure(changed(module, old, new)) == written.closure(MODULES)


def test_code_from_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected code below .*; got shutil"):
        source_digest(shutil.copy)


def test_a_function_in_a_function_stands_for_the_outer_one() -> None:
    def inner() -> None: ...

    assert source_digest(inner) == source_digest(test_a_function_in_a_function_stands_for_the_outer_one)


REAL = """
import sys
from pipelines.common.source_closure import closure, _place_of
from pipelines.steps import features, models
step = {"features": features.build_features, "join": features.join_training_set, "fit": models.fit_model}[sys.argv[1]]
from flightline.problem import features as tables, request_features
modules = {"features": [tables], "join": [request_features], "fit": []}[sys.argv[1]]
from flightline.core.lineage import digest_of
print(digest_of(closure([_place_of(step.function), *map(_place_of, modules)])))
"""


@pytest.fixture(scope="module")
def tree(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's own code, to change."""
    folder = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("src", "pipelines"):
        shutil.copytree(repository / name, folder / name, ignore=ignored)
    return folder


def digest_in(tree: Path, step: str) -> str:
    environment = {"PYTHONPATH": f"{tree / 'src'}:{tree}", "PATH": "", "FLIGHTLINE_ROOT": str(tree), "HOME": str(tree)}
    done = subprocess.run([sys.executable, "-c", REAL, step], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def before(tree: Path) -> dict[str, str]:
    return {step: digest_in(tree, step) for step in ("features", "join", "fit")}


# A file of the real tree, what is added to it, and the steps whose keys follow.
ADDED = [
    (
        "src/flightline/problem/features.py",
        "\nfrom flightline.problem import new_module\nN = new_module.N\n",
        "features",
    ),
    ("src/flightline/problem/request_features.py", "\nADDED = 1\n", "join"),
    ("src/flightline/training/zoo.py", "\nADDED = 1\n", ""),
    ("src/flightline/problem/features.py", "\n# a comment\n", ""),
    ("src/flightline/problem/api_schema.py", "\nADDED = 1\n", ""),
    ("pipelines/common/cached_step.py", "\nADDED = 1\n", ""),
    ("pipelines/common/source_closure.py", "\nADDED = 1\n", ""),
    ("pipelines/commands/ui_page.py", "\nADDED = 1\n", ""),
]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "text", "follows"), ADDED, ids=[f"{Path(f).name}-{s or 'none'}" for f, _, s in ADDED])
def test_keys_of_real_steps_follow_the_real_source(
    tree: Path, before: dict[str, str], file: str, text: str, follows: str
) -> None:
    whole, new = (tree / file).read_text(encoding="utf-8"), tree / "src/flightline/problem/new_module.py"
    new.write_text("N = 1\n", encoding="utf-8")
    (tree / file).write_text(whole + text, encoding="utf-8")
    try:
        after = {step: digest_in(tree, step) for step in before}
        assert {step for step in before if after[step] != before[step]} == set(filter(None, [follows]))
        if "new_module" in text:
            new.write_text("N = 2\n", encoding="utf-8")
            assert digest_in(tree, follows) != after[follows]
    finally:
        (tree / file).write_text(whole, encoding="utf-8")
        new.unlink()
