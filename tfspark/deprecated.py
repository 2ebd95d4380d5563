"""Old names keep working for one release, with a warning: docs/api.md has the policy."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def deprecated(
    *, instead: str, since: str, removed_in: str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: every call of the function warns.

    Args:
        instead: what to call, as users write it.
        since: the release that deprecates it.
        removed_in: the release that no longer has it; a test fails in that release.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        text = _text(f"{function.__module__}.{function.__qualname__}", instead, since, removed_in)

        @functools.wraps(function)
        def warned(*args: P.args, **kwargs: P.kwargs) -> R:
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return warned

    return decorate


def moved(
    module: str,
    *,
    instead: str,
    since: str,
    removed_in: str,
    call: Callable[..., Any] | None = None,
) -> None:
    """Warn about the import of a module that is only there for old code; it calls this.

    Args:
        module: its `__name__`.
        call: the function of the same name that the module's package gives. Importing the module
            puts it in the function's place, so the module can be called like the function.
    """
    text = _text(f"the module {module}", instead, since, removed_in)
    if call is not None:
        kind = type("CallableModule", (ModuleType,), {"__call__": staticmethod(call)})
        sys.modules[module].__class__ = kind
    warnings.warn(text, DeprecationWarning, stacklevel=3)


def _text(old: str, instead: str, since: str, removed_in: str) -> str:
    return f"{old} is deprecated since {since} and goes in {removed_in}: use `{instead}`"
