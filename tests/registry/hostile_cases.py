"""Hostile models that are named one by one: `spec/hostile.yaml` has what is said of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from tests.registry.hostile import (
    CALL,
    Attr,
    Body,
    Honest,
    appended,
    edited,
    field,
    function,
    named,
    node,
    save,
    table,
)

Case = Callable[[Honest], bytes]
CASES: dict[str, Case] = {}
_FILE = "asset_path_initializer"


def case(of: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """A change of a model's meta graph; its name is that of the case."""

    def register(change: Callable[[Any], None]) -> Callable[[Any], None]:
        CASES[change.__name__] = lambda honest: edited(getattr(honest, of), change)
        return change

    return register


def raw(make: Case) -> Case:
    """A change of a model's bytes."""
    CASES[make.__name__] = make
    return make


# What protobuf reads in more ways than one.


@raw
def a_second_graph(honest: Honest) -> bytes:
    return appended(honest.mlp, field(2, b""))


@raw
def a_second_object_graph(honest: Honest) -> bytes:
    return appended(honest.mlp, field(7, b""))


@raw
def an_asset_that_is_a_constant(honest: Honest) -> bytes:
    made = field(1, field(5, b"") + field(9, field(1, b"Const")))  # after the honest ones
    return appended(
        edited(honest.lookup, lambda m: m.ClearField("object_graph_def")), field(7, made)
    )


@raw
def an_attribute_of_two_kinds(honest: Honest) -> bytes:
    value = field(10, field(1, b"f")) + field(2, b"x")
    evil = field(1, field(1, b"n") + field(2, b"Relu") + field(5, field(1, b"k") + field(2, value)))
    cleared = edited(honest.mlp, lambda meta: meta.ClearField("graph_def"))
    return appended(cleared, field(2, evil))


@raw
def an_unknown_field(honest: Honest) -> bytes:
    return appended(honest.mlp, field(99, b"x"))


@raw
def a_group(honest: Honest) -> bytes:
    return appended(honest.mlp, b"\x9b\x06\x9c\x06")


@raw
def nested_groups(honest: Honest) -> bytes:
    """100 kB in a map's entry: parsers that recurse run out of stack."""
    entry = field(1, b"k") + b"\x1b" * 50_000 + b"\x1c" * 50_000
    return appended(honest.mlp, field(5, entry))


@raw
def a_long_number(honest: Honest) -> bytes:
    return honest.mlp.replace(b"\x08\x01", b"\x08\x81\x00", 1)


@raw
def numbers_that_are_not_packed(honest: Honest) -> bytes:
    concrete = field(2, field(1, b"f") + field(2, b"\x10\x00\x10\x01"))
    cleared = edited(honest.mlp, lambda meta: meta.ClearField("object_graph_def"))
    return appended(cleared, field(7, concrete))


@raw
def a_map_entry_of_two_values(honest: Honest) -> bytes:
    return appended(honest.mlp, field(5, field(1, b"k") + field(2, b"") + field(2, b"")))


@raw
def deep_attributes(honest: Honest) -> bytes:
    """A function in an attribute of a function in an attribute, 60 times."""
    value = b""
    for _ in range(60):
        value = field(10, field(1, b"f") + field(2, field(1, b"k") + field(2, value)))
    evil = field(1, field(1, b"n") + field(2, b"Relu") + field(5, field(1, b"k") + field(2, value)))
    cleared = edited(honest.mlp, lambda meta: meta.ClearField("graph_def"))
    return appended(cleared, field(2, evil))


@raw
def no_graph(honest: Honest) -> bytes:
    return b"\x08\x01"


@raw
def two_graphs(honest: Honest) -> bytes:
    return honest.mlp + honest.mlp[2:]


# Names.


@case("mlp")
def a_function_named_as_an_op(meta: Any) -> None:
    """The op `Relu` of a function then means the function, and it saves."""
    function(meta.graph_def.library, "Relu", save)
    Body(named(meta, "signature_wrapper").node_def, inside=True).add("Relu")
    node(meta, meta.saver_def.restore_op_name).attr["_more"].func.name = "Relu"


@case("mlp")
def a_function_twice(meta: Any) -> None:
    library = meta.graph_def.library
    library.function.add().CopyFrom(library.function[0])


@case("mlp")
def a_node_twice(meta: Any) -> None:
    meta.graph_def.node.add().CopyFrom(meta.graph_def.node[0])


@case("mlp")
def a_node_named_as_an_argument(meta: Any) -> None:
    serving = named(meta, "signature_wrapper")
    serving.node_def[0].name = serving.signature.input_arg[0].name


@case("mlp")
def a_list_as_an_argument(meta: Any) -> None:
    named(meta, "signature_wrapper").signature.input_arg[0].number_attr = "N"


@case("mlp")
def a_function_that_is_missing(meta: Any) -> None:
    node(meta, CALL).attr["f"].func.name = "ReadFile"


