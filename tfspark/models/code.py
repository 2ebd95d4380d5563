"""The user's code that a training runs: the module that a recipe names and all that it imports.

It is read, not run. What is installed (the standard library, site-packages) counts as the same
as long as it is outside the package of the module that is named.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import cache_from_source, find_spec, resolve_name
from pathlib import Path
from typing import Any

from tfspark.errors import ConfigError

_STANDARD = {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib")}
_INSTALLED = ("site-packages", "dist-packages", "pyspark")  # folders on the way to a module
_taken: dict[str, str] = {}  # module → sha256 of the code that this process has imported


def look_here() -> None:
    """Let modules of the working directory be found."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def code_of(name: str, setting: str) -> dict[str, str]:
    """Module → sha256 of the code of `module:function` and of what it imports; none for ours.

    Args:
        setting: that names it, for messages.

    Raises:
        ConfigError: there is no such module.
    """
    module = name.split(":")[0]
    look_here()
    if _spec(module) is None:
        raise ConfigError(
            f"{setting} {name}: there is no module {module}; install it, put it into the "
            "working directory, or ship it with --py-files"
        )
    return _code(module)


def module_of(name: str) -> Any:
    """The module of `module:function`, as its code is now.

    A module that was changed since this process imported it is imported anew, with all that may
    hold a part of it: a notebook trains what it has just written.

    Raises:
        Exception: what importing it raises.
    """
    module = name.split(":")[0]
    look_here()
    code = _code(module)
    if any(_taken.get(part, sha256) != sha256 for part, sha256 in code.items()):
        for part in code:
            if part in sys.modules:
                _forget(sys.modules.pop(part))
        importlib.invalidate_caches()
    _taken.update(code)
    return importlib.import_module(module)


def _code(first: str) -> dict[str, str]:
    top, left, seen = first.split(".")[0], [first], set[str]()
    found: dict[str, str] = {}
    while left:
        module = left.pop()
        if module in seen:
            continue
        seen.add(module)
        parent = module.rpartition(".")[0]
        left += [parent] if parent else []
        if module.split(".")[0] == "tfspark":  # its version is known
            continue
        spec = _spec(module)
        content = _content(spec, own=module.split(".")[0] == top)
        if spec is None or content is None:
            continue
        found[module] = hashlib.sha256(content).hexdigest()
        package = module if spec.submodule_search_locations is not None else parent
        left += _imports(content, package)
    return dict(sorted(found.items()))


def _forget(module: Any) -> None:
    """Also its compiled code, which Python takes for new if a file changed within a second."""
    if file := getattr(module, "__file__", None):
        with suppress(OSError):
            Path(cache_from_source(file)).unlink()


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is; no package of it is imported."""
    top, *parts = module.split(".")
    try:
        # On the path of now: a module that was imported may have been another one.
        spec = PathFinder.find_spec(top) or find_spec(top)
    except (ImportError, ValueError):
        return None
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last name: of a folder without __init__.py Python would ask for the one above,
        # which is not imported.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def _content(spec: ModuleSpec | None, own: bool) -> bytes | None:
    """A module's file; None where there is none, or where it is installed and not `own`."""
    if spec is None or spec.origin in (None, "built-in", "frozen") or not spec.has_location:
        return None
    path = Path(str(spec.origin)).resolve()
    installed = any(str(path).startswith(f"{folder}/") for folder in _STANDARD)
    if not own and (installed or not set(_INSTALLED).isdisjoint(path.parts)):
        return None
    try:
        content: bytes = spec.loader.get_data(str(spec.origin))  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return None
    return content


def _imports(content: bytes, package: str) -> Iterator[str]:
    """The modules that code may import, and names that may be modules."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return  # compiled, or it cannot be imported at all
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node, package)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            yield from _named(node.args[:1], package)


def _from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = _absolute("." * node.level + (node.module or ""), package)
    if base:
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _called(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _named(arguments: Iterable[ast.expr], package: str) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield from filter(None, [_absolute(argument.value, package)])


def _absolute(name: str, package: str) -> str:
    try:
        return resolve_name(name, package) if name.startswith(".") else name
    except ImportError:
        return ""
