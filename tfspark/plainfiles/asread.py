"""Whether Arrow reads Parquet files as Spark does."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import types as T

from tfspark.compat.spark import arrow_of
from tfspark.rowgroups import Footer
from tfspark.tensors.arrowtypes import loose_type

_LEGACY = (b"org.apache.spark.legacyDateTime", b"org.apache.spark.legacyINT96")


class NotPlain(Exception):
    """The scan does not apply; the message says why."""


def arrow_field(field: T.StructField) -> pa.Field:
    """A column with the type in which Spark hands it over.

    Raises:
        NotPlain: Spark itself cannot hand it to Python.
    """
    try:
        return pa.field(field.name, loose_type(arrow_of(field.dataType)))
    except Exception:  # Spark has many for it
        kind = field.dataType.simpleString()
        raise NotPlain(f"the column {field.name} is {kind}") from None


def check_file(footer: Footer, columns: pa.Schema) -> None:
    """Whether a file holds columns of these types.

    Args:
        columns: with the types in which Spark hands them over.

    Raises:
        NotPlain: it does not, or holds them in a way that only Spark knows.
    """
    for field in columns:
        at = footer.schema.get_all_field_indices(field.name)
        if len(at) != 1:
            raise NotPlain(f"{footer.path} has no column {field.name}")
        kind = footer.schema.field(at[0]).type
        if _as_spark(kind, field.type) != field.type:
            raise NotPlain(
                f"{footer.path} has {field.name} as {kind}, the table as {field.type}, and only "
                "Spark knows how the one becomes the other"
            )
    if any(key in footer.written_by for key in _LEGACY):
        raise NotPlain(f"{footer.path} has dates of the calendar before 1582")


def _as_spark(kind: pa.DataType, wanted: pa.DataType) -> pa.DataType:
    """The Arrow type in which Spark hands over what a file has."""
    t = pa.types
    if t.is_dictionary(kind):
        kind = kind.value_type
    if t.is_large_string(kind) or t.is_string_view(kind):
        return pa.string()
    if t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
        return pa.binary()
    if t.is_timestamp(kind) and t.is_timestamp(wanted) and kind.unit in ("ms", "us"):
        # Without a zone and yet an instant of Spark's: INT96.
        return wanted if wanted.tz or not kind.tz else kind
    wider = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}
    if kind in wider:
        return wider[kind]
    # Not of fixed size: Arrow cannot read a null one from Parquet.
    if (t.is_list(kind) or t.is_large_list(kind)) and t.is_list(wanted):
        return pa.list_(pa.field("element", _as_spark(kind.value_type, wanted.value_type)))
    return loose_type(kind)
