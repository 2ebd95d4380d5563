"""Contracts: `schemas/*.yaml` and everything derived from them."""

from tfspark.contracts.contract import Column, Contract
from tfspark.contracts.load import load_contract, load_yaml, parse_contract
from tfspark.contracts.tensor import INT_NULL, TensorSpec, default_null

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
