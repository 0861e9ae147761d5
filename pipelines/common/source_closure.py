"""What a function's result may follow from: the source of everything it reaches by import inside the project.

Read from the syntax trees, name by name: a function leads to the functions, classes and constants that it
names, those to others, across modules. Comments, docstrings and layout change nothing, and neither does a
function in the same file that is not reached. Other packages are not looked into: the lock file speaks for them.
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

from flightline.core.lineage import digest_of

ALL = "*"  # in place of a name: everything that a module defines
# Where the project runs, what a person sees meanwhile, and how results are kept decide no result.
DECIDES_NOTHING = frozenset({"flightline.core.settings", "pipelines.common.cached_step", "pipelines.common.progress"})
_ROOTS = tuple(Path(str(find_spec(name).submodule_search_locations[0])).parent for name in ("flightline", "pipelines"))  # type: ignore[union-attr,index]


class _Module:
    """A module's top level: what each name is bound to, and the statements that bind nothing."""

    def __init__(self, name: str, file: Path):
        self.name = name
        self.bindings: dict[str, ast.stmt] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        self.others: list[ast.stmt] = []
        for statement in _without_docstrings(ast.parse(file.read_text(encoding="utf-8"))).body:
            self._read(statement)

    def _read(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports |= _imported(statement)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.bindings[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                self.bindings |= {node.id: statement for node in ast.walk(target) if isinstance(node, ast.Name)}
        else:
            self.others.append(statement)

    def statements(self, name: str) -> list[ast.stmt]:
        """Give what a name stands for; what binds no name runs whenever the module is imported."""
        bound = list(self.bindings.values()) if name == ALL else [self.bindings[name]] if name in self.bindings else []
        return [*bound, *self.others]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0].value.value = ""
    return tree


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, tuple[str, str]]:
    """By local name: a module and a name in it, or `ALL` where the module itself is bound."""
    if isinstance(statement, ast.Import):
        return {alias.asname or alias.name: (alias.name, ALL) for alias in statement.names}
    return {alias.asname or alias.name: (statement.module or "", alias.name) for alias in statement.names}


@cache
def _is_ours(package: str) -> bool:
    """Say whether a top-level package lies in this project; to ask for a part of any other would import it."""
    spec = find_spec(package) if package not in sys.stdlib_module_names else None
    places = [*(spec.submodule_search_locations or []), spec.origin] if spec else []
    return any(
        "site-packages" not in Path(place).parts and any(Path(place).is_relative_to(root) for root in _ROOTS)
        for place in places
        if place
    )


@cache
def _module(name: str) -> _Module | None:
    """Read a module of this project; None for any other."""
    if not name or not _is_ours(name.split(".")[0]):
        return None
    try:
        spec = find_spec(name)
    except ImportError:  # a name in a module, not a module
        return None
    return _Module(name, Path(spec.origin)) if spec and spec.origin else None


def _reached(module: _Module, statement: ast.stmt) -> Iterable[tuple[str, str]]:
    """Give the names of modules that a statement names, as (module, name)."""
    local: dict[str, tuple[str, str]] = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            local |= _imported(node)
    imports = module.imports | local
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imports:
            source, name = imports[node.value.id]
            submodule = source if name == ALL else f"{source}.{name}"
            yield (submodule, node.attr) if _module(submodule) else (source, name)
        elif isinstance(node, ast.Name) and node.id in imports:
            source, name = imports[node.id]
            # A module that is only passed on is taken whole; one that an attribute is asked of was met above.
            if _module(f"{source}.{name}") is None:
                yield source, name
        elif isinstance(node, ast.Name) and node.id in module.bindings:
            yield module.name, node.id


def closure(starts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Collect the source that names lead to, inside the project.

    Parameters
    ----------
    starts
        Modules and names in them; `ALL` for everything in a module.

    Returns
    -------
    dict
        By ``module:name``, the syntax tree as text.
    """
    found: dict[str, str] = {}
    waiting, seen = list(starts), set()
    while waiting:
        name = waiting.pop()
        module = _module(name[0])
        if name in seen or module is None or name[0] in DECIDES_NOTHING:
            continue
        seen.add(name)
        if name[1] in module.imports and name[1] not in module.bindings:
            waiting.append(module.imports[name[1]])  # a name that a module hands on
        for statement in module.statements(name[1]):
            found.setdefault(f"{name[0]}:{name[1]}", "")
            found[f"{name[0]}:{name[1]}"] += ast.dump(statement)
            waiting += _reached(module, statement)
    return found


def source_digest(*parts: Callable[..., Any] | ModuleType) -> str:
    """Hash the source of functions, or of whole modules, with all that it reaches (sha256, hex)."""
    starts = [
        (part.__name__, ALL) if isinstance(part, ModuleType) else (part.__module__, inspect.unwrap(part).__qualname__)
        for part in parts
    ]
    return digest_of(closure(starts))
