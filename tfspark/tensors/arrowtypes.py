"""Questions to Arrow types, and types without what does not matter to their values."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa


def is_list(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    t = pa.types
    plain = t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind)
    return bool(plain or (t.is_fixed_size_binary(kind) and not t.is_decimal(kind)))


def loose(schema: pa.Schema) -> pa.Schema:
    """The schema with everything nullable and items named alike, so that later rows may differ.

    The metadata of fields is dropped.
    """
    return pa.schema([pa.field(f.name, loose_type(f.type)) for f in schema])


def loose_type(kind: pa.DataType) -> pa.DataType:
    """The type with everything nullable and items named alike."""
    t = pa.types
    if t.is_struct(kind):
        return pa.struct([pa.field(f.name, loose_type(f.type)) for f in kind])
    if is_list(kind):
        item = pa.field("element", loose_type(kind.value_type))
        if t.is_fixed_size_list(kind):
            return pa.list_(item, kind.list_size)
        return pa.large_list(item) if t.is_large_list(kind) else pa.list_(item)
    return kind


def typed_as(arrays: Sequence[pa.Array], schema: pa.Schema) -> pa.Schema:
    """The schema with the types of arrays: some may be dictionaries."""
    if all(a.type == field.type for a, field in zip(arrays, schema, strict=True)):
        return schema
    return pa.schema([f.with_type(a.type) for a, f in zip(arrays, schema, strict=True)])


def typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns that a schema names, with its types."""
    arrays = [batch.column(name) for name in schema.names]
    arrays = [
        a if a.type == wanted.type else a.cast(wanted.type)
        for a, wanted in zip(arrays, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
