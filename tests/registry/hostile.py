"""SavedModels that could do more than compute: the check must refuse every one of them.

Made of honest models, `mlp`, `lookup` (a table from an asset) and `old` (TensorFlow 1's), by
editing their bytes. Most are the product of what is done, where it stands, and TensorFlow's two
forms; the rest are named one by one, and `spec/hostile.yaml` has what is said of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.internal.encoder import _VarintBytes as varint
from tensorflow.core.framework import attr_value_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tests import saved_models as models
from tests.conftest import ROOT
from tfspark.errors import IntegrityError, UnsafeModelError
from tfspark.registry.safety import check_ops

CALL = "StatefulPartitionedCall"
_OUTPUTS = {"Const": "output", "HashTableV2": "table_handle", "Identity": "output"}
Attr = attr_value_pb2.AttrValue
Change = Callable[[Any], None]


class Body:
    """The nodes of a main graph or of a function, which name tensors differently."""

    def __init__(self, nodes: Any, inside: bool) -> None:
        self.nodes, self.inside = nodes, inside

    def add(self, op: str, *inputs: str, name: str = "", **attrs: Any) -> str:
        node = self.nodes.add(name=name or f"evil_{op}_{len(self.nodes)}", op=op, input=inputs)
        for key, value in attrs.items():
            node.attr[key].CopyFrom(value if isinstance(value, Attr) else Attr(type=value))
        output = f":{_OUTPUTS.get(op, 'y')}:0" if self.inside else ":0"
        return f"{node.name}{output}"

    def const(self, value: Any) -> str:
        tensor = tf.make_tensor_proto(value)
        return self.add("Const", value=Attr(tensor=tensor), dtype=tensor.dtype)


def write_file(body: Body, library: Any) -> str:
    return body.add("WriteFile", body.const("/tmp/owned"), body.const("x"))


def read_file(body: Body, library: Any) -> str:
    return body.add("ReadFile", body.const("/etc/passwd"))


def save(body: Body, library: Any) -> str:
    names, slices = body.const(["x"]), body.const([""])
    types = Attr(list=Attr.ListValue(type=[1]))
    return body.add("SaveV2", body.const("/tmp/x"), names, slices, body.const(1.0), dtypes=types)


def restore(body: Body, library: Any) -> str:
    names, slices = body.const(["x"]), body.const([""])
    types = Attr(list=Attr.ListValue(type=[1]))
    return body.add("RestoreV2", body.const("/tmp/x"), names, slices, dtypes=types)


def table(body: Body, library: Any) -> str:
    handle = body.add("HashTableV2", key_dtype=7, value_dtype=9)
    op = "InitializeTableFromTextFileV2"
    return body.add(op, handle, body.const("/etc/passwd"), key_index=Attr(i=-2))


def python(body: Body, library: Any) -> str:
    return body.add("PyFunc", body.const("x"), token=Attr(s=b"pyfunc_0"))


def dataset(body: Body, library: Any) -> str:
    """A pipeline whose function reads a file."""
    inner = function(library, "evil_map", read_file)
    data = body.add("TensorSliceDataset", body.const(["/etc/passwd"]))
    return body.add("MapDataset", data, f=Attr(func=attr_value_pb2.NameAttrList(name=inner)))


PAYLOADS = (write_file, read_file, save, restore, table, python, dataset)


def function(library: Any, name: str, payload: Callable[[Body, Any], str]) -> str:
    added = library.function.add()
    added.signature.name = name
    payload(Body(added.node_def, inside=True), library)
    return name


def named(meta: Any, part: str) -> Any:
    """The function whose name has that part."""
    return next(f for f in meta.graph_def.library.function if part in f.signature.name)


def node(meta: Any, name: str) -> Any:
    return next(n for n in meta.graph_def.node if n.name == name)


def in_main(meta: Any, payload: Any) -> None:
    made = payload(Body(meta.graph_def.node, inside=False), meta.graph_def.library)
    node(meta, CALL).input.append(f"^{made.split(':')[0]}")


def in_function(meta: Any, payload: Any) -> None:
    serving = named(meta, "signature_wrapper")
    payload(Body(serving.node_def, inside=True), meta.graph_def.library)


def in_init_op(meta: Any, payload: Any) -> None:
    made = payload(Body(meta.graph_def.node, inside=False), meta.graph_def.library)
    op = "__saved_model_init_op"
    meta.signature_def[op].outputs[op].name = made.split(":")[0]


def in_restore(meta: Any, payload: Any) -> None:
    traced = named(meta, "traced_restore")
    payload(Body(traced.node_def, inside=True), meta.graph_def.library)


def in_collection(meta: Any, payload: Any) -> None:
    made = payload(Body(meta.graph_def.node, inside=False), meta.graph_def.library)
    meta.collection_def["saved_model_main_op"].node_list.value[:] = [made.split(":")[0]]


def in_gradient(meta: Any, payload: Any) -> None:
    library = meta.graph_def.library
    name = function(library, "evil_gradient", payload)
    library.gradient.add(function_name=library.function[0].signature.name, gradient_func=name)


def in_attribute(meta: Any, payload: Any) -> None:
    name = function(meta.graph_def.library, "evil_attribute", payload)
    node(meta, CALL).attr["_evil"].func.name = name


PLACES = (in_main, in_function, in_init_op, in_restore, in_collection, in_gradient, in_attribute)


class Cases(dict[str, Callable[["Honest"], bytes]]):
    """Hostile models by name: functions that make them of honest ones."""

    def of(self, name: str) -> Callable[[Change], Change]:
        """A change of the meta graph of `mlp`, `lookup` or `old`."""

        def register(change: Change) -> Change:
            self[change.__name__] = lambda honest: edited(getattr(honest, name), change)
            return change

        return register

    def raw(self, make: Callable[[Honest], bytes]) -> Callable[[Honest], bytes]:
        """A change of a model's bytes."""
        self[make.__name__] = make
        return make


