"""What TensorFlow runs of a SavedModel: which of its graphs, and which ops of that one.

To open it, it restores the variables and then runs the op that initialises the rest; to score, it
runs what a signature's outputs stand on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfspark.errors import IntegrityError, UnsafeModelError
from tfspark.registry.program import node_of
from tfspark.registry.savedmodel import FILE, part
from tfspark.wording import say

TAG = "serve"
INIT_OP = "__saved_model_init_op"
_MAIN_OPS = ("saved_model_main_op", "legacy_init_op")
_ASSETS, _TABLES, _LOCAL = "saved_model_assets", "table_initializer", "local_variables"


def serving(graphs: Iterable[Any], folder: str) -> Any:
    """The one meta graph that is there to be served.

    Raises:
        UnsafeModelError: there are none or several.
    """
    graphs = list(graphs)
    found = [meta for meta in graphs if set(meta.meta_info_def.tags) == {TAG}]
    if len(found) > 1:
        raise UnsafeModelError(say("many_graphs", folder=folder, count=len(found)))
    if not found:
        tags = "; ".join(", ".join(sorted(meta.meta_info_def.tags)) or "none" for meta in graphs)
        raise UnsafeModelError(say("no_serving_graph", folder=folder, tags=tags))
    return found[0]


def assets(meta: Any, folder: str) -> list[Any]:
    """The `AssetFileDef`s that TensorFlow goes by: TensorFlow 1 has them in a collection."""
    if meta.asset_file_def or _ASSETS not in meta.collection_def:
        return list(meta.asset_file_def)
    packed = meta.collection_def[_ASSETS].any_list.value
    return [_part("AssetFileDef", one.value, folder) for one in packed]


def init_ops(meta: Any, folder: str) -> list[list[str]]:
    """The ops that may initialise what is not restored; TensorFlow runs the first of the lists.

    Where none is named, those of the tables and of the variables that are not saved are run.
    """
    found, collections = [], meta.collection_def
    if INIT_OP in meta.signature_def:
        outputs = meta.signature_def[INIT_OP].outputs
        found.append([outputs[INIT_OP].name] if INIT_OP in outputs else [])
    for name in _MAIN_OPS:
        if name in collections:
            found.append(list(collections[name].node_list.value))
    others: list[str] = []
    if _TABLES in collections:
        others += collections[_TABLES].node_list.value
    if _LOCAL in collections:
        variables = collections[_LOCAL].bytes_list.value
        others += [_part("VariableDef", one, folder).initializer_name for one in variables]
    return [[node_of(op) for op in ops] for ops in (*found, others)]


def tensors(info: Any) -> list[str]:
    """The tensors of an input or an output: several of a sparse or a composite one."""
    kind = info.WhichOneof("encoding")
    if kind == "coo_sparse":
        sparse = info.coo_sparse
        return [
            sparse.values_tensor_name,
            sparse.indices_tensor_name,
            sparse.dense_shape_tensor_name,
        ]
    if kind == "composite_tensor":
        return [tensor for part in info.composite_tensor.components for tensor in tensors(part)]
    return [info.name] if kind else []


def _part(message: str, content: bytes, folder: str) -> Any:
    found = part(message, content)
    if found is None:
        raise IntegrityError(say("no_saved_model", where=f"{folder}/{FILE}", file=FILE))
    return found
