"""Names of a package and modules that are imported when they are used.

    __getattr__ = lazy.names(__name__, {"session": ("spark_session",)})

So `import tfspark` takes milliseconds, and a process that scores imports neither Spark nor pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A package's `__getattr__` (PEP 562).

    Args:
        homes: module of the package → names that it holds.
    """
    home = {name: module for module, held in homes.items() for name in held}

    def find(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    return find


class Module:
    """A module that is imported when something of it is used: kernels, which bring their compiler.

    kernels: Any = lazy.Module("tfspark.exchange.kernels")
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
