"""docs/api.md and tests/surface.txt, from the docstrings and signatures of the public packages.

    python scripts/api_page.py      # or `make api`

The source is read, not imported: no TensorFlow, no Spark, the same text on every machine. A name
is public where a package of PACKAGES has it in its `__all__`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "api.md"
SURFACE = ROOT / "tests" / "surface.txt"
PACKAGES = [
    "tfspark",
    "tfspark.scoring",
    "tfspark.contracts",
    "tfspark.config",
    "tfspark.prepare",
    "tfspark.dataset",
    "tfspark.features",
    "tfspark.models",
    "tfspark.training.readers",
    "tfspark.tuning",
    "tfspark.registry",
    "tfspark.tfrecord",
    "tfspark.tensors",
    "tfspark.errors",
]
HOOKS = {"settings_customise_sources"}  # pydantic calls these, not users
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")
HEAD = """# API

<!-- Made by `make api` from the docstrings: change those, not this page. -->

The public Python API of tfspark is every name on this page, and nothing else. The packages below
export these names. The modules inside the packages, and every name that starts with `_`, can change
in any release. The command line with its exit codes, the settings, the format of contracts and the
columns of tables are public too: their own pages describe them.

## Compatibility

- tfspark follows [semantic versioning](https://semver.org). While the version begins with `0.`, a
  new minor version (0.2, 0.3) can change the public API; a patch version (0.2.1) only fixes faults.
- A public name or parameter is deprecated before it is removed. The release that deprecates it
  keeps it working, raises a `DeprecationWarning` that names the replacement, and lists it in the
  [changelog](../CHANGELOG.md). The next minor version can remove it.
- `python -W error::DeprecationWarning` turns these warnings into errors. Run your tests with it
  before you upgrade.
- `tests/surface.txt` lists all public names with their signatures. A test fails when one of them
  changes, so every change is seen in a review.
"""

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class Name:
    """A public name, and where it is defined."""

    package: str
    name: str
    module: str
    node: Definition

    @property
    def path(self) -> str:
        return f"{self.package}.{self.name}"

    @property
    def home(self) -> str:
        return f"{self.module}.{self.name}"


def public() -> list[Name]:
    """Every name of every public package, in the order of the page."""
    return [
        Name(package, name, *defined(package, name))
        for package in PACKAGES
        for name in exported(package)
    ]


def exported(package: str) -> list[str]:
    """The package's `__all__`."""
    for node in source(package).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise SystemExit(f"{package} has no __all__")


def defined(module: str, name: str) -> tuple[str, Definition]:
    """The module that defines a name, and the definition; imports are followed."""
    for node in source(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == name:
                return module, node
    for found in ast.walk(source(module)):
        if isinstance(found, ast.ImportFrom) and any(a.name == name for a in found.names):
            return defined(str(found.module), name)
    raise SystemExit(f"{module} does not define {name}")


@cache
def source(module: str) -> ast.Module:
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text("utf-8"))


def signature(node: ast.FunctionDef, name: str, method: bool = False) -> str:
    """`name(df: DataFrame, ...) -> DataFrame`"""
    args = ast.arguments(
        node.args.posonlyargs,
        node.args.args[method:],
        node.args.vararg,
        node.args.kwonlyargs,
        node.args.kw_defaults,
        node.args.kwarg,
        node.args.defaults,
    )
    gives = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{name}({ast.unparse(args)}){gives}"


def members(node: ast.ClassDef) -> Iterator[tuple[str, ast.FunctionDef | ast.AnnAssign]]:
    """Public methods, properties and fields, and `__init__`, `__call__` and the like, by name."""
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef):
            if inner.name not in HOOKS and not re.match("_[^_]", inner.name):
                yield inner.name, inner
        elif isinstance(inner, ast.AnnAssign):
            name = ast.unparse(inner.target)
            if not name.startswith("_") and "ClassVar" not in ast.unparse(inner.annotation):
                yield name, inner


def is_property(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        "property" in ast.unparse(decorator) for decorator in node.decorator_list
    )


def member(name: str, node: ast.FunctionDef | ast.AnnAssign) -> str:
    """One line: `rows(split: str) -> int`, `path: str`."""
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node)
    if is_property(node):
        return f"{name}: {ast.unparse(node.returns)}" if node.returns else name
    static = any("staticmethod" in ast.unparse(d) for d in node.decorator_list)
    return signature(node, name, method=not static)


