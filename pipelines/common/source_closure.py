"""What a function's result may follow from: the source of every module of the project that it reaches by import.

Read from the syntax trees, so comments, docstrings and layout change nothing. Other packages are not looked into: the
lock file speaks for them. A package that looks for its own modules (`iter_modules`) reaches them all; any other module
that is imported by a name made at run time (`import_module`) is not seen.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import grimp

from flightline.core.lineage import digest_of

# Where the project runs, what a person sees meanwhile, and how results are kept decide no result.
DECIDES_NOTHING = frozenset(
    {
        "flightline.core.engine_settings",
        "flightline.core.environment",
        "flightline.core.settings",
        "pipelines.common.cached_step",
        "pipelines.common.progress",
        "pipelines.common.source_closure",
        "pipelines.common.step",
    }
)
OURS = ("flightline", "pipelines")


def source_digest(*parts: Callable[..., Any] | ModuleType) -> str:
    """Hash the source of the modules that functions or modules reach (sha256, hex)."""
    return digest_of(closure(map(_module_of, parts)))


def closure(modules: Iterable[str]) -> dict[str, str]:
    """Collect the source that modules reach by import inside the project, their own included.

    Returns
    -------
    dict
        By module, its syntax tree as text, without docstrings.
    """
    starts = {*modules}
    graph = _graph(tuple(sorted({*OURS, *(start.split(".")[0] for start in starts)})))
    reached, new = set[str](), starts
    while new:
        reached |= new
        found = set[str]().union(*(graph.find_upstream_modules(module) for module in new))
        looked_for = (graph.find_descendants(module) for module in new | found if _looks_for_modules(module))
        new = found.union(*looked_for) - reached
    return {module: _source(module) for module in sorted(reached - DECIDES_NOTHING)}


def _looks_for_modules(package: str) -> bool:
    return "attr='iter_modules'" in _source(package)


def _module_of(part: Callable[..., Any] | ModuleType) -> str:
    module = part.__name__ if isinstance(part, ModuleType) else inspect.unwrap(part).__module__
    if module == "__main__" and (spec := sys.modules[module].__spec__):
        module = spec.name  # `python -m` makes the same key as an import
    return module


@cache
def _graph(packages: tuple[str, ...]) -> grimp.ImportGraph:
    return grimp.build_graph(*packages, cache_dir=None)


@cache
def _source(module: str) -> str:
    spec = find_spec(module)
    file = spec.origin if spec and spec.has_location else None
    tree = ast.parse(Path(file).read_bytes() if file else "")  # none: a folder without __init__.py
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            del node.body[0]
    return ast.dump(tree)
