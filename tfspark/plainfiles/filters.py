"""Spark's simple filters on Arrow columns: the same rows pass, nulls and NaN included.

NaN equals NaN and is above every number; a comparison with null is null; a row passes where the
whole is true. What is not known here for certain raises `Unknown`, and Spark does it itself.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import types as T

from tfspark.compat.catalyst import Expression
from tfspark.compat.spark import arrow_of

_COMPARE = {
    "EqualTo": ("=", pc.equal),
    "LessThan": ("<", pc.less),
    "LessThanOrEqual": ("<=", pc.less_equal),
    "GreaterThan": (">", pc.greater),
    "GreaterThanOrEqual": (">=", pc.greater_equal),
}
_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPS = dict(_COMPARE.values())
_JOIN = {"And": pc.and_kleene, "Or": pc.or_kleene}
_INTS = ("tinyint", "smallint", "int", "bigint")
_KINDS = (*_INTS, "float", "double", "boolean", "string", "date", "timestamp", "timestamp_ntz")
# Casts of a column that change no value.
_WIDER = {
    **{kind: {*_INTS[place:], "double"} for place, kind in enumerate(_INTS[:3])},
    "float": {"double"},
}


class Unknown(Exception):
    """The filter is none of the simple ones; the message is its part."""


@dataclass(frozen=True)
class Filter:
    """One node: `op` is of `=`, `<`..., `in`, `null`, `column`, `And`, `Or`, `Not`.

    Attributes:
        column: name of the compared column, as in the files.
        values: the values to compare with.
        kind: the type that the column is widened to before.
    """

    op: str
    column: str = ""
    values: tuple[pa.Scalar, ...] = ()
    kind: pa.DataType | None = None
    parts: tuple[Filter, ...] = ()

    @property
    def columns(self) -> set[str]:
        below = [part.columns for part in self.parts]
        return set().union(*below, {self.column} - {""})

    def mask(self, columns: Mapping[str, pa.Array]) -> pa.BooleanArray:
        """True, false or null for every row."""
        if self.op in _JOIN:
            return _JOIN[self.op](*[part.mask(columns) for part in self.parts])
        if self.op == "Not":
            return pc.invert(self.parts[0].mask(columns))
        array = columns[self.column]
        if self.op == "column":
            return array
        if self.op == "null":
            return array.is_null()
        if self.kind is not None:
            array = array.cast(self.kind)
        if self.op != "in":
            return _compare(array, self.op, self.values[0])
        found = _compare(array, "=", self.values[0])
        for value in self.values[1:]:
            found = pc.or_kleene(found, _compare(array, "=", value))
        return found

    def may_pass(self, group: pq.RowGroupMetaData) -> bool:
        """Whether a row of the group may pass, by the footer's least and greatest values."""
        if self.op == "And":
            return all(part.may_pass(group) for part in self.parts)
        if self.op == "Or":
            return any(part.may_pass(group) for part in self.parts)
        if self.op not in (*_OPS, "in") or not all(v.is_valid for v in self.values):
            return True
        bounds = _bounds(group, self.column)
        if bounds is None:
            return True
        low, high = bounds
        return any(_within(low, high, "=" if self.op == "in" else self.op, v) for v in self.values)


def from_catalyst(node: Expression, names: Mapping[int, str]) -> Filter:
    """Spark's expression as a filter.

    Args:
        names: the files' column names, by the number of the attribute.

    Raises:
        Unknown: it holds something else than simple comparisons.
    """
    what, children = node.kind, node.children
    if what in _JOIN:
        return Filter(what, parts=tuple(from_catalyst(child, names) for child in children))
    if what == "Not":
        return Filter("Not", parts=(from_catalyst(children[0], names),))
    if what in ("IsNull", "IsNotNull"):
        test = Filter("null", _column(children[0], names)[0])
        return test if what == "IsNull" else Filter("Not", parts=(test,))
    if what == "AttributeReference":
        return Filter("column", _column(node, names)[0])
    if what in _COMPARE:
        op, (left, right) = _COMPARE[what][0], children
        if left.kind == "Literal":
            op, left, right = _TURNED[op], right, left
        name, kind = _column(left, names)
        return Filter(op, name, (_literal(right),), kind)
    if what == "In":
        name, kind = _column(children[0], names)
        return _one_of(node, name, tuple(map(_literal, children[1:])), kind)
    if what == "InSet":
        name, kind = _column(children[0], names)
        data_type = children[0].type
        if data_type in ("float", "double"):
            raise Unknown(node.text)  # by bits: 0.0 is not -0.0 there
        found = tuple(_scalar(value, data_type) for value in node.values)
        return _one_of(node, name, found, kind)
    raise Unknown(node.text[:200])


