"""`saved_model.pb` read without TensorFlow, by the table of its fields (`saved_model_fields.txt`).

A file must have one meaning, whoever reads it. TensorFlow merges a part that stands twice, keeps
the last of several that exclude each other, and skips what it does not know; so do others, not
always alike. So none of it is taken: `parse` refuses what no writer of protobuf writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from tfspark import storage
from tfspark.errors import IntegrityError
from tfspark.wording import say

FILE = "saved_model.pb"
_META_GRAPHS = 2
_LARGE = {2, 7}  # of a MetaGraphDef: its graph and its objects
_VARINT, _LENGTH, _FIXED = 0, 2, {1: 8, 5: 4}  # protobuf's wire types; sizes of the fixed ones
_FIXED_KINDS = {
    "double": "fixed64",
    "fixed64": "fixed64",
    "sfixed64": "fixed64",
    "float": "fixed32",
    "fixed32": "fixed32",
    "sfixed32": "fixed32",
}


def parse(content: bytes, where: str) -> Any:
    """The `SavedModel` in these bytes.

    Raises:
        IntegrityError: the bytes are cut off, no such message, or can be read in two ways.
    """
    model = part("SavedModel", content)
    if model is None:
        raise _damaged(where)
    if not model.meta_graphs:
        raise IntegrityError(say("no_graph", where=where))
    return model


def part(message: str, content: bytes) -> Any:
    """A message in bytes; None if they are no such message, or can be read in two ways."""
    from google.protobuf.message import DecodeError

    try:
        form = _classes("form")[message].FromString(content)
        form.DiscardUnknownFields()
        # What stands twice, excludes what came before it, is unknown or longer than need be, is
        # gone by now. Nothing of this schema gets longer by being read and written.
        if form.ByteSize() != len(content):
            return None
        del form
        return _classes("meaning")[message].FromString(content)
    except DecodeError:
        return None


def read_heads(folder: str) -> list[Any]:
    """The meta graphs of a folder without their graphs: milliseconds, whatever the size.

    Raises:
        IntegrityError: the file is cut off or no SavedModel.
    """
    from google.protobuf.message import DecodeError

    path = storage.join(folder, FILE)
    fs, inner = storage.filesystem(path)
    heads = []
    with fs.open_input_file(inner) as file:
        for number, _, start, end in _fields(file, 0, file.size(), path):
            if number == _META_GRAPHS:
                inside = _fields(file, start, end, path)
                small = [(at, to) for field, at, _, to in inside if field not in _LARGE]
                content = b"".join(_read(file, at, to - at) for at, to in small)
                try:
                    heads.append(_classes("meaning")["MetaGraphDef"].FromString(content))
                except DecodeError:
                    raise _damaged(path) from None
    if not heads:
        raise IntegrityError(say("no_graph", where=path))
    return heads


def _fields(file: Any, start: int, end: int, where: str) -> Iterator[tuple[int, int, int, int]]:
    """(number, offset, offset of the value, end) of every field of a message in a file."""
    while start < end:
        head = _read(file, start, 20)
        tag, used = _varint(head, 0)
        value, size = start + used, _FIXED.get(tag & 7)
        if size is None:
            number, used = _varint(head, used)
            value = start + used
            size = number if tag & 7 == _LENGTH else 0
        if used > len(head) or tag & 7 not in (*_FIXED, _LENGTH, _VARINT) or value + size > end:
            raise _damaged(where)
        yield tag >> 3, start, value, value + size
        start = value + size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next one starts."""
    number = 0
    for place, byte in enumerate(content[at : at + 10]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    return 0, len(content) + 1


def _read(file: Any, start: int, size: int) -> bytes:
    file.seek(start)
    return bytes(file.read(size))


def _damaged(where: str) -> IntegrityError:
    return IntegrityError(say("no_saved_model", where=where, file=FILE))


@cache
def _classes(schema: str) -> dict[str, Any]:
    """Name of a message → its class, by one of two schemas.

    `meaning` is TensorFlow's own. `form` is how it is written: every field but a repeated one is
    there or not, a map is its entries, a number is as many bytes as it has, packed numbers are
    bytes.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    types = descriptor_pb2.FieldDescriptorProto
    meaning = schema == "meaning"
    package = f"tfspark.{schema}"
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3" if meaning else "proto2"
    )
    table = files("tfspark.registry").joinpath("saved_model_fields.txt").read_text()
    lines = [line.split() for line in table.splitlines()]
    messages: dict[str, Any] = {"": None}
    named = {line[0] for line in lines} | {line[3] for line in lines if _is_message(line[3])}
    for whole in named:
        parts = whole.split(".")
        for depth, own in enumerate(parts):
            outer, name = messages[".".join(parts[:depth])], ".".join(parts[: depth + 1])
            if name not in messages:
                place = outer.nested_type if outer else file.message_type
                messages[name] = place.add(name=own)
    del messages[""]
    for message, number, name, kind, *how in lines:
        several = bool(how) and how[0] in ("repeated", "map")
        label = types.LABEL_REPEATED if several else types.LABEL_OPTIONAL
        field = messages[message].field.add(name=name, number=int(number), label=label)
        if _is_message(kind):
            field.type, field.type_name = types.TYPE_MESSAGE, f".{package}.{kind}"
            messages[kind].options.map_entry = meaning and how == ["map"]
        else:
            field.type = types.Type.Value(f"TYPE_{_kind(kind, several, meaning).upper()}")
        if how and not several:
            groups = messages[message].oneof_decl
            group = how[0].removeprefix("one-of:")
            if group not in [known.name for known in groups]:
                groups.add(name=group)
            field.oneof_index = [known.name for known in groups].index(group)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _is_message(kind: str) -> bool:
    return kind[0].isupper()


def _kind(kind: str, several: bool, meaning: bool) -> str:
    if meaning:
        return "int32" if kind == "enum" else kind
    if several or kind in ("string", "bytes"):
        return "bytes"
    return _FIXED_KINDS.get(kind, "uint64")
