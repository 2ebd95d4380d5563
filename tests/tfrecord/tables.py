"""Random tables of every type that a TFRecord file holds."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st


def _integers(kind: pa.DataType) -> st.SearchStrategy[Any]:
    limits = np.iinfo(kind.to_pandas_dtype())
    return st.integers(int(limits.min), int(limits.max)) | st.sampled_from([0, 1, 127, 100])


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_BYTES = st.binary(max_size=300)
_LONG = st.integers(-(1 << 62), 1 << 62)
LEAVES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    **{
        kind: _integers(kind)
        for kind in (
            *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
            *(pa.uint8(), pa.uint16(), pa.uint32()),
        )
    },
    pa.float32(): st.floats(width=32),
    pa.float16(): st.floats(width=16).map(np.float16),
    pa.string(): _TEXT,
    pa.large_string(): _TEXT,
    pa.binary(): _BYTES,
    pa.large_binary(): _BYTES,
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.date32(): st.integers(-(1 << 31), (1 << 31) - 1),
    pa.timestamp("us"): _LONG,
    pa.timestamp("ns", "Europe/Berlin"): _LONG,
    pa.time64("us"): st.integers(0, 86_399_999_999),
    pa.time32("s"): st.integers(0, 86_399),
    pa.duration("ms"): _LONG,
}
_AS_INTEGERS = {
    kind: pa.int32() if kind in (pa.date32(), pa.time32("s")) else pa.int64()
    for kind in LEAVES
    if pa.types.is_temporal(kind)
}
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="."), max_size=12)


@st.composite
def columns(draw: st.DrawFn, rows: int, depth: int = 1, nested: bool = True) -> pa.Array:
    """A column of any type: a value, a list, a list of lists, a struct; with nulls and without."""
    leaf = draw(st.sampled_from(list(LEAVES)))
    shape = draw(st.sampled_from(["value", "value", "list", "large", "fixed", "lists", "struct"]))
    nulls = draw(st.booleans())
    if shape == "struct" and nested:
        count = draw(st.integers(0, 3)) if depth else 1
        inner = [draw(columns(rows, 0, depth > 0)) for _ in range(count)]
        here = (
            draw(st.lists(st.booleans(), min_size=rows, max_size=rows)) if nulls else [True] * rows
        )
        fields = [pa.field(f"s{number}", array.type) for number, array in enumerate(inner)]
        if not inner:
            return pa.array([{} if one else None for one in here], pa.struct([]))
        mask = pa.array([not one for one in here], pa.bool_())
        return pa.StructArray.from_arrays(inner, fields=fields, mask=mask)
    one = LEAVES[leaf]
    stored = _AS_INTEGERS.get(leaf, leaf)

    def listed(values: st.SearchStrategy[Any], kind: pa.DataType) -> tuple[Any, pa.DataType]:
        return st.lists(values, max_size=5), pa.list_(kind)

    if shape == "value" or shape == "struct":
        strategy, kind, final = one, stored, leaf
    elif shape == "fixed":
        size = draw(st.integers(1, 3))
        strategy = st.lists(one, min_size=size, max_size=size)
        kind, final = pa.list_(stored, size), pa.list_(leaf, size)
    elif shape == "large":
        strategy, kind, final = (
            st.lists(one, max_size=4),
            pa.large_list(stored),
            pa.large_list(leaf),
        )
    elif shape == "list":
        strategy, kind = listed(one, stored)
        final = pa.list_(leaf)
    else:
        strategy, kind = listed(st.none() | st.lists(one, max_size=4), pa.list_(stored))
        final = pa.list_(pa.list_(leaf))
    if draw(st.booleans()):  # few different rows: so are their lengths
        pool = draw(st.lists(strategy, min_size=1, max_size=2))
        strategy = st.sampled_from(pool)
    some = st.none() | strategy if nulls else strategy
    values = draw(st.lists(some, min_size=rows, max_size=rows))
    array = pa.array(values, kind)
    return array if kind == final else array.view(final)


@st.composite
def tables(draw: st.DrawFn, most: int = 8) -> pa.Table:
    """Up to so many rows of up to five columns, which may be a slice of more."""
    rows = draw(st.integers(0, most))
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    table = pa.table([draw(columns(rows)) for _ in names], names)
    start = draw(st.integers(0, rows)) if draw(st.booleans()) else 0
    return table.slice(start)


def same(found: pa.Table, wanted: pa.Table) -> bool:
    """Equal types and values; NaN is equal to NaN."""
    if found.schema != wanted.schema or found.num_rows != wanted.num_rows:
        return False
    columns = zip(found.columns, wanted.columns, strict=True)
    return all(_laid(one) == _laid(other) for one, other in columns)


def _laid(array: pa.Array | pa.ChunkedArray) -> Any:
    """A column as plain lists, level by level."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_struct(array.type):
        fields = [_laid(pc.struct_field(array, [at])) for at in range(array.type.num_fields)]
        return array.is_valid().to_pylist(), fields
    if hasattr(array.type, "value_field"):
        return pc.list_value_length(array).to_pylist(), _laid(array.flatten())
    if array.type in _AS_INTEGERS:
        array = array.view(_AS_INTEGERS[array.type])
    return repr(array.to_pylist())


def example_values(table: pa.Table) -> list[dict[str, Any]]:
    """What `tf.train.Example` shows of each row: name → list of plain values, by other means.

    Only of tables without structs and lists of lists.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(table.num_rows)]
    for name, column in zip(table.column_names, table.columns, strict=True):
        for row, value in zip(rows, column.combine_chunks(), strict=True):
            if not value.is_valid:
                continue
            single = not hasattr(value, "values")
            items = [value] if single else list(value.values)
            row[name] = [_plain(item) for item in items]
    return rows


def _plain(value: pa.Scalar) -> Any:
    if pa.types.is_temporal(value.type):
        return value.value
    plain = value.as_py()
    if isinstance(plain, str):
        return plain.encode()
    if isinstance(plain, bool):
        return int(plain)
    assert not isinstance(plain, dt.date | decimal.Decimal)
    return float(plain) if isinstance(plain, np.floating) else plain
