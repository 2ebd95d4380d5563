"""What contradicts itself, or its type, in a column or a table of a contract: all of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfspark.contracts.dateformat import rewriting
from tfspark.contracts.patterns import refused
from tfspark.contracts.types import LOGICAL, TENSOR_DTYPE, element, family, spark_type
from tfspark.contracts.values import own, spelled
from tfspark.wording import say

Mistake = tuple[tuple[Any, ...], str]
"""A path in the column or the table, and what is wrong there."""
BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_ORDERED = ("integer", "number", "date", "timestamp")
_WIDER = {
    "int64": ("int64", "float32", "float64"),
    "float32": ("float32", "float64"),
    "float64": ("float32", "float64"),
    "string": ("string",),
}
"""The dtypes that values of a dtype can have."""


def of_table(table: Mapping[str, Any]) -> Iterator[Mistake]:
    """Of the columns of one table among each other; shapes that are wrong are not its concern."""
    columns = [c for c in _list(table.get("properties")) if isinstance(c, dict)]
    named = [c for c in columns if isinstance(c.get("name"), str)]
    seen: dict[str, str] = {}
    roles: dict[str, str] = {}
    for column in named:
        name, role = column["name"], column.get("role")
        if other := seen.get(name.lower()):
            yield (), say("same_column", one=other, other=name)
        seen[name.lower()] = name
        if role in ("label", "weight"):
            if other := roles.get(role):
                yield (), say("same_role", role=role, one=other, other=name)
            roles[role] = name
    if columns and not any(c.get("primaryKey") or c.get("role") == "key" for c in columns):
        yield (), say("no_key")
    limit = _mapping(table.get("quarantine"))
    yield from _crossed(limit, "leastRows", "mostRows", "quarantine")


def of_column(column: Mapping[str, Any]) -> Iterator[Mistake]:
    """Of one column, by the names of the file."""
    physical = column.get("physicalType")
    try:
        spark_type(str(physical))
    except ValueError:
        return  # said where the type is read
    physical = str(physical).strip().lower()
    kind, options = family(physical), _mapping(column.get("logicalTypeOptions"))
    logical = column.get("logicalType")
    if logical not in (None, LOGICAL[kind]):
        yield (), say("logical_type", type=physical, logical=LOGICAL[kind], given=logical)
    if str(column.get("name", "")).startswith("_tfspark"):
        yield (), say("own_name")
    if column.get("primaryKey") is True and column.get("role") in ("label", "weight"):
        yield (), say("key_label", role=column["role"])
    yield from _misplaced(physical, options)
    low, high = yield from _bounds(physical, options)
    yield from _crossed(options, "minLength", "maxLength", "logicalTypeOptions")
    yield from _crossed(options, "minItems", "maxItems", "logicalTypeOptions")
    if isinstance(pattern := options.get("pattern"), str) and (said := refused(pattern)):
        yield ("logicalTypeOptions", "pattern"), said
    yield from _values(physical, column.get("validValues"), options, low, high)
    yield from _tensor(physical, _mapping(column.get("tensor")))


def _misplaced(physical: str, options: Mapping[str, Any]) -> Iterator[Mistake]:
    kind = family(physical)

    def given(*names: str) -> bool:
        return any(options.get(name) is not None for name in names)

    if given(*BOUNDS) and LOGICAL[kind] not in _ORDERED:
        yield (), say("no_number", type=physical)
    if given("pattern", "minLength", "maxLength") and kind != "string":
        yield (), say("no_string", type=physical)
    if given("minItems", "maxItems") and kind != "array":
        yield (), say("no_items", type=physical)
    if given("multipleOf") and LOGICAL[kind] != "integer":
        yield (), say("no_multiple", type=physical)
    if given("format") and kind not in ("date", "timestamp"):
        yield (), say("no_format", type=physical)
    elif given("format"):
        try:
            rewriting(str(options["format"]), kind)
        except ValueError as error:
            yield ("logicalTypeOptions", "format"), str(error)


def _bounds(physical: str, options: Mapping[str, Any]) -> Any:
    """Yields mistakes; returns the bounds in the column's own type."""
    found: dict[str, Any] = {}
    for name in BOUNDS:
        value = options.get(name)
        if value is None or LOGICAL[family(physical)] not in _ORDERED:
            continue
        try:
            made = own(value, physical)
            if isinstance(made, float) and not math.isfinite(made):
                raise ValueError(say("no_bound", value=spelled(value)))
            found[name] = made
        except ValueError as error:
            yield ("logicalTypeOptions", name), str(error)
    for low in BOUNDS[:2]:
        for high in BOUNDS[2:]:
            if low in found and high in found:
                open_end = low != "minimum" or high != "maximum"
                if found[low] > found[high] or (open_end and found[low] == found[high]):
                    one, other = (f"{n} {spelled(options[n])}" for n in (low, high))
                    yield ("logicalTypeOptions", low), say("crossed", one=one, other=other)
    lows = {n: found[n] for n in BOUNDS[:2] if n in found}
    return lows, {n: found[n] for n in BOUNDS[2:] if n in found}