# Attributes that name functions where the walk does not look.


@case("mlp")
def a_function_in_a_function_of_an_attribute(meta: Any) -> None:
    inner = function(meta.graph_def.library, "evil", save)
    node(meta, CALL).attr["f"].func.attr["g"].func.name = inner


@case("mlp")
def a_placeholder_attribute(meta: Any) -> None:
    node(meta, CALL).attr["g"].placeholder = "T"


# The saver.


def _serve_saves(meta: Any) -> None:
    """The serving function saves, and no object names it."""
    save(Body(named(meta, "signature_wrapper").node_def, inside=True), None)
    meta.object_graph_def.ClearField("concrete_functions")
    del meta.object_graph_def.nodes[:]


@case("mlp")
def a_saver_that_is_served(meta: Any) -> None:
    _serve_saves(meta)
    meta.saver_def.save_tensor_name = f"{CALL}:0"


@case("mlp")
def a_saver_that_another_node_uses(meta: Any) -> None:
    saves = meta.saver_def.save_tensor_name.split(":")[0]
    node(meta, CALL).input.append(f"^{saves}")


@case("mlp")
def a_saver_that_the_init_op_is(meta: Any) -> None:
    op = "__saved_model_init_op"
    meta.signature_def[op].outputs[op].name = meta.saver_def.save_tensor_name


@case("mlp")
def a_saver_in_a_collection(meta: Any) -> None:
    saves = meta.saver_def.save_tensor_name.split(":")[0]
    meta.collection_def["saved_model_main_op"].node_list.value[:] = [saves]


@case("mlp")
def a_saver_that_restores(meta: Any) -> None:
    meta.saver_def.restore_op_name = meta.saver_def.save_tensor_name.split(":")[0]


@case("mlp")
def a_saver_that_names_more(meta: Any) -> None:
    saves = meta.saver_def.save_tensor_name.split(":")[0]
    name = function(meta.graph_def.library, "evil", save)
    node(meta, saves).attr["_more"].func.name = name


@case("mlp")
def a_saver_that_an_object_names(meta: Any) -> None:
    """Not in the map of concrete functions, which the object graph need not have it in."""
    name = named(meta, "traced_save").signature.name
    meta.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = name


@case("mlp")
def a_saver_that_a_capture_names(meta: Any) -> None:
    name = named(meta, "traced_save").signature.name
    meta.object_graph_def.nodes.add().captured_tensor.concrete_function = name


@case("mlp")
def a_saver_that_an_interface_swaps(meta: Any) -> None:
    named(meta, "traced_save").attr["api_implements"].s = b"serve"


@case("mlp")
def a_saver_that_is_a_gradient(meta: Any) -> None:
    name = named(meta, "traced_save").signature.name
    meta.graph_def.library.registered_gradients.add(
        gradient_func=name, registered_op_type="CustomGradient"
    )


@case("mlp")
def a_restore_that_saves(meta: Any) -> None:
    saving, restoring = named(meta, "traced_save"), named(meta, "traced_restore")
    call = Body(restoring.node_def, inside=True).add(CALL, "file_prefix", name="evil")
    restoring.node_def[-1].attr["f"].func.name = saving.signature.name
    assert call


@case("mlp")
def a_restore_of_a_constant(meta: Any) -> None:
    body = Body(named(meta, "traced_restore").node_def, inside=True)
    path = body.const("/tmp/other")
    next(n for n in body.nodes if n.op == "RestoreV2").input[0] = path


@case("mlp")
def a_filename_that_is_a_constant(meta: Any) -> None:
    name = meta.saver_def.filename_tensor_name.split(":")[0]
    file = node(meta, name)
    file.op = "Const"
    file.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/tmp/other"))


# Tables.


def _by_nobody(meta: Any) -> Any:
    """The call of the initialiser in the main graph, once no object names the function."""
    meta.object_graph_def.ClearField("concrete_functions")
    del meta.object_graph_def.nodes[:]
    return node(meta, f"{CALL}_1")


@case("lookup")
def a_table_of_a_constant_in_the_main_graph(meta: Any) -> None:
    path = Body(meta.graph_def.node, inside=False).const("/etc/passwd")
    node(meta, f"{CALL}_1").input[0] = path


@case("lookup")
def a_table_that_nobody_fills(meta: Any) -> None:
    call = _by_nobody(meta)
    call.op = "NoOp"
    call.ClearField("attr")


@case("lookup")
def a_table_that_a_signature_feeds(meta: Any) -> None:
    meta.signature_def["serving_default"].inputs["word"].name = f"{_FILE}:0"


@case("lookup")
def a_table_that_a_signature_feeds_later(meta: Any) -> None:
    meta.signature_def["serving_default"].inputs["word"].name = "ReadVariableOp:0"


