"""The public names: which there are, their signatures, their docs, their types, their old names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from importlib import import_module

import pytest

import tfspark
from scripts import api_page
from tests.conftest import ROOT
from tfspark.deprecated import deprecated

FUNCTIONS = {
    name.home: name for name in api_page.public() if isinstance(name.node, ast.FunctionDef)
}
MOVED = {
    "tfspark.recipe": "Training",
    "tfspark.tfrecord.convert": "convert",
    "tfspark.tfrecord.source": "write_tfrecord",
    "tfspark.tfrecord.verify": "verify",
}


def test_no_public_name_changes_unseen() -> None:
    renew = "public names changed: if that is wanted, run `make api` and say it in CHANGELOG.md"
    assert api_page.surface() == api_page.SURFACE.read_text("utf-8"), renew
    assert api_page.page() == api_page.PAGE.read_text("utf-8"), "docstrings changed: `make api`"


@pytest.mark.parametrize("package", api_page.PACKAGES)
def test_a_package_gives_its_names(package: str) -> None:
    found = import_module(package)
    for name in found.__all__:
        assert getattr(found, name) is not None, name
    with pytest.raises(AttributeError, match="nothing"):
        _ = found.nothing


def test_the_import_takes_neither_spark_nor_tensorflow() -> None:
    code = "import sys, tfspark, tfspark.tfrecord; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pyspark", "tensorflow", "pandas", "numpy", "pyarrow", "pydantic"} & set(loaded)


@pytest.mark.parametrize("home", sorted(FUNCTIONS))
def test_a_function_is_documented(home: str) -> None:
    node = FUNCTIONS[home].node
    assert isinstance(node, ast.FunctionDef)
    said = ast.get_docstring(node) or ""
    assert said, f"{home} has no docstring"
    documented = {
        name.strip(" *")
        for line in re.findall(r"^    (\w[\w*, ]*): ", said.partition("Args:\n")[2], re.M)
        for name in line.split(",")
    }
    arguments = node.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    given += [arg for arg in (arguments.vararg, arguments.kwarg) if arg]
    assert not {arg.arg for arg in given} - documented, f"{home}: Args"
    gives = ast.unparse(node.returns) if node.returns else "None"
    if re.search(r"Any|dict|str|bool|\| None|tuple", gives):  # a type that does not say what it is
        assert "Returns:" in said, f"{home}: Returns"
    if any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
        assert "Raises:" in said, f"{home}: Raises"


def test_classes_and_their_methods_are_documented() -> None:
    for name in api_page.public():
        if not isinstance(name.node, ast.ClassDef):
            continue
        assert ast.get_docstring(name.node), name.path
        for method, node in api_page.members(name.node):
            if isinstance(node, ast.FunctionDef) and not method.startswith("__"):
                assert ast.get_docstring(node), f"{name.path}.{method}"


def test_types_are_what_callers_expect() -> None:
    """tests/typing holds `assert_type` for every call that the README shows."""
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typing"], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("module", MOVED)
def test_a_moved_module_warns_and_works(module: str) -> None:
    for loaded in [name for name in sys.modules if name == module]:
        del sys.modules[loaded]
    with pytest.warns(DeprecationWarning, match=f"module {module} is deprecated since") as told:
        old = import_module(module)
    function = getattr(old, MOVED[module])
    package, _, name = module.rpartition(".")
    if name == MOVED[module]:  # the module took the place of the package's function
        assert callable(getattr(import_module(package), name))
        with pytest.raises(TypeError, match=rf"{name}\(\) missing"):
            getattr(import_module(package), name)()
        delattr(import_module(package), name)
        assert getattr(import_module(package), name) is function
    assert told[0].filename.endswith(("test_surface.py", "__init__.py"))


def test_a_deprecated_function_warns_where_it_is_called() -> None:
    @deprecated(instead="new()", since="1.1", removed_in="1.2")
    def old(x: int) -> int:
        return x + 1

    with pytest.warns(
        DeprecationWarning, match=r"old is deprecated since 1.1 .* `new\(\)`"
    ) as told:
        assert old(1) == 2
    assert told[0].filename == __file__


def test_what_is_deprecated_goes_when_it_said() -> None:
    version = tuple(int(part) for part in tfspark.__version__.split("."))
    for path in sorted((ROOT / "tfspark").rglob("*.py")):
        for text in re.findall(r'removed_in="([\d.]+)"', path.read_text("utf-8")):
            gone = tuple(int(part) for part in text.split("."))
            assert version < gone, f"{path.relative_to(ROOT)} was to go in {text}"


def test_warnings_are_errors_here() -> None:
    with pytest.raises(DeprecationWarning):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
