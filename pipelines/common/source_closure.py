"""What a function's result may follow from: the source of everything it reaches by import inside the project.

Read from the syntax trees, name by name: a function leads to the functions, classes and constants that it
names, annotations included, those to others, across modules. Comments, docstrings and layout change nothing, and
neither does a function in the same file that is not reached. Other packages are not looked into: the lock file
speaks for them. What no name leads to is not seen: `getattr` by a name made at run time, `import_module`.
"""

import ast
import inspect
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from flightline.core.lineage import digest_of

# Where the project runs, what a person sees meanwhile, and how results are kept decide no result.
DECIDES_NOTHING = frozenset(
    {
        "flightline.core.settings",
        "pipelines.common.cached_step",
        "pipelines.common.progress",
        "pipelines.common.source_closure",
    }
)
_ROOTS = tuple(Path(str(find_spec(name).submodule_search_locations[0])).parent for name in ("flightline", "pipelines"))  # type: ignore[union-attr,index]
_AT_IMPORT = ""  # stands for the statements that run whenever a module is imported
_Chain: TypeAlias = tuple[str, ...]  # the parts of a dotted name
_Place: TypeAlias = tuple[str, _Chain]  # a module, and what is read of it; no parts: the module as a value
_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Assignment: TypeAlias = ast.Assign | ast.AnnAssign | ast.AugAssign
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def source_digest(*parts: Callable[..., Any] | ModuleType) -> str:
    """Hash the source of functions, or of whole modules, with all that it reaches (sha256, hex).

    Raises
    ------
    ValueError
        If a part is not of this project: its changes would go unseen.
    """
    starts = [_place_of(part) for part in parts]
    if strangers := [name for name, _ in starts if _module(name) is None]:
        places = " or ".join(map(str, _ROOTS))
        raise ValueError(f"expected code below {places}, whose changes a key can follow; got {', '.join(strangers)}")
    return digest_of(closure(starts))


def _place_of(part: Callable[..., Any] | ModuleType) -> _Place:
    if isinstance(part, ModuleType):
        return part.__name__, ()
    function = inspect.unwrap(part)
    module = function.__module__
    if module == "__main__" and (spec := sys.modules[module].__spec__):
        module = spec.name  # `python -m` makes the same key as an import
    return module, (function.__qualname__.split(".")[0],)


def closure(starts: Iterable[_Place]) -> dict[str, list[str]]:
    """Collect the source that names lead to, inside the project.

    Returns
    -------
    dict
        By ``module:name``, the syntax trees of its statements as text.
    """
    found: dict[str, list[str]] = {}
    waiting, seen = list(starts), set()
    while waiting:
        place = waiting.pop()
        module = _module(place[0])
        if place in seen or module is None or module.name in DECIDES_NOTHING:
            continue
        seen.add(place)
        names, elsewhere = module.look_up(place[1])
        waiting += elsewhere
        for name in names:
            if f"{module.name}:{name}" not in found:
                statements = module.bindings[name]
                found[f"{module.name}:{name}"] = [ast.dump(statement) for statement in statements]
                waiting += [reached for statement in statements for reached in module.reached(statement)]
    return {name: statements for name, statements in found.items() if statements}


class _Module:
    """A module's top level: what each name is bound to, and what runs whenever the module is imported."""

    def __init__(self, name: str, file: Path | None):
        self.name = name
        self._is_package = file is None or file.name == "__init__.py"
        self._package = name if self._is_package else name.rpartition(".")[0]
        self.bindings: dict[str, list[ast.stmt]] = defaultdict(list)
        tree = _Plain().visit(ast.parse(file.read_text(encoding="utf-8") if file else ""))
        self._imports = self._imported(*tree.body)
        self._unused = set(self._imports) - {chain[0] for chain in _chains(tree)}
        for statement in tree.body:
            self._read(statement)

    def _read(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom) or _is_main_guard(statement):
            return
        names = _bound(statement)
        for name in names:
            self.bindings[name].append(statement)
        only_binds = isinstance(statement, _Definition | _Assignment) and names.isdisjoint(self._imports)
        if not (names and only_binds) or self._is_registered(statement):
            self.bindings[_AT_IMPORT].append(statement)

    def _is_registered(self, statement: ast.stmt) -> bool:
        """Say whether a decorator of this project takes note of a definition, as `@register` would."""
        called = [
            each.func if isinstance(each, ast.Call) else each for each in getattr(statement, "decorator_list", [])
        ]
        modules = {name for decorator in called for name, _ in self.reached(decorator)} - DECIDES_NOTHING
        return any(_module(name) for name in modules)

    def _imported(self, *statements: ast.AST) -> dict[str, set[_Place]]:
        """Give the places that local names are imported from."""
        imported: dict[str, set[_Place]] = defaultdict(set)
        for node in (node for statement in statements for node in ast.walk(statement)):
            if isinstance(node, ast.ImportFrom):
                parents = self._package.split(".")
                above = parents[: len(parents) - node.level + 1] if node.level else []
                source = ".".join([*above, *filter(None, [node.module])])
                for alias in node.names:
                    imported[alias.asname or alias.name].add((source, () if alias.name == "*" else (alias.name,)))
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    imported[alias.asname or first].add((alias.name if alias.asname else first, ()))
        return imported

    def look_up(self, chain: _Chain) -> tuple[set[str], set[_Place]]:
        """Give the names here that stand for a dotted name, and the places where the rest is.

        A module passed on as a value, and a name that cannot be found, stand for everything.
        """
        parent = self.name.rpartition(".")[0]
        elsewhere: set[_Place] = {(parent, (_AT_IMPORT,))} if parent else set()
        name, rest = chain[:1], chain[1:]
        if self._is_package and name and _module(submodule := f"{self.name}.{name[0]}"):
            elsewhere.add((submodule, rest))
            is_known = True
        else:
            is_known = bool(name) and name[0] in {*self.bindings, *self._imports, _AT_IMPORT}
        names = {_AT_IMPORT, *name} if is_known else {_AT_IMPORT, *self.bindings}
        if is_known:
            elsewhere |= {(source, (*path, *rest)) for source, path in self._imports.get(name[0], ())}
        if not (is_known and self._is_package):  # imported for what it does; in a package, to be handed on
            elsewhere |= {place for unused in self._unused for place in self._imports[unused]}
        return names, elsewhere

    def reached(self, node: ast.AST) -> Iterator[_Place]:
        """Give the places that the names in a statement lead to."""
        inside = self._imported(node)
        for name, *rest in _chains(node):
            for source, path in self._imports.get(name, set()) | inside.get(name, set()):
                yield source, (*path, *rest)
            if name in self.bindings:
                yield self.name, (name,)


