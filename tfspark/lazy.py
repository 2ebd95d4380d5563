"""The names that a package gives, each imported from its module when it is used.

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
