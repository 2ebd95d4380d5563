"""Models whose names, attributes and savers are not what they seem."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from tests.registry.hostile import CALL, Attr, Body, Cases, Change, function, named, node, save

CASES = Cases()

# Names.


@CASES.of("mlp")
def a_function_named_as_an_op(meta: Any) -> None:
    """The op `Relu` of a function then means the function, and it saves."""
    function(meta.graph_def.library, "Relu", save)
    Body(named(meta, "signature_wrapper").node_def, inside=True).add("Relu")
    node(meta, meta.saver_def.restore_op_name).attr["_more"].func.name = "Relu"


@CASES.of("mlp")
def a_function_named_as_an_internal_op(meta: Any) -> None:
    """What TensorFlow puts behind every function's results then means the function."""
    function(meta.graph_def.library, "_Retval", save)
    call = Body(named(meta, "traced_save").node_def, inside=True).add(CALL)
    named(meta, "traced_save").node_def[-1].attr["f"].func.name = "_Retval"
    assert call


@CASES.of("mlp")
def a_function_twice(meta: Any) -> None:
    library = meta.graph_def.library
    library.function.add().CopyFrom(library.function[0])


@CASES.of("mlp")
def a_node_twice(meta: Any) -> None:
    meta.graph_def.node.add().CopyFrom(meta.graph_def.node[0])


@CASES.of("mlp")
def a_node_named_as_an_argument(meta: Any) -> None:
    serving = named(meta, "signature_wrapper")
    serving.node_def[0].name = serving.signature.input_arg[0].name


@CASES.of("mlp")
def a_list_as_an_argument(meta: Any) -> None:
    named(meta, "signature_wrapper").signature.input_arg[0].number_attr = "N"


@CASES.of("mlp")
def a_function_that_is_missing(meta: Any) -> None:
    node(meta, CALL).attr["f"].func.name = "ReadFile"


# Attributes that name functions where the walk does not look.


@CASES.of("mlp")
def a_function_in_a_function_of_an_attribute(meta: Any) -> None:
    inner = function(meta.graph_def.library, "evil", save)
    node(meta, CALL).attr["f"].func.attr["g"].func.name = inner


@CASES.of("mlp")
def a_placeholder_attribute(meta: Any) -> None:
    node(meta, CALL).attr["g"].placeholder = "T"


# The saver.


def _serve_saves(meta: Any) -> None:
    """The serving function saves, and no object names it."""
    save(Body(named(meta, "signature_wrapper").node_def, inside=True), None)
    meta.object_graph_def.ClearField("concrete_functions")
    del meta.object_graph_def.nodes[:]


@CASES.of("mlp")
def a_saver_that_is_served(meta: Any) -> None:
    _serve_saves(meta)
    meta.saver_def.save_tensor_name = f"{CALL}:0"


@CASES.of("mlp")
def a_saver_that_another_node_uses(meta: Any) -> None:
    saves = meta.saver_def.save_tensor_name.split(":")[0]
    node(meta, CALL).input.append(f"^{saves}")


@CASES.of("mlp")
def a_saver_that_the_init_op_is(meta: Any) -> None:
    op = "__saved_model_init_op"
    meta.signature_def[op].outputs[op].name = meta.saver_def.save_tensor_name


@CASES.of("mlp")
def a_saver_in_a_collection(meta: Any) -> None:
    saves = meta.saver_def.save_tensor_name.split(":")[0]
    meta.collection_def["saved_model_main_op"].node_list.value[:] = [saves]


@CASES.of("mlp")
def a_saver_that_restores(meta: Any) -> None:
    meta.saver_def.restore_op_name = meta.saver_def.save_tensor_name.split(":")[0]


@CASES.of("mlp")
def a_saver_that_names_more(meta: Any) -> None:
    saves = meta.saver_def.save_tensor_name.split(":")[0]
    name = function(meta.graph_def.library, "evil", save)
    node(meta, saves).attr["_more"].func.name = name


@CASES.of("mlp")
def a_saver_that_an_object_names(meta: Any) -> None:
    """Not in the map of concrete functions, which the object graph need not have it in."""
    name = named(meta, "traced_save").signature.name
    meta.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = name


@CASES.of("mlp")
def a_saver_that_a_capture_names(meta: Any) -> None:
    name = named(meta, "traced_save").signature.name
    meta.object_graph_def.nodes.add().captured_tensor.concrete_function = name


@CASES.of("mlp")
def a_saver_that_an_interface_swaps(meta: Any) -> None:
    named(meta, "traced_save").attr["api_implements"].s = b"serve"


@CASES.of("mlp")
def a_saver_that_is_a_gradient(meta: Any) -> None:
    name = named(meta, "traced_save").signature.name
    meta.graph_def.library.registered_gradients.add(
        gradient_func=name, registered_op_type="CustomGradient"
    )