class Honest:
    """The models that hostile ones are made of, and small ones to damage."""

    def __init__(self, folder: Path) -> None:
        made = models.mlp(folder / "mlp"), models.lookup(folder / "lookup", folder / "words.txt")
        files = (Path(path, "saved_model.pb").read_bytes() for path in made)
        self.mlp, self.lookup = (edited(content, in_order) for content in files)
        old = ROOT / "tests" / "old"
        self.old = (old / "estimator" / "saved_model.pb").read_bytes()
        self.seeds = [self.mlp, self.lookup, (old / "unnamed" / "saved_model.pb").read_bytes()]


def in_order(meta: Any) -> None:
    """TensorFlow writes functions in an order that is another one in another process."""
    meta.graph_def.library.function.sort(key=lambda f: re.sub(r"\d+", "", f.signature.name))


def edited(content: bytes, change: Callable[[Any], None]) -> bytes:
    """A SavedModel with its meta graph changed."""
    model = saved_model_pb2.SavedModel.FromString(content)
    change(model.meta_graphs[0])
    return bytes(model.SerializeToString(deterministic=True))


def product(honest: Honest) -> Iterator[tuple[str, bytes]]:
    """Every payload in every place, in both of TensorFlow's forms."""
    for payload in PAYLOADS:
        for place in PLACES:

            def change(meta: Any, payload: Any = payload, place: Any = place) -> None:
                place(meta, payload)

            made = edited(honest.mlp, change)
            name = f"{payload.__name__} {place.__name__}"
            yield f"{name} 2", made
            yield f"{name} 1", edited(made, lambda meta: meta.ClearField("object_graph_def"))


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, as protobuf writes it."""
    return bytes(varint(number << 3 | 2)) + bytes(varint(len(content))) + content


def appended(content: bytes, more: bytes) -> bytes:
    """A SavedModel with these bytes behind those of its one meta graph."""
    meta = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].SerializeToString()
    return b"\x08\x01" + field(2, meta + more)


def said(folder: Path, content: bytes, tensorflow: bool = False) -> tuple[str, str]:
    """The class and the text with which a model is refused; empty if it is not."""
    (folder / "saved_model.pb").write_bytes(content)
    try:
        check_ops(str(folder), tensorflow)
    except (IntegrityError, UnsafeModelError) as error:
        return type(error).__name__, str(error)
    return "", ""


def plain(text: str, folder: Path) -> str:
    """A text without what differs from one export to the next."""
    return re.sub(r"_\d+", "_N", text.replace(str(folder), "FOLDER"))
