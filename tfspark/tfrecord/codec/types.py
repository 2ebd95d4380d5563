"""Arrow types as JSON and back: what the sidecar file says of a column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

_PLAIN = {
    str(kind): kind
    for kind in (
        *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64()),
        *(pa.string(), pa.large_string(), pa.string_view()),
        *(pa.binary(), pa.large_binary(), pa.binary_view()),
    )
}
_TIMED = {"time32": pa.time32, "time64": pa.time64, "duration": pa.duration}
_LISTS = {"list": pa.list_, "large_list": pa.large_list}


def to_json(kind: pa.DataType) -> Any:
    """A type as JSON: its name, or an object whose `type` is the name.

    Raises:
        ValueError: no file of this format holds a column of the type.
    """
    t = pa.types
    if str(kind) in _PLAIN:
        return str(kind)
    if t.is_timestamp(kind):
        return {"type": "timestamp", "unit": kind.unit, "zone": kind.tz}
    for name in _TIMED:
        if str(kind).startswith(f"{name}["):
            return {"type": name, "unit": kind.unit}
    if t.is_decimal(kind):
        width = kind.bit_width
        return {"type": f"decimal{width}", "precision": kind.precision, "scale": kind.scale}
    if t.is_fixed_size_binary(kind):
        return {"type": "fixed_size_binary", "bytes": kind.byte_width}
    if t.is_fixed_size_list(kind):
        return {"type": "fixed_size_list", "size": kind.list_size, **_item(kind)}
    if t.is_list(kind) or t.is_large_list(kind):
        return {"type": "list" if t.is_list(kind) else "large_list", **_item(kind)}
    if t.is_struct(kind):
        return {"type": "struct", "fields": [field_to_json(field) for field in kind]}
    raise ValueError(f"{kind} cannot be written")


def from_json(value: Any) -> pa.DataType:
    """The type that `to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    if isinstance(value, str):
        return _PLAIN[value]
    name = value["type"]
    if name == "timestamp":
        return pa.timestamp(value["unit"], value["zone"])
    if name in _TIMED:
        return _TIMED[name](value["unit"])
    if name.startswith("decimal"):
        return getattr(pa, name)(value["precision"], value["scale"])
    if name == "fixed_size_binary":
        return pa.binary(value["bytes"])
    if name == "fixed_size_list":
        return pa.list_(field_from_json(value["item"]), value["size"])
    if name in _LISTS:
        return _LISTS[name](field_from_json(value["item"]))
    if name == "struct":
        return pa.struct([field_from_json(field) for field in value["fields"]])
    raise ValueError(f"the type {name!r} is unknown")


def field_to_json(field: pa.Field) -> dict[str, Any]:
    """A field: name, type, and whether it may be null."""
    return {"name": field.name, "type": to_json(field.type), "nullable": field.nullable}


def field_from_json(value: Any) -> pa.Field:
    return pa.field(value["name"], from_json(value["type"]), value["nullable"])


def _item(kind: pa.DataType) -> dict[str, Any]:
    return {"item": field_to_json(kind.value_field)}
