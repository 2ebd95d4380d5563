"""Packages that not every installation has: whoever needs one asks here first."""

from __future__ import annotations

from importlib.util import find_spec

from tfspark.errors import ConfigError

_HOW = {
    "horovod": "`make setup` builds it; Python 3.11 only (docs/setup.md)",
    "petastorm": "install tfspark[petastorm]; Python 3.11 only",
    "optuna": "install tfspark[train]",
    "starlette": "install tfspark[serve]",
    "uvicorn": "install tfspark[serve]",
    "ai_edge_litert": "install tfspark[export]",
}


def need(package: str, what: str) -> None:
    """
    Raises:
        ConfigError: the package is not installed; the message says how to get it.
    """
    if find_spec(package) is None:
        raise ConfigError(f"{what} needs {package}, which is not installed: {_HOW[package]}")