def _crossed(options: Mapping[str, Any], low: str, high: str, part: str) -> Iterator[Mistake]:
    least, most = options.get(low), options.get(high)
    if isinstance(least, int) and isinstance(most, int) and least > most >= 0:
        yield (part, low), say("crossed", one=f"{low} {least}", other=f"{high} {most}")


def _values(
    physical: str, values: Any, options: Mapping[str, Any], low: Any, high: Any
) -> Iterator[Mistake]:
    if isinstance(values, list | tuple) and not values:
        yield ("validValues",), say("no_values")
    if values is not None and family(physical) == "array":
        yield ("validValues",), say("no_list_values", type=physical)
        return
    for place, value in enumerate(_list(values)):
        if isinstance(value, dict | list):
            continue
        try:
            made = own(value, physical)
        except ValueError as error:
            yield ("validValues", place), str(error)
            continue
        broken = [n for n, end in low.items() if made < end or (n != "minimum" and made == end)]
        broken += [n for n, end in high.items() if made > end or (n != "maximum" and made == end)]
        if isinstance(made, str):
            least, most = options.get("minLength"), options.get("maxLength")
            broken += ["minLength"] if isinstance(least, int) and len(made) < least else []
            broken += ["maxLength"] if isinstance(most, int) and len(made) > most else []
        for name in broken:
            said = {"value": spelled(value), "name": name, "bound": spelled(options[name])}
            yield ("validValues", place), say("outside", **said)


def _tensor(physical: str, tensor: Mapping[str, Any]) -> Iterator[Mistake]:
    leaf, depth = element(physical)
    kind, dtype, shape = family(leaf), tensor.get("dtype"), tensor.get("shape")
    if dtype == "uint8" and family(physical) != "binary":
        yield (), say("no_pixels", kind=family(physical))
    elif dtype is not None and kind != "binary":
        named = TENSOR_DTYPE.get(kind, "float64")
        known = ("int64",) if kind in ("date", "timestamp") else _WIDER[named]
        if dtype not in known:
            yield ("tensor", "dtype"), say("no_dtype", type=physical, known=", ".join(known))
    if tensor.get("padValue") is not None and not depth:
        yield (), say("no_array", kind=family(physical))
    dtype = dtype or TENSOR_DTYPE.get(kind, "float64")
    if isinstance(shape, list | tuple) and all(n is None or type(n) is int for n in shape):
        if any(n is not None and n < 1 for n in shape):
            yield ("tensor", "shape"), say("bad_shape")
        elif not _fits(shape, depth, kind, dtype):
            yield ("tensor", "shape"), say("no_shape", type=physical, depth=depth)
    for name in ("nullValue", "padValue"):
        value = tensor.get(name)
        if value is None or isinstance(value, dict | list):
            continue
        try:
            number = own(value, _TYPE_OF.get(dtype, "string"))
            if dtype == "uint8" and not 0 <= number <= 255:
                raise ValueError
        except ValueError:
            yield ("tensor", name), say("no_own_value", value=spelled(value), type=dtype)


_TYPE_OF = {"int64": "bigint", "uint8": "bigint", "float32": "float", "float64": "double"}


def _fits(shape: Sequence[int | None], depth: int, kind: str, dtype: str) -> bool:
    if kind == "binary" and dtype != "string":
        return True
    if not depth:
        return all(n == 1 for n in shape)
    return len(shape) == depth or (depth == 1 and len(shape) > 1 and None not in shape)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
