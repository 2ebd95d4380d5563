"""`saved_model.pb` read without TensorFlow: the few of its protobuf fields that are needed here.

Fields that are not named below are skipped. Big parts are declared as bytes, parsed when somebody
asks, and not even read for a signature. Maps are written as what they are on the wire, entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from tfspark import storage
from tfspark.errors import IntegrityError

FILE = "saved_model.pb"
_META_GRAPHS = 2
_LARGE = {2, 7}  # of a MetaGraph: its graph and its objects
_VARINT, _LENGTH, _FIXED = 0, 2, {1: 8, 5: 4}  # protobuf's wire types; sizes of the fixed ones

_STRING_MAP = {"key": "string 1", "value": "string 2"}
_MESSAGES: dict[str, dict[str, str]] = {
    "SavedModel": {"meta_graphs": "MetaGraph* 2"},
    "MetaGraph": {
        "info": "Info 1",
        "graph": "bytes 2",  # a Graph
        "saver": "Saver 3",
        "signatures": "SignatureEntry* 5",
        "assets": "Asset* 6",
        "objects": "bytes 7",  # an ObjectGraph
    },
    "Info": {"tags": "string* 4"},
    "Saver": {"filename": "string 1", "save": "string 2", "restore": "string 3"},
    "SignatureEntry": {"key": "string 1", "value": "Signature 2"},
    "Signature": {"inputs": "TensorEntry* 1", "outputs": "TensorEntry* 2"},
    "TensorEntry": {"key": "string 1", "value": "Tensor 2"},
    "Tensor": {
        "name": "string 1",
        "dtype": "int32 2",
        "shape": "Shape 3",
        "sparse": "bytes 4",
        "composite": "bytes 5",
    },
    "Shape": {"dim": "Dim* 2", "unknown_rank": "bool 3"},
    "Dim": {"size": "int64 1"},
    "Asset": {"tensor": "Tensor 1", "filename": "string 2"},
    "Graph": {"nodes": "Node* 1", "library": "Library 2"},
    "Library": {"functions": "Function* 1"},
    "Function": {"head": "FunctionHead 1", "nodes": "Node* 3", "ret": "StringEntry* 4"},
    "FunctionHead": {"name": "string 1", "args": "Arg* 2"},
    "Arg": {"name": "string 1"},
    "StringEntry": _STRING_MAP,
    "Node": {"name": "string 1", "op": "string 2", "inputs": "string* 3", "attrs": "AttrEntry* 5"},
    "AttrEntry": {"key": "string 1", "value": "Attr 2"},
    "Attr": {"items": "AttrList 1", "s": "bytes 2", "func": "FuncAttr 10"},
    "AttrList": {"funcs": "FuncAttr* 9"},
    "FuncAttr": {"name": "string 1"},
    "ObjectGraph": {"nodes": "Object* 1", "functions": "ConcreteEntry* 2"},
    "Object": {"asset": "ObjectAsset 5"},
    "ObjectAsset": {"index": "int32 1"},
    "ConcreteEntry": {"key": "string 1", "value": "Concrete 2"},
    "Concrete": {"bound_inputs": "int32* 2"},
}


def parse(message: str, content: bytes, where: str) -> Any:
    """One of the messages above from its bytes.

    Raises:
        IntegrityError: the bytes are cut off or no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        return _classes()[message].FromString(content)
    except DecodeError:
        raise IntegrityError(
            f"{where}: is no {FILE}: it was damaged or cut off; copy it again"
        ) from None


def read_saved_model(folder: str) -> Any:
    """The `SavedModel` of a folder; its graphs are not parsed yet."""
    path = storage.join(folder, FILE)
    model = parse("SavedModel", storage.read_bytes(path), path)
    if not model.meta_graphs:
        raise IntegrityError(f"{path}: holds no graph: it was damaged or cut off; copy it again")
    return model


def read_heads(folder: str) -> list[Any]:
    """The meta graphs of a folder without their graphs: milliseconds, whatever the size.

    Raises:
        IntegrityError: the file is cut off or no SavedModel.
    """
    path = storage.join(folder, FILE)
    fs, inner = storage.filesystem(path)
    heads = []
    with fs.open_input_file(inner) as file:
        for number, _, start, end in _fields(file, 0, file.size(), path):
            if number == _META_GRAPHS:
                inside = _fields(file, start, end, path)
                small = [(at, to) for field, at, _, to in inside if field not in _LARGE]
                content = b"".join(_read(file, at, to - at) for at, to in small)
                heads.append(parse("MetaGraph", content, path))
    if not heads:
        raise IntegrityError(f"{path}: holds no graph: it was damaged or cut off; copy it again")
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
            raise IntegrityError(f"{where}: it was damaged or cut off; copy it again")
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


@cache
def _classes() -> dict[str, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="tfspark/savedmodel.proto", package="tfspark", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, declared in fields.items():
            kind, number = declared.split()
            label = field_type.LABEL_REPEATED if kind.endswith("*") else field_type.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            entry = message.field.add(name=field, number=int(number), label=label)
            if kind in _MESSAGES:
                entry.type, entry.type_name = field_type.TYPE_MESSAGE, f".tfspark.{kind}"
            else:
                entry.type = field_type.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tfspark.{name}"))
        for name in _MESSAGES
    }