def _one_of(
    node: Expression, name: str, values: tuple[pa.Scalar, ...], kind: pa.DataType | None
) -> Filter:
    if not values:
        raise Unknown(node.text)
    return Filter("in", name, values, kind)


def _column(node: Expression, names: Mapping[int, str]) -> tuple[str, pa.DataType | None]:
    """The column of a comparison, and what it is widened to."""
    kind = None
    if node.kind == "Cast":
        (child,) = node.children
        if node.type not in _WIDER.get(child.type, ()):
            raise Unknown(node.text)
        node, kind = child, _arrow(node.type)
    if node.kind != "AttributeReference":
        raise Unknown(node.text[:200])
    known = node.type in _KINDS or node.type.startswith("decimal(")
    if node.number not in names or not known:
        raise Unknown(node.text)
    return names[node.number], kind


def _literal(node: Expression) -> pa.Scalar:
    if node.kind != "Literal":
        raise Unknown(node.text[:200])
    return _scalar(node.values[0], node.type)


def _scalar(value: Any, data_type: str) -> pa.Scalar:
    """A value as `compat.catalyst.plain_value` gives it."""
    kind = _arrow(data_type)
    if value is None:
        return pa.scalar(None, kind)
    if data_type == "date":
        return pa.scalar(int(value), pa.int32()).cast(kind)
    if data_type.startswith("timestamp"):
        return pa.scalar(int(value), pa.int64()).cast(kind)
    return pa.scalar(value, kind)


def partition_value(value: Any, data_type: str) -> pa.Scalar:
    """The value that every row of a file has in a partition column.

    Raises:
        Unknown: of a type that is not known here.
    """
    if data_type not in _KINDS and not data_type.startswith("decimal("):
        raise Unknown(data_type)
    return _scalar(value, data_type)


def _arrow(data_type: str) -> pa.DataType:
    if data_type not in _KINDS and not data_type.startswith("decimal("):
        raise Unknown(f"a value of type {data_type}")
    return arrow_of(T.DataType.fromDDL(data_type))


def _compare(array: pa.Array, op: str, value: pa.Scalar) -> pa.BooleanArray:
    if not value.is_valid:
        return pa.nulls(len(array), pa.bool_())
    if not pa.types.is_floating(array.type):
        return _OPS[op](array, value)
    nan = pc.is_nan(array)
    if not math.isnan(value.as_py()):
        found = _OPS[op](array, value)
        return pc.or_kleene(found, nan) if op in (">", ">=") else found
    if op in ("=", ">="):
        return nan
    if op == "<":
        return pc.invert(nan)
    always = op == "<="  # and nothing is above NaN
    return pc.if_else(array.is_null(), pa.scalar(None, pa.bool_()), pa.scalar(always))


def _bounds(group: pq.RowGroupMetaData, column: str) -> tuple[Any, Any] | None:
    """The least and the greatest value of an integer, date or text column; None: not known."""
    for number in range(group.num_columns):
        chunk = group.column(number)
        if chunk.path_in_schema == column:
            found = chunk.statistics
            if found is None or not found.has_min_max:
                return None
            low, high = found.min, found.max
            plain = isinstance(low, int | str | dt.date) and not isinstance(low, dt.datetime)
            return (low, high) if plain else None
    return None


def _within(low: Any, high: Any, op: str, wanted: pa.Scalar) -> bool:
    value = wanted.as_py()
    if type(value) is not type(low) or isinstance(value, bool):
        return True
    if isinstance(value, str):  # as their bytes are ordered
        value, low, high = value.encode(), low.encode(), high.encode()
    if op == "=":
        return bool(low <= value <= high)
    if op in ("<", "<="):
        return bool(low < value or (op == "<=" and low == value))
    return bool(high > value or (op == ">=" and high == value))


def both(parts: Sequence[Filter]) -> Filter | None:
    """All of several filters; None of none."""
    whole: Filter | None = None
    for part in parts:
        whole = part if whole is None else Filter("And", parts=(whole, part))
    return whole
