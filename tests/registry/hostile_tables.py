"""Models whose lookup tables read files that are no assets, or take the check in circles."""

from __future__ import annotations

from typing import Any

from tests.registry.hostile import CALL, Attr, Body, Cases, named, node, table

CASES = Cases()
_FILE = "asset_path_initializer"


def _by_nobody(meta: Any) -> Any:
    """The call of the initialiser in the main graph, once no object names the function."""
    meta.object_graph_def.ClearField("concrete_functions")
    del meta.object_graph_def.nodes[:]
    return node(meta, f"{CALL}_1")


@CASES.of("lookup")
def a_table_of_a_constant_in_the_main_graph(meta: Any) -> None:
    path = Body(meta.graph_def.node, inside=False).const("/etc/passwd")
    node(meta, f"{CALL}_1").input[0] = path


@CASES.of("lookup")
def a_table_that_nobody_fills(meta: Any) -> None:
    call = _by_nobody(meta)
    call.op = "NoOp"
    call.ClearField("attr")


@CASES.of("lookup")
def a_table_that_a_signature_feeds(meta: Any) -> None:
    meta.signature_def["serving_default"].inputs["word"].name = f"{_FILE}:0"


@CASES.of("lookup")
def a_table_that_a_signature_feeds_later(meta: Any) -> None:
    meta.signature_def["serving_default"].inputs["word"].name = "ReadVariableOp:0"


@CASES.of("lookup")
def a_table_whose_path_is_changed(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    body.add("AssignVariableOp", "Variable", body.const("/etc/passwd"), dtype=7)


@CASES.of("lookup")
def a_table_whose_path_is_handed_on(meta: Any) -> None:
    node(meta, CALL).input.append("Variable")


@CASES.of("lookup")
def a_table_whose_path_has_a_second_handle(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    handle = body.add("VarHandleOp", shared_name=Attr(s=b"Variable"), dtype=7)
    body.add("AssignVariableOp", handle, body.const("/etc/passwd"), dtype=7)


@CASES.of("lookup")
def a_table_whose_path_a_function_may_change(meta: Any) -> None:
    body = Body(named(meta, "signature_wrapper").node_def, inside=True)
    body.add("VarHandleOp", shared_name=Attr(s=b"Variable"), dtype=7)


@CASES.of("lookup")
def a_table_whose_path_is_read_from_itself(meta: Any) -> None:
    assign = node(meta, "Variable/Assign")
    assign.input[1] = "Variable"


@CASES.of("lookup")
def a_table_whose_object_is_no_asset(meta: Any) -> None:
    for entry in meta.object_graph_def.nodes:
        if entry.HasField("asset"):
            entry.constant.operation = "Const"


@CASES.of("lookup")
def a_table_whose_asset_is_not_there(meta: Any) -> None:
    for entry in meta.object_graph_def.nodes:
        if entry.HasField("asset"):
            entry.asset.asset_file_def_index = 7


@CASES.of("lookup")
def a_table_that_only_an_object_names(meta: Any) -> None:
    """Python then calls the function with what it is given."""
    del meta.object_graph_def.concrete_functions[named(meta, "_initializer").signature.name]


@CASES.of("lookup")
def a_table_that_an_interface_swaps(meta: Any) -> None:
    named(meta, "_initializer").attr["api_implements"].s = b"fill"


@CASES.of("lookup")
def a_table_in_a_branch(meta: Any) -> None:
    call = _by_nobody(meta)
    call.op = "If"
    call.attr["then_branch"].CopyFrom(call.attr.pop("f"))


@CASES.of("mlp")
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


@CASES.of("mlp")
def a_table_of_itself(meta: Any) -> None:
    body = Body(named(meta, "signature_wrapper").node_def, inside=True)
    handle = body.add("HashTableV2", key_dtype=7, value_dtype=9)
    path = body.add("Identity", "i:output:0", name="i", T=7)
    body.add("InitializeTableFromTextFileV2", handle, path)


@CASES.of("mlp")
def a_table_of_nothing(meta: Any) -> None:
    body = Body(named(meta, "signature_wrapper").node_def, inside=True)
    handle = body.add("HashTableV2", key_dtype=7, value_dtype=9)
    body.add("InitializeTableFromTextFileV2", handle, body.add("Identity", T=7))


@CASES.of("mlp")
def a_table_of_a_function_that_calls_itself(meta: Any) -> None:
    added = meta.graph_def.library.function.add()
    added.signature.name = "again"
    added.signature.input_arg.add(name="path")
    body = Body(added.node_def, inside=True)
    table(body, None)
    body.nodes[-1].input[1] = "path"
    body.add(CALL, "path", f=Attr(func={"name": "again"}))
