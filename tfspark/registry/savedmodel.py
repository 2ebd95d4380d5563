"""`saved_model.pb` read without TensorFlow: the few of its protobuf fields that are needed here.

Fields that are not named below are skipped. Big parts are declared as bytes, so that reading a
signature does not parse a graph. Maps are written as what they are on the wire, entries.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tfspark import storage
from tfspark.errors import IntegrityError

FILE = "saved_model.pb"

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
    except DecodeError as error:
        raise IntegrityError(
            f"{where}: is no {FILE} ({error}): it was damaged or cut off; copy it again"
        ) from None


def read_saved_model(folder: str) -> Any:
    """The `SavedModel` of a folder; its graphs are not parsed yet."""
    path = storage.join(folder, FILE)
    model = parse("SavedModel", storage.read_bytes(path), path)
    if not model.meta_graphs:
        raise IntegrityError(f"{path}: holds no graph: it was damaged or cut off; copy it again")
    return model


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