def surface() -> str:
    """All public names with their signatures, a line each."""
    lines = []
    for name in public():
        node = name.node
        if isinstance(node, ast.FunctionDef):
            lines.append(f"{signature(node, name.path)}")
        elif isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            lines.append(f"class {name.path}({bases})")
            if name.path == first_path(name):
                lines += [f"  {member(*inner)}" for inner in members(node)]
        else:
            lines.append(f"{name.path}: constant")
    return "\n".join(lines) + "\n"


def first_path(name: Name) -> str:
    """Where the page documents it: the first package that exports it."""
    return next(other.path for other in public_by_home()[name.home])


@cache
def public_by_home() -> dict[str, list[Name]]:
    found: dict[str, list[Name]] = {}
    for name in public():
        found.setdefault(name.home, []).append(name)
    return found


def page() -> str:
    """The text of docs/api.md."""
    parts = [HEAD]
    for package in PACKAGES:
        about = (ast.get_docstring(source(package)) or "").split("\n\n")[0]
        parts.append(f"## {package}\n\n{about}\n")
        names = [name for name in public() if name.package == package]
        again = [name for name in names if first_path(name) != name.path]
        if again:
            listed = ", ".join(f"`{name.name}` (`{first_path(name)}`)" for name in again)
            parts.append(f"Also here: {listed}.\n")
        parts += [entry(name) for name in names if name not in again]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def entry(name: Name) -> str:
    node = name.node
    if isinstance(node, ast.FunctionDef):
        text = indented(wrapped(node)) + markdown(ast.get_docstring(node))
    elif isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        docstring = ast.get_docstring(node) or ""
        text = indented(f"class {name.name}({bases})" if bases else f"class {name.name}")
        text += markdown(docstring)
        inside = list(members(node))
        if "Attributes:" not in docstring:
            text += "".join(_field(n) for _, n in inside if isinstance(n, ast.AnnAssign)) + "\n"
        text += "".join(_method(k, n) for k, n in inside if isinstance(n, ast.FunctionDef))
    else:
        text = indented(ast.unparse(node))
    return f"### {name.path}\n\n{text}"


def _field(node: ast.AnnAssign) -> str:
    """`- ranks: int = 1`, and the description that a pydantic field has."""
    name, default, said = f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}", "", ""
    if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "Field":
        told = {word.arg: word.value for word in node.value.keywords}
        first = [*node.value.args, *([told["default"]] if "default" in told else [])]
        default = ast.unparse(first[0]) if first else ""
        said = ast.literal_eval(told["description"]) if "description" in told else ""
    elif node.value is not None:
        default = ast.unparse(node.value)
    return f"- `{name}{f' = {default}' if default else ''}`{f': {said}' if said else ''}\n"


def _method(name: str, node: ast.FunctionDef) -> str:
    said = markdown(ast.get_docstring(node))
    return f"`{member(name, node)}`\n\n{said}" if said or not name.startswith("__") else ""


def wrapped(node: ast.FunctionDef) -> str:
    """The signature; a long one with a line for each parameter."""
    text, given = signature(node, node.name), node.args
    if len(text) <= 90:
        return text
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + given.defaults
    lines = [_parameter(*pair) for pair in zip(plain, defaults, strict=True)]
    if given.vararg:
        lines.append(f"*{ast.unparse(given.vararg)}")
    elif given.kwonlyargs:
        lines.append("*")
    lines += [_parameter(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg:
        lines.append(f"**{ast.unparse(given.kwarg)}")
    last = text.rsplit(")", 1)[1]
    return "\n".join([f"{node.name}(", *(f"    {line}," for line in lines), f"){last}"])


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(arg) + (f" = {ast.unparse(default)}" if default is not None else "")


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines()) + "\n"


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown: its sections become lists."""
    if not docstring:
        return ""
    out: list[str] = []
    section = ""
    for line in docstring.splitlines():
        title = re.fullmatch(rf"({'|'.join(SECTIONS)}):", line)
        item = re.fullmatch(r"    (\w[\w.*, ]*): (.*)", line)
        if title:
            section = title[1]
            out.append(f"**{section}**\n")
        elif section in ("Args", "Attributes", "Raises") and item:
            out.append(f"- `{item[1]}`: {item[2]}")
        elif section and section != "Example" and line.startswith("    "):
            out.append(("  " if section != "Returns" else "") + line.strip())
        else:
            if line.strip() and not line.startswith(" "):
                section = ""
            out.append(line)
    return "\n".join(out).strip() + "\n\n"


def main() -> None:
    """Write both files."""
    PAGE.write_text(page(), "utf-8")
    SURFACE.write_text(surface(), "utf-8")
    print(f"{PAGE.relative_to(ROOT)}, {SURFACE.relative_to(ROOT)}: {len(public())} names")


if __name__ == "__main__":
    main()
