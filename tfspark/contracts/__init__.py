"""Contracts: `schemas/*.yaml` and everything derived from them.

A process that scores needs the tensors alone: Spark and pydantic come with what needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tfspark.contracts.tensor import INT_NULL, TensorSpec, default_null

if TYPE_CHECKING:
    from tfspark.contracts.contract import Column, Contract
    from tfspark.contracts.load import load_contract, load_yaml, parse_contract

__all__ = [
    "INT_NULL",
    "Column",
    "Contract",
    "TensorSpec",
    "default_null",
    "load_contract",
    "load_yaml",
    "parse_contract",
]

_HOMES = {
    "Column": "tfspark.contracts.contract",
    "Contract": "tfspark.contracts.contract",
    "load_contract": "tfspark.contracts.load",
    "load_yaml": "tfspark.contracts.load",
    "parse_contract": "tfspark.contracts.load",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tfspark.contracts' has no attribute {name!r}")
