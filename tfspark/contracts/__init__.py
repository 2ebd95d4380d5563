"""Contracts: `schemas/*.yaml` and everything derived from them.

Spark and pydantic are imported when a name is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfspark.contracts.column import Column
    from tfspark.contracts.contract import Contract
    from tfspark.contracts.load import load_contract, parse_contract

__all__ = [
    "Column",
    "Contract",
    "load_contract",
    "parse_contract",
]

_HOMES = {
    "Column": "tfspark.contracts.column",
    "Contract": "tfspark.contracts.contract",
    "load_contract": "tfspark.contracts.load",
    "parse_contract": "tfspark.contracts.load",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tfspark.contracts' has no attribute {name!r}")