@cache
def _module(name: str) -> _Module | None:
    """Read a module of this project; None for any other, and for what is no module."""
    top, *rest = name.split(".")
    place = _top_level(top)
    if place is None:
        return None
    place = place.joinpath(*rest)
    for file in (place / "__init__.py", place.with_suffix(".py")):
        if file.is_file():
            return _Module(name, file)
    return _Module(name, None) if place.is_dir() else None


@cache
def _top_level(name: str) -> Path | None:
    """Find where a top-level package or module of this project lies, without its suffix."""
    spec = find_spec(name) if name and name not in sys.stdlib_module_names else None
    places = [*(spec.submodule_search_locations or []), spec.origin] if spec else []
    ours = (
        Path(place).with_suffix("")
        for place in places
        if place
        and "site-packages" not in Path(place).parts
        and any(Path(place).is_relative_to(root) for root in _ROOTS)
    )
    return next(ours, None)


class _Plain(ast.NodeTransformer):
    """Takes docstrings away, and the quotes off annotations."""

    def visit(self, node: ast.AST) -> ast.AST:
        """Visit a node, and all below it."""
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and _is_text(body[0].value):
            del body[0]
        for field in ("annotation", "returns"):
            if annotation := getattr(node, field, None):
                setattr(node, field, _Unquoted().visit(annotation))
        return self.generic_visit(node)


class _Unquoted(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        try:
            return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node
        except SyntaxError:  # a word of a Literal
            return node


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in {chain[0] for chain in _chains(statement.test)}


def _bound(statement: ast.stmt) -> set[str]:
    """Give the names that a statement binds, or whose value it changes."""
    if isinstance(statement, _Definition):
        return {statement.name}
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if isinstance(statement, _Assignment):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        changed = [chain for target in targets if not isinstance(target, ast.Name) for chain in _chains(target)]
        return names | {chain[0] for chain in changed}
    return names | {node.name for node in ast.walk(statement) if isinstance(node, _Definition)}


def _chains(node: ast.AST, local: frozenset[str] = frozenset()) -> Iterator[_Chain]:
    """Give the dotted names in a tree, but for those that begin with a variable of a function."""
    if chain := _chain(node):
        if chain[0] not in local:
            yield chain
        return
    inside = _own_scope(node)
    own = local | _variables(node, inside) if inside else local
    for child in ast.iter_child_nodes(node):
        yield from _chains(child, own if child in inside else local)


def _chain(node: ast.AST) -> _Chain | None:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := _chain(node.value)):
        return (*before, node.attr)
    return None


def _own_scope(node: ast.AST) -> list[ast.AST]:
    """Give the parts of a function or a comprehension that see its variables: not decorators, nor defaults."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.body]
    if isinstance(node, ast.Lambda):
        return [node.body]
    return [*ast.iter_child_nodes(node)] if isinstance(node, _Comprehension) else []


def _variables(scope: ast.AST, inside: list[ast.AST]) -> set[str]:
    """Give the variables of a function or a comprehension."""
    if isinstance(scope, _Comprehension):
        inside = [generator.target for generator in scope.generators]
    arguments = getattr(scope, "args", None)
    names = {each.arg for each in ast.walk(arguments) if isinstance(each, ast.arg)} if arguments else set()
    outside: set[str] = set()
    waiting = [*inside]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Global):
            outside |= {*node.names}
        elif isinstance(node, _Definition):
            names.add(node.name)
        if not _own_scope(node):
            waiting += ast.iter_child_nodes(node)
    return names - outside
