"""Which raw columns the features of a recipe take, and which they cannot."""

from __future__ import annotations

from collections.abc import Sequence

from tfspark.config.recipe import (
    Bucketize,
    Cross,
    Feature,
    Hash,
    Identity,
    Image,
    Numeric,
    Text,
    Vocabulary,
)
from tfspark.config.recipe import Sequence as Ordered
from tfspark.contracts import Contract
from tfspark.errors import ConfigError
from tfspark.tensors import TensorSpec

_ROLES = ("feature", "time")


def input_columns(features: Sequence[Feature], contract: Contract) -> dict[str, TensorSpec]:
    """The raw columns that a model of this recipe takes, in the contract's order.

    A recipe without features (a builder that works on raw columns) takes every feature column.

    Raises:
        ConfigError: a column is unknown, is no feature, or has a name no model input can have.
    """
    names = {feature.name for feature in features if feature.kind != "numeric"}
    used: set[str] = set()
    for feature in features:
        for name in feature.columns:
            if not (isinstance(feature, Cross) and name in names):
                _check_column(feature, name, contract)
                used.add(name)
    if not features:
        used = {c.name for c in contract.columns if c.role == "feature" and not c.key}
    columns = [c for c in contract.columns if c.name in used]
    for column in columns:
        if "/" in column.name:  # Keras has it in the names of scopes
            raise ConfigError(
                f"column {column.name!r}: no model input can have a name with /; rename the column "
                "in the raw table"
            )
    try:
        return {column.name: column.tensor_spec() for column in columns}
    except ValueError as error:
        raise ConfigError(f"contract {contract.name}: {error}") from None


def misfit(feature: Feature, spec: TensorSpec) -> str | None:
    """Why a feature of this kind cannot be made of such a column, and what to use instead."""
    if isinstance(feature, Ordered):
        return None  # check_sequence says
    if spec.shape and not (isinstance(feature, Numeric) and spec.dtype != "string"):
        return "takes single values; use sequence for lists, or a model builder of your own"
    if spec.shape and (len(spec.shape) > 1 or spec.shape[0] is None):
        return "takes lists of one known length: say it in the contract, tensor: {shape: [n]}"
    if isinstance(feature, Image):
        return None if spec.dtype == "string" else "needs encoded images: a column of binary"
    if isinstance(feature, Numeric | Bucketize):
        return "needs numbers: use vocabulary or hash" if spec.dtype == "string" else None
    if isinstance(feature, Text):
        return None if spec.dtype == "string" else "needs strings: use numeric or vocabulary"
    if spec.dtype.startswith("float"):
        return "needs strings or integers: use bucketize, and cross that feature"
    if isinstance(feature, Identity) and spec.dtype == "string":
        return "needs integers: use vocabulary or hash"
    if isinstance(feature, Vocabulary | Hash) and feature.extract and spec.dtype != "string":
        return "can extract from strings only: leave `extract` out"
    return None


def _check_column(feature: Feature, name: str, contract: Contract) -> None:
    known = [c.name for c in contract.columns if c.role in _ROLES]
    column = next((c for c in contract.columns if c.name == name), None)
    if column is None:
        raise ConfigError(
            f"feature {feature.name}: contract {contract.name} has no column {name}; "
            f"it has {', '.join(known)}"
        )
    if column.role not in _ROLES:
        raise ConfigError(
            f"feature {feature.name}: column {name} has the role {column.role} in contract "
            f"{contract.name}, so a model must not take it; use {', '.join(known)}"
        )