@CASES.of("mlp")
def a_restore_that_saves(meta: Any) -> None:
    saving, restoring = named(meta, "traced_save"), named(meta, "traced_restore")
    call = Body(restoring.node_def, inside=True).add(CALL, "file_prefix", name="evil")
    restoring.node_def[-1].attr["f"].func.name = saving.signature.name
    assert call


@CASES.of("mlp")
def a_restore_of_a_constant(meta: Any) -> None:
    body = Body(named(meta, "traced_restore").node_def, inside=True)
    path = body.const("/tmp/other")
    next(n for n in body.nodes if n.op == "RestoreV2").input[0] = path


@CASES.of("mlp")
def a_filename_that_is_a_constant(meta: Any) -> None:
    name = meta.saver_def.filename_tensor_name.split(":")[0]
    file = node(meta, name)
    file.op = "Const"
    file.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/tmp/other"))


# Resources are found by name, so none may be made of bytes.


@CASES.of("mlp")
def a_resource_of_bytes(meta: Any) -> None:
    tensor = tensor_pb2.TensorProto(dtype=20)
    tensor.resource_handle_val.add(name="Variable", container="localhost")
    Body(meta.graph_def.node, inside=False).add("Const", value=Attr(tensor=tensor), dtype=20)


@CASES.of("mlp")
def a_resource_of_text(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    body.add("ParseTensor", body.const("x"), out_type=20)


# Others.

_TEXT, _PATH = Attr(type=7), Attr(s=b"/tmp/owned")
REACHING: dict[str, dict[str, Attr]] = {
    "MatchingFiles": {},
    "WholeFileReaderV2": {},
    "FixedUnigramCandidateSampler": {"vocab_file": _PATH},
    "LoadAndRemapMatrix": {},
    "GenerateVocabRemapping": {},
    "ImmutableConst": {"memory_region_name": _PATH},
    "Save": {},
    "SaveSlices": {},
    "Restore": {},
    "CreateSummaryFileWriter": {},
    "WriteGraphSummary": {},
    "DebugIdentityV3": {"debug_urls": Attr(list=Attr.ListValue(s=[b"file:///tmp/owned"]))},
    "DebugNumericSummaryV2": {"output_debug_mode": Attr(i=2)},
    "DumpTensor": {},
    "CopyHost": {"debug_ops_spec": Attr(list=Attr.ListValue(s=[b"DebugIdentity;file:///tmp/x;0"]))},
    "CacheDatasetV2": {},
    "SnapshotDatasetV2": {},
    "TFRecordDatasetV2": {},
    "SqlDataset": {},
    "DataServiceDatasetV4": {},
    "RegisterDatasetV2": {},
    "SaveDatasetV2": {},
    "LoadDataset": {},
    "AssertNextDataset": {},
    "OneShotIterator": {},
    "EagerPyFunc": {"token": Attr(s=b"pyfunc_0")},
    "PyFuncStateless": {"token": Attr(s=b"pyfunc_0")},
    "XlaLaunch": {},
    "XlaHostCompute": {},
    "XlaCallModule": {},
    "TPUCompile": {},
    "TPUReplicate": {},
    "TPUPartitionedCall": {},
    "CollectiveReduceV2": {},
    "CollectiveBcastRecvV2": {},
    "RemoteCall": {},
    "SymbolicGradient": {},
    "Send": {},
    "_Send": {"send_device": Attr(s=b"/job:evil/task:0")},
    "_HostRecv": {},
    "DecodeProtoV2": {"descriptor_source": _PATH},
    "FileSystemSetConfiguration": {},
    "BigtableClient": {},
    "IO>FileRead": {},
    "Abort": {},
    "ReadFile\u200b": {},
    "Relu ": {},
    "relu": {},
    "": {},
}
"""Ops that reach for files, addresses, Python or other processes; and what is no op at all."""


def reaching(op: str) -> Change:
    """A change that adds the op to what is served."""

    def change(meta: Any) -> None:
        made = Body(meta.graph_def.node, inside=False).add(op, name="evil", **REACHING[op])
        node(meta, CALL).input.append(f"^{made.split(':')[0]}")

    return change


@CASES.of("mlp")
def an_op_by_the_name_of_a_function(meta: Any) -> None:
    """Python's loader calls a function whose name is an op of the graph."""
    name = function(meta.graph_def.library, "évil", save)
    Body(meta.graph_def.node, inside=False).add(name)


@CASES.of("mlp")
def a_saver_that_a_strange_control_input_needs(meta: Any) -> None:
    saves = meta.saver_def.save_tensor_name.split(":")[0]
    node(meta, CALL).input.append(f"^{saves}:0")


@CASES.of("mlp")
def a_line_to_a_file(meta: Any) -> None:
    body = Body(meta.graph_def.node, inside=False)
    body.add("PrintV2", body.const("x"), output_stream=Attr(s=b"file:///tmp/owned"))


@CASES.of("lookup")
def an_asset_outside(meta: Any) -> None:
    meta.asset_file_def[0].filename = "../../etc/passwd"
