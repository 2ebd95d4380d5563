"""What TFRecord cannot hold as it is: doubles and decimals, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.compat.spark import to_arrow_schema
from tfspark.contracts import Contract
from tfspark.contracts.types import family
from tfspark.errors import ConfigError
from tfspark.tfrecord import Layout, layout_of


def narrowed_layout(contract: Contract, narrow: Mapping[str, str]) -> Layout:
    """The layout of a contract's records.

    Raises:
        ConfigError: a column needs a narrowing that nobody named, one is named that none needs, or
            a column is of a type that no Example holds.
    """
    needed = {}
    for column in contract.columns:
        leaf = column.physical_type
        while family(leaf) == "array":
            leaf = leaf[len("array<") : -1].strip()
        if family(leaf) in ("double", "decimal") and column.name not in narrow:
            needed[column.name] = "float" if leaf == "double" else "string"
    if needed:
        given = ", ".join(f"{name}: {way}" for name, way in (dict(narrow) | needed).items())
        raise ConfigError(
            f"prepare.format: TFRecord does not hold {', '.join(needed)} without loss: it has no "
            f"doubles and no decimals. Name what they become, under prepare: narrow: {{{given}}}; "
            "or use format: parquet"
        )
    try:
        return layout_of(to_arrow_schema(contract.spark_schema(), timezone="UTC"), narrow)
    except ConfigError as error:
        raise ConfigError(f"prepare.narrow, contract {contract.name}: {error}") from None


def as_stored(rows: pa.Table, narrow: Mapping[str, str]) -> pa.Table:
    """The rows with the values that are read back: what becomes a float has a float's digits."""
    for name, way in narrow.items():
        if way == "float":
            at, field = rows.schema.get_field_index(name), rows.schema.field(name)
            rows = rows.set_column(at, field, _rounded(rows[name], field.type))
    return rows


def _rounded(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_decimal(_leaf(kind)):
        wide = pc.cast(column, _as(kind, pa.float64()), safe=False)
        single = pc.cast(wide, _as(kind, pa.float32()), safe=False)
        return pc.cast(single, kind, safe=False)
    return pc.cast(pc.cast(column, _as(kind, pa.float32()), safe=False), kind, safe=False)


def _leaf(kind: pa.DataType) -> pa.DataType:
    return _leaf(kind.value_type) if pa.types.is_list(kind) else kind


def _as(kind: pa.DataType, leaf: pa.DataType) -> pa.DataType:
    """A type with another leaf."""
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _as(kind.value_type, leaf)))
    return leaf