@case("lookup")
def a_table_whose_path_is_changed(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    body.add("AssignVariableOp", "Variable", body.const("/etc/passwd"), dtype=7)


@case("lookup")
def a_table_whose_path_is_handed_on(meta: Any) -> None:
    node(meta, CALL).input.append("Variable")


@case("lookup")
def a_table_whose_path_has_a_second_handle(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    handle = body.add("VarHandleOp", shared_name=Attr(s=b"Variable"), dtype=7)
    body.add("AssignVariableOp", handle, body.const("/etc/passwd"), dtype=7)


@case("lookup")
def a_table_whose_path_a_function_may_change(meta: Any) -> None:
    body = Body(named(meta, "signature_wrapper").node_def, inside=True)
    body.add("VarHandleOp", shared_name=Attr(s=b"Variable"), dtype=7)


@case("lookup")
def a_table_whose_path_is_read_from_itself(meta: Any) -> None:
    assign = node(meta, "Variable/Assign")
    assign.input[1] = "Variable"


@case("lookup")
def a_table_whose_object_is_no_asset(meta: Any) -> None:
    for entry in meta.object_graph_def.nodes:
        if entry.HasField("asset"):
            entry.constant.operation = "Const"


@case("lookup")
def a_table_whose_asset_is_not_there(meta: Any) -> None:
    for entry in meta.object_graph_def.nodes:
        if entry.HasField("asset"):
            entry.asset.asset_file_def_index = 7


@case("lookup")
def a_table_that_only_an_object_names(meta: Any) -> None:
    """Python then calls the function with what it is given."""
    del meta.object_graph_def.concrete_functions[named(meta, "_initializer").signature.name]


@case("lookup")
def a_table_that_an_interface_swaps(meta: Any) -> None:
    named(meta, "_initializer").attr["api_implements"].s = b"fill"


@case("lookup")
def a_table_in_a_branch(meta: Any) -> None:
    call = _by_nobody(meta)
    call.op = "If"
    call.attr["then_branch"].CopyFrom(call.attr.pop("f"))


@case("mlp")
def a_table_of_functions(meta: Any) -> None:
    """30 functions, each calls the one before twice: 2^30 ways to the table."""
    library = meta.graph_def.library
    for level in range(31):
        added = library.function.add()
        added.signature.name = f"f{level}"
        added.signature.input_arg.add(name="path")
        body = Body(added.node_def, inside=True)
        if level:
            for name in ("a", "b"):
                body.add(CALL, "path", name=name, f=Attr(func={"name": f"f{level - 1}"}))
        else:
            handle = body.add("HashTableV2", key_dtype=7, value_dtype=9)
            body.add("InitializeTableFromTextFileV2", handle, "path")
    body = Body(meta.graph_def.node, inside=False)
    body.add(CALL, body.const("/etc/passwd"), f=Attr(func={"name": "f30"}))


@case("mlp")
def a_table_of_itself(meta: Any) -> None:
    body = Body(named(meta, "signature_wrapper").node_def, inside=True)
    handle = body.add("HashTableV2", key_dtype=7, value_dtype=9)
    path = body.add("Identity", "i:output:0", name="i", T=7)
    body.add("InitializeTableFromTextFileV2", handle, path)


@case("mlp")
def a_table_of_nothing(meta: Any) -> None:
    body = Body(named(meta, "signature_wrapper").node_def, inside=True)
    handle = body.add("HashTableV2", key_dtype=7, value_dtype=9)
    body.add("InitializeTableFromTextFileV2", handle, body.add("Identity", T=7))


@case("mlp")
def a_table_of_a_function_that_calls_itself(meta: Any) -> None:
    added = meta.graph_def.library.function.add()
    added.signature.name = "again"
    added.signature.input_arg.add(name="path")
    body = Body(added.node_def, inside=True)
    table(body, None)
    body.nodes[-1].input[1] = "path"
    body.add(CALL, "path", f=Attr(func={"name": "again"}))


# Resources are found by name, so none may be made of bytes.


@case("mlp")
def a_resource_of_bytes(meta: Any) -> None:
    tensor = tensor_pb2.TensorProto(dtype=20)
    tensor.resource_handle_val.add(name="Variable", container="localhost")
    Body(meta.graph_def.node, inside=False).add("Const", value=Attr(tensor=tensor), dtype=20)


@case("mlp")
def a_resource_of_text(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    body.add("ParseTensor", body.const("x"), out_type=20)


# Others.


@case("mlp")
def a_line_to_a_file(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    body.add("PrintV2", body.const("x"), output_stream=Attr(s=b"file:///tmp/owned"))


@case("lookup")
def an_asset_outside(meta: Any) -> None:
    meta.asset_file_def[0].filename = "../../etc/passwd"


@case("mlp")
def the_form_of_tensorflow_1(meta: Any) -> None:
    meta.ClearField("object_graph_def")
