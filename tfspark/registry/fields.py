"""The rule that made `saved_model_fields.txt`: every field of every message of a SavedModel, and
of the variables that TensorFlow 1 keeps in its collections as bytes.

    python -m tfspark.registry.fields > tfspark/registry/saved_model_fields.txt

A line a field: message, number, name, kind, and whether it repeats, is a map, or is one of several
of which a message holds at most one. A new TensorFlow gets a new table by running this again and
reading what changed.
"""

from __future__ import annotations

from typing import Any

_KINDS = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    6: "fixed64",
    7: "fixed32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
    14: "enum",
    15: "sfixed32",
    16: "sfixed64",
    17: "sint32",
    18: "sint64",
}


def saved_model_fields() -> list[str]:
    """The table of the TensorFlow that is installed."""
    from tensorflow.core.protobuf import saved_model_pb2

    from tfspark.compat.tensorflow import variable_def

    found: dict[str, Any] = {}
    todo = [saved_model_pb2.SavedModel.DESCRIPTOR, variable_def()]
    while todo:
        message = todo.pop()
        found[_name(message)] = message
        inside = (field.message_type for field in message.fields)
        todo += [kind for kind in inside if kind is not None and _name(kind) not in found]
    return [
        _line(name, field)
        for name, message in sorted(found.items())
        for field in sorted(message.fields, key=lambda field: int(field.number))
    ]


def _line(message: str, field: Any) -> str:
    kind = _KINDS[field.type] if field.message_type is None else _name(field.message_type)
    how = ""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        how = " map"
    elif field.is_repeated:
        how = " repeated"
    elif field.containing_oneof is not None:
        how = f" one-of:{field.containing_oneof.name}"
    return f"{message} {field.number} {field.name} {kind}{how}"


def _name(message: Any) -> str:
    return str(message.full_name).removeprefix(f"{message.file.package}.")


if __name__ == "__main__":
    print("\n".join(saved_model_fields()))
