"""TensorFlow 1's models (`tests/old`) made to do more: there the main graph is all there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorflow.core.framework import variable_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from tests.registry.hostile import PAYLOADS, Body, Cases, Honest, edited, node, write_file

CASES = Cases()
_INIT, _PATH, _TABLE = "init_all_tables", "asset_path", "text_file_init"


def _behind(meta: Any, name: str, made: str) -> None:
    """Have a node stand on another one."""
    node(meta, name).input.append(f"^{made.split(':')[0]}")


def _first(meta: Any, name: str) -> None:
    meta.collection_def["saved_model_main_op"].node_list.value[:] = [name.split(":")[0]]


def _no_init_op(meta: Any) -> None:
    """TensorFlow runs what it does by default."""
    del meta.collection_def["saved_model_main_op"]


def _local(meta: Any, name: str) -> None:
    variable = variable_pb2.VariableDef(variable_name="v:0", initializer_name=name.split(":")[0])
    local = meta.collection_def["local_variables"].bytes_list.value
    local.append(variable.SerializeToString())
    _no_init_op(meta)


def in_scores(meta: Any, made: str) -> None:
    _behind(meta, "mul", made)


def in_main_op(meta: Any, made: str) -> None:
    _first(meta, made)


def below_main_op(meta: Any, made: str) -> None:
    _behind(meta, "init_all_tables_1", made)
    _first(meta, "init_all_tables_1")


def in_legacy_init_op(meta: Any, made: str) -> None:
    _no_init_op(meta)
    meta.collection_def["legacy_init_op"].node_list.value[:] = [made.split(":")[0]]


def in_table_initializer(meta: Any, made: str) -> None:
    _no_init_op(meta)
    meta.collection_def["table_initializer"].node_list.value.append(made.split(":")[0])


def in_local_variable(meta: Any, made: str) -> None:
    _local(meta, made)


def in_restore(meta: Any, made: str) -> None:
    _behind(meta, "save/restore_shard", made)


PLACES = (
    in_scores,
    in_main_op,
    below_main_op,
    in_legacy_init_op,
    in_table_initializer,
    in_local_variable,
    in_restore,
)


def product(honest: Honest) -> Iterator[tuple[str, bytes]]:
    """Every payload in every place that TensorFlow 1 runs."""
    for payload in PAYLOADS:
        for place in PLACES:

            def change(meta: Any, payload: Any = payload, place: Any = place) -> None:
                body = Body(meta.graph_def.node, inside=False)
                place(meta, payload(body, meta.graph_def.library))

            yield f"{payload.__name__} {place.__name__} old", edited(honest.old, change)


@CASES.of("old")
def an_old_init_op_that_writes(meta: Any) -> None:
    in_main_op(meta, write_file(Body(meta.graph_def.node, inside=False), None))


@CASES.of("old")
def an_old_table_that_writes(meta: Any) -> None:
    in_table_initializer(meta, write_file(Body(meta.graph_def.node, inside=False), None))


@CASES.of("old")
def an_old_variable_that_writes(meta: Any) -> None:
    in_local_variable(meta, write_file(Body(meta.graph_def.node, inside=False), None))


# The saver: its ops are the model's own.


@CASES.of("old")
def an_old_saver_of_another_file(meta: Any) -> None:
    path = Body(meta.graph_def.node, inside=False).const("/tmp/other")
    node(meta, "save/RestoreV2").input[0] = path


@CASES.of("old")
def an_old_saver_whose_file_is_computed(meta: Any) -> None:
    node(meta, "save/RestoreV2").input[0] = "save/StringJoin"


@CASES.of("old")
def an_old_saver_of_another_name(meta: Any) -> None:
    """The file that is fed is another one than the one that is read."""
    meta.saver_def.filename_tensor_name = "save/filename:0"


@CASES.of("old")
def an_old_saver_that_restores_by_saving(meta: Any) -> None:
    meta.saver_def.restore_op_name = "save/Identity_4"


@CASES.of("old")
def an_old_saver_that_is_scored(meta: Any) -> None:
    in_scores(meta, "save/Identity_4")


@CASES.of("old")
def an_old_saver_below_an_input(meta: Any) -> None:
    """Which is fed, and so not run; what is opened holds it all the same."""
    body = Body(meta.graph_def.node, inside=False)
    made = body.add("Identity", body.const(["x"]), "^save/Identity_4", name="more", T=7)
    meta.signature_def["regress"].inputs["more"].name = made


@CASES.of("old")
def an_old_saver_that_an_init_op_is(meta: Any) -> None:
    _first(meta, "save/Identity_4")


@CASES.of("old")
def an_old_saver_that_a_local_variable_needs(meta: Any) -> None:
    _local(meta, "save/control_dependency")


@CASES.of("old")
def an_old_restore_that_is_scored(meta: Any) -> None:
    in_scores(meta, "save/restore_all")


@CASES.of("old")
def an_old_restore_that_an_init_op_is(meta: Any) -> None:
    _first(meta, "save/restore_all")


@CASES.of("old")
def an_old_file_that_a_signature_feeds(meta: Any) -> None:
    meta.signature_def["regress"].inputs["inputs"].name = "save/Const:0"


# Tables: the path of the asset is a constant, in place of which TensorFlow feeds the real one.


@CASES.of("old")
def an_old_table_of_another_file(meta: Any) -> None:
    path = Body(meta.graph_def.node, inside=False).const("/etc/passwd")
    node(meta, f"{_TABLE}/InitializeTableFromTextFileV2").input[1] = path


@CASES.of("old")
def an_old_table_below_a_signature(meta: Any) -> None:
    """Nobody feeds the path then, and the constant is read."""
    in_scores(meta, _INIT)


@CASES.of("old")
def an_old_table_below_the_saver(meta: Any) -> None:
    in_restore(meta, _INIT)


@CASES.of("old")
def an_old_table_of_a_computed_file(meta: Any) -> None:
    node(meta, _PATH).op = "StringJoin"
    node(meta, _PATH).input.append("asset_path_2")
    node(meta, _PATH).attr.clear()
    Body(meta.graph_def.node, inside=False).const("/etc/passwd")
    meta.graph_def.node[-1].name = "asset_path_2"


@CASES.of("old")
def an_old_path_that_a_signature_feeds(meta: Any) -> None:
    meta.signature_def["regress"].inputs["inputs"].name = f"{_PATH}:0"


def _assets(meta: Any) -> Any:
    return meta.collection_def["saved_model_assets"].any_list.value[0]


@CASES.of("old")
def an_old_asset_outside(meta: Any) -> None:
    asset = meta_graph_pb2.AssetFileDef.FromString(_assets(meta).value)
    asset.filename = "../../etc/passwd"
    _assets(meta).value = asset.SerializeToString()


@CASES.of("old")
def an_old_asset_beside_a_new_one(meta: Any) -> None:
    """The new one is the one that counts, and its tensor is another."""
    meta.asset_file_def.add(filename="words.txt").tensor_info.name = "Const:0"


@CASES.of("old")
def an_old_asset_of_two_names(meta: Any) -> None:
    _assets(meta).value += _assets(meta).value


@CASES.of("old")
def an_old_variable_of_two_names(meta: Any) -> None:
    _local(meta, "init_1")
    local = meta.collection_def["local_variables"].bytes_list.value
    local[0] += local[0]


@CASES.of("old")
def an_old_graph_of_another_tag(meta: Any) -> None:
    meta.meta_info_def.tags.append("tpu")
