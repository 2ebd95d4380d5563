"""Contracts: `schemas/*.yaml` and everything derived from them.

Spark and pydantic are imported when a name is used.
"""

from typing import TYPE_CHECKING

from tfspark import lazy

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

__getattr__ = lazy.names(
    __name__,
    {
        "column": ("Column",),
        "contract": ("Contract",),
        "load": ("load_contract", "parse_contract"),
    },
)
